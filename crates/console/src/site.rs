//! The state of all routes, and [`blocking`] for work on files.

use std::sync::Arc;

use super::{
    Console,
    auth::{Logins, Principal},
    pages::Comparisons,
};
use volume::{
    error::{Code, Error, Result},
    events::{self, Event, Kind},
};

/// Shared as `Arc<Site>`.
#[derive(Debug)]
pub struct Site {
    pub console: Arc<Console>,
    pub logins: Logins,
    /// `MOORLINE_FIRSTRUN_NOAUTHENTICATION`: without a login, other hosts get access, too.
    pub open_to_all: bool,
    /// Whether it listens on a loopback address.
    pub is_local: bool,
    /// Whether the console is the server itself, so that a restore needs a restart of the console.
    pub is_server: bool,
    pub comparisons: Comparisons,
    /// Whether it listens with TLS, so that cookies need `Secure`.
    pub is_tls: bool,
}

impl Site {
    /// Records that a principal created, changed or removed an object; `property` is the event's name for its title.
    pub fn record(&self, kind: Kind, (property, title): (&str, &str), by: &Principal) {
        events::record(&self.console.volume, &Event::new(kind).with(property, title).with("By", by.name()));
    }

    /// Call this after a change of settings: it mirrors them to the volume, and wakes the scheduler.
    pub async fn settings_changed(&self) -> Result<()> {
        self.console.mirror_settings().await?;
        self.console.settings.send_replace(());
        Ok(())
    }
}

/// Runs blocking work on another thread, because a single thread serves all requests.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Error::new(Code::TryAgain, "the console is stopping"))?
}

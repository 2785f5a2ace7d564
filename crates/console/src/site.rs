//! What every route shares.

use std::sync::Arc;

use super::{
    Console,
    auth::{Logins, Who},
};
use volume::{
    error::{Code, Error, Result},
    events::{self, Event, Kind},
};

/// The routes' state, shared as `Arc<Site>`.
#[derive(Debug)]
pub struct Site {
    /// The console.
    pub console: Arc<Console>,
    /// Logins: how many, how often.
    pub logins: Logins,
    /// Whether it was said that nobody has to log in, so that others than this host may be let in without.
    pub open_to_all: bool,
    /// Whether it listens to this host alone.
    pub is_local: bool,
    /// Whether it is the server itself: a restore waits for its own restart then.
    pub is_server: bool,
    /// Whether it is reached over TLS: cookies say so.
    pub is_tls: bool,
}

impl Site {
    /// Tells that somebody made, changed or removed something; the property names what it is called.
    pub fn tell(&self, kind: Kind, (property, title): (&str, &str), by: &Who) {
        events::record(&self.console.volume, &Event::new(kind).with(property, title).with("By", by.name()));
    }

    /// Settings were changed: whatever depends on them follows.
    ///
    /// # Errors
    /// Where the volume cannot be written.
    pub async fn settings_changed(&self) -> Result<()> {
        self.console.mirror_settings().await?;
        self.console.settings.send_replace(());
        Ok(())
    }
}

/// Work that waits for the disk, off the one thread that answers.
///
/// # Errors
/// What the work says; and where its thread was ended.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Error::new(Code::TryAgain, "the console is being stopped"))?
}

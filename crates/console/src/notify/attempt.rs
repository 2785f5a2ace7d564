//! One event sent to one app: up to five times, then told of.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::{
    http,
    instances::{self, App},
    kinds, mail,
    positions::Positions,
};
use crate::Console;
use volume::{
    error::{Code, Error, Result},
    events::{self, Event, Kind, Stored},
};

/// How long to wait after each try but the last.
const WAITS: [Duration; 4] =
    [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120), Duration::from_secs(600)];

/// Deliveries at a time: the threads that they wait on are those of logins and pages, too.
const AT_A_TIME: usize = 3;
static SENDING: Semaphore = Semaphore::const_new(AT_A_TIME);

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was sent.
    Sent,
    /// It was not, and that was told.
    Failed,
    /// The app is off by now.
    Off,
}

/// Sends an event. The app's settings are read anew for each try: it may be mended, or off, meanwhile.
pub(super) async fn send(
    console: &Arc<Console>,
    id: &str,
    event: &Stored,
    positions: &Arc<Positions>,
) -> Result<Outcome> {
    let mut waits = WAITS.into_iter();
    loop {
        let Some(app) = instances::find(console, id).await? else { return Ok(Outcome::Off) };
        let title = app.title.clone();
        let Err(error) = try_once(console, app, event.clone(), Arc::clone(positions)).await else {
            return Ok(Outcome::Sent);
        };
        let Some(wait) = waits.next().filter(|_| error.code() == Code::TryAgain) else {
            let failed = Event::new(Kind::AppFailed)
                .with("AppTitle", title)
                .with("AppInstanceId", id)
                .with("EventType", event.kind())
                .with("EventId", event.place.to_string())
                .with("Error", error.message());
            events::record(&console.volume, &failed);
            return Ok(Outcome::Failed);
        };
        log::warn!("app {title:?} could not send {}, and tries again in {wait:?}: {error}", event.kind());
        tokio::time::sleep(wait).await;
    }
}

/// On a thread of its own: it waits for other machines. What was sent is written down there, too: the console may be
/// ending meanwhile.
async fn try_once(console: &Arc<Console>, app: App, event: Stored, positions: Arc<Positions>) -> Result<()> {
    let ending = || Error::new(Code::TryAgain, "the console is ending");
    let permit = SENDING.acquire().await.map_err(|_| ending())?;
    let console = Arc::clone(console);
    let sent = tokio::task::spawn_blocking(move || {
        // The thread's, not the task's: that may end before.
        let _permit = permit;
        let app = app.with_secrets(&console.key)?;
        match app.app_id.as_str() {
            id if id == kinds::HTTP.id => http::send(&app, &event),
            id if id == kinds::SMTP.id => mail::send(&app, &event),
            other => Err(Error::usage(format!("there is no app {other:?}"))),
        }?;
        positions.set(&app.id, event.place);
        positions.save(&console.volume);
        Ok(())
    });
    sent.await.map_err(|_| ending())?
}

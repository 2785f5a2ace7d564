//! Delivers one event of one notification: up to five attempts, then an `AppFailed` event.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::{
    http, kinds, mail,
    notification::{self, Notification},
    positions::Positions,
};
use crate::{Console, blocking};
use volume::{
    error::{Code, Error, Result},
    events::{self, Event, Kind, Stored},
};

const WAITS: [Duration; 4] =
    [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120), Duration::from_secs(600)];

/// Limit on concurrent deliveries, because they occupy the blocking threads that logins and pages need, too.
const CONCURRENT: usize = 3;
static SENDING: Semaphore = Semaphore::const_new(CONCURRENT);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Sent,
    /// All attempts failed, and an `AppFailed` event was recorded.
    Failed,
    /// The notification was switched off meanwhile.
    Off,
}

/// Reads the notification again for each attempt, because a user may have corrected it or switched it off meanwhile.
pub(super) async fn send(
    console: &Arc<Console>,
    id: &str,
    event: &Stored,
    positions: &Arc<Positions>,
) -> Result<Outcome> {
    let mut waits = WAITS.into_iter();
    loop {
        let Some(notification) = notification::find(console, id).await? else { return Ok(Outcome::Off) };
        let title = notification.title.clone();
        let Err(error) = try_once(console, notification, event.clone(), Arc::clone(positions)).await else {
            return Ok(Outcome::Sent);
        };
        let Some(wait) = waits.next().filter(|_| error.code() == Code::TryAgain) else {
            let failed = Event::new(Kind::AppFailed)
                .with("AppTitle", title)
                .with("AppInstanceId", id)
                .with("EventType", event.kind())
                .with("EventId", event.position.to_string())
                .with("Error", error.message());
            events::record(&console.volume, &failed);
            return Ok(Outcome::Failed);
        };
        log::warn!("notification {title:?} could not send {}, next attempt in {wait:?}: {error}", event.kind());
        tokio::time::sleep(wait).await;
    }
}

/// Sends on a blocking thread, because it waits for other machines. The thread also stores the position, because the
/// console may stop meanwhile.
async fn try_once(
    console: &Arc<Console>,
    notification: Notification,
    event: Stored,
    positions: Arc<Positions>,
) -> Result<()> {
    let stopping = |_| Error::new(Code::TryAgain, "the console is stopping");
    let permit = SENDING.acquire().await.map_err(stopping)?;
    let console = Arc::clone(console);
    blocking(move || {
        // The thread holds the permit, because the task may end first.
        let _permit = permit;
        let notification = notification.with_secrets(&console.key)?;
        match notification.app_id.as_str() {
            id if id == kinds::HTTP.id => http::send(&notification, &event, &console.trust),
            id if id == kinds::SMTP.id => mail::send(&notification, &event, &console.trust),
            other => Err(Error::usage(format!("unknown app {other:?}"))),
        }?;
        positions.set(&notification.id, event.position);
        positions.save(&console.volume);
        Ok(())
    })
    .await
}

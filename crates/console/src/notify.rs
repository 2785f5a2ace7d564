//! Notifications: sends events by HTTP or mail, if they match a notification's signal.
//!
//! ```text
//! .moorline/events/ ─ inotify → manager: enabled notifications → one worker each
//! worker: events after its position → signal? → rate limit? → send, up to five attempts → new position
//! ```
//! A position is the last event that a notification has handled, stored in `.moorline/events/positions.json`, so that a
//! restart neither loses nor repeats an event. The only exception is the event that was being sent when the process was
//! killed. Events that happen while a notification is off are not sent later. Each notification has at most one delivery
//! in progress. In the API a notification is an app instance, as in Seq.

mod attempt;
mod http;
pub(crate) mod kinds;
mod mail;
mod notification;
mod positions;
pub(crate) mod signal;
pub(crate) mod suppression;
mod tail;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinHandle};

use self::{attempt::Outcome, notification::Notification, positions::Positions, suppression::Window, tail::Tail};
use super::Console;
use volume::{
    error::Result,
    events::{self, EventPosition, Kind, Stored},
};

const BATCH: usize = 64;

/// The manager refreshes at least this often, because a change of the notifications does not write to the events.
const REFRESH: Duration = Duration::from_secs(60);

const RETRY: Duration = Duration::from_secs(60);

/// Runs until it is dropped. The workers end with it.
pub(crate) async fn run(console: Arc<Console>) {
    let mut tail = Tail::open(&console.volume);
    let mut manager = Manager::new(console);
    loop {
        let timeout = match manager.refresh().await {
            Ok(()) => REFRESH,
            Err(error) => {
                log::warn!("cannot read the notifications, next attempt in 60 s: {error}");
                RETRY
            }
        };
        let _ = tokio::time::timeout(timeout, tail.changed()).await;
    }
}

/// Runs one worker for each enabled notification.
struct Manager {
    console: Arc<Console>,
    positions: Arc<Positions>,
    workers: BTreeMap<String, JoinHandle<()>>,
    wake: watch::Sender<()>,
    /// The newest event at the last refresh. A notification that is switched on later starts after it.
    seen: Option<EventPosition>,
    /// Whether the volume has no stored positions yet.
    first: bool,
}

impl Manager {
    fn new(console: Arc<Console>) -> Self {
        let (positions, first) = Positions::load(&console.volume);
        let seen = newest(&console);
        let wake = watch::Sender::new(());
        Self { console, positions: Arc::new(positions), workers: BTreeMap::new(), wake, seen, first }
    }

    async fn refresh(&mut self) -> Result<()> {
        let enabled = notification::enabled(&self.console).await?;
        self.workers.retain(|id, worker| {
            let keep = enabled.contains(id) && !worker.is_finished();
            if !keep {
                worker.abort();
            }
            keep
        });
        self.positions.keep_only(&enabled);
        let start = if self.first { positions::a_day_ago(&self.console.volume) } else { self.seen.clone() };
        for id in enabled {
            if !self.workers.contains_key(&id) {
                self.positions.start_at(&id, start.clone());
                let worker =
                    work(Arc::clone(&self.console), id.clone(), Arc::clone(&self.positions), self.wake.subscribe());
                self.workers.insert(id, tokio::spawn(worker));
            }
        }
        self.first = false;
        self.positions.save(&self.console.volume);
        self.wake.send_replace(());
        self.seen = newest(&self.console);
        Ok(())
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.workers.values().for_each(JoinHandle::abort);
    }
}

fn newest(console: &Console) -> Option<EventPosition> {
    let newest = events::read_before(&console.volume, None, 1, &|_| true).unwrap_or_default();
    newest.into_iter().next().map(|event| event.position)
}

/// Sends the events of one notification until it is switched off.
async fn work(console: Arc<Console>, id: String, positions: Arc<Positions>, mut wake: watch::Receiver<()>) {
    let mut window = Window::default();
    loop {
        wake.mark_unchanged();
        let timeout = match handle_batch(&console, &id, &positions, &mut window).await {
            Ok(Progress::CaughtUp) => Duration::MAX,
            Ok(Progress::MoreEvents) => Duration::ZERO,
            Ok(Progress::Off) => return,
            Err(error) => {
                log::warn!("notification {id} cannot send events, next attempt in 60 s: {error}");
                RETRY
            }
        };
        if timeout > Duration::ZERO && matches!(tokio::time::timeout(timeout, wake.changed()).await, Ok(Err(_))) {
            return;
        }
    }
}

enum Progress {
    CaughtUp,
    /// There may be more events to read.
    MoreEvents,
    Off,
}

async fn handle_batch(
    console: &Arc<Console>,
    id: &str,
    positions: &Arc<Positions>,
    window: &mut Window,
) -> Result<Progress> {
    let events = events::read_after(&console.volume, positions.get(id).as_ref(), BATCH)?;
    if events.is_empty() {
        return Ok(Progress::CaughtUp);
    }
    for event in events {
        let Some(notification) = notification::find(console, id).await? else {
            positions.remove(id);
            return Ok(Progress::Off);
        };
        if wants(&notification, &event)
            && window.allows(&notification, &event)
            && attempt::send(console, id, &event, positions).await? == Outcome::Off
        {
            positions.remove(id);
            return Ok(Progress::Off);
        }
        positions.set(id, event.position);
        positions.save(&console.volume);
    }
    Ok(Progress::MoreEvents)
}

/// A notification receives neither its own `AppFailed` events nor failures to deliver an `AppFailed` event, because two
/// failing notifications would otherwise report each other forever.
fn wants(notification: &Notification, event: &Stored) -> bool {
    let field = |name: &str| event.fields.get(name).and_then(serde_json::Value::as_str);
    let failed = event.kind() == Kind::AppFailed.name();
    let about_itself = failed && field("AppInstanceId") == Some(&notification.id);
    let about_a_failure = failed && field("EventType") == Some(Kind::AppFailed.name());
    !about_itself && !about_a_failure && notification.matches(event)
}

//! Notifications: events are sent to apps whose signal they match, by HTTP or by mail.
//!
//! ```text
//! .moorline/events/ ─ inotify → manager: which apps are on → a worker for each
//! worker: events after its position → signal? → suppressed? → send, up to five times → position
//! ```
//! A position is the last event that an app is done with, in `.moorline/events/positions.json`: a restart neither loses
//! an event nor repeats one, but for the one that was being sent when the process was killed. What happens while an app
//! is off is not sent to it later. An app has one delivery at a time.

mod attempt;
mod http;
pub mod instances;
pub mod kinds;
mod mail;
mod positions;
pub mod signal;
pub mod suppression;
mod tail;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinHandle};

use self::{attempt::Outcome, instances::App, positions::Positions, suppression::Window, tail::Tail};
use super::Console;
use volume::{
    error::Result,
    events::{self, Kind, Place, Stored},
};

/// Events that are looked at in one go.
const BATCH: usize = 64;

/// After this time it is looked whether there is something new, though nobody said so.
const LOOK: Duration = Duration::from_secs(60);

/// After this time what could not be read is tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// Runs until it is dropped; so do the workers.
pub async fn run(console: Arc<Console>) {
    let mut tail = Tail::open(&console.volume);
    let mut manager = Manager::new(console);
    loop {
        let patience = match manager.look().await {
            Ok(()) => LOOK,
            Err(error) => {
                log::warn!("apps are not told of events for now: {error}");
                AGAIN
            }
        };
        let _ = tokio::time::timeout(patience, tail.changed()).await;
    }
}

/// Which apps are on, and who works for them.
struct Manager {
    console: Arc<Console>,
    positions: Arc<Positions>,
    workers: BTreeMap<String, JoinHandle<()>>,
    wake: watch::Sender<()>,
    /// The newest event when it was last looked: what an app that appears now has not missed.
    seen: Option<Place>,
    /// Whether nothing is known of any app yet.
    first: bool,
}

impl Manager {
    fn new(console: Arc<Console>) -> Self {
        let (positions, first) = Positions::load(&console.volume);
        let seen = newest(&console);
        let wake = watch::Sender::new(());
        Self { console, positions: Arc::new(positions), workers: BTreeMap::new(), wake, seen, first }
    }

    async fn look(&mut self) -> Result<()> {
        let on = instances::on(&self.console).await?;
        self.workers.retain(|id, worker| {
            let keep = on.contains(id) && !worker.is_finished();
            if !keep {
                worker.abort();
            }
            keep
        });
        self.positions.keep_only(&on);
        let start = if self.first { positions::of_last_day(&self.console.volume) } else { self.seen.clone() };
        for id in on {
            if !self.workers.contains_key(&id) {
                self.positions.start(&id, start.clone());
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

fn newest(console: &Console) -> Option<Place> {
    let newest = events::read_before(&console.volume, None, 1, &|_| true).unwrap_or_default();
    newest.into_iter().next().map(|event| event.place)
}

/// Sends one app its events, until it is off.
async fn work(console: Arc<Console>, id: String, positions: Arc<Positions>, mut wake: watch::Receiver<()>) {
    let mut window = Window::default();
    loop {
        wake.mark_unchanged();
        let patience = match batch(&console, &id, &positions, &mut window).await {
            Ok(Batch::All) => Duration::MAX,
            Ok(Batch::Some) => Duration::ZERO,
            Ok(Batch::Off) => return,
            Err(error) => {
                log::warn!("an app is not told of events for now: {error}");
                AGAIN
            }
        };
        if patience > Duration::ZERO && matches!(tokio::time::timeout(patience, wake.changed()).await, Ok(Err(_))) {
            return;
        }
    }
}

/// How far a worker got.
enum Batch {
    /// It has seen all events.
    All,
    /// There may be more.
    Some,
    /// Its app is off.
    Off,
}

async fn batch(console: &Arc<Console>, id: &str, positions: &Arc<Positions>, window: &mut Window) -> Result<Batch> {
    let events = events::read_after(&console.volume, positions.get(id).as_ref(), BATCH)?;
    if events.is_empty() {
        return Ok(Batch::All);
    }
    for event in events {
        let Some(app) = instances::find(console, id).await? else {
            positions.forget(id);
            return Ok(Batch::Off);
        };
        if wants(&app, &event)
            && window.lets_pass(&app, &event)
            && attempt::send(console, id, &event, positions).await? == Outcome::Off
        {
            positions.forget(id);
            return Ok(Batch::Off);
        }
        positions.set(id, event.place);
        positions.save(&console.volume);
    }
    Ok(Batch::Some)
}

/// Whether an app is to have an event: what another app's failure was about goes round and round otherwise.
fn wants(app: &App, event: &Stored) -> bool {
    let field = |name: &str| event.fields.get(name).and_then(serde_json::Value::as_str);
    let failed = event.kind() == Kind::AppFailed.name();
    let about_itself = failed && field("AppInstanceId") == Some(&app.id);
    let about_a_failure = failed && field("EventType") == Some(Kind::AppFailed.name());
    !about_itself && !about_a_failure && app.matches(event)
}

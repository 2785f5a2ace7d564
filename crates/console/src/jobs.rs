//! Jobs: commands of this program that the console runs as child processes.
//!
//! ```text
//! console: permit → start → progress lines, stdout → exit code → JSON, or the error of the child
//! child:   a session of its own, nice 10, idle I/O, killed by the kernel when the console dies
//! ```
//! Only one backup runs at a time. If a caller stops waiting for the result, the child is stopped and reaped, except for
//! a backup into `Backups/`, which is finished. No child outlives [`Jobs::end`].

mod child;
mod exit;
mod stream;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub use self::child::PROGRESS_FD;
use self::child::{Cancel, Child};
pub(crate) use self::stream::BackupStream;
use super::Console;
use volume::error::{Code, Error, Result};

/// Commands that run at a time, besides a backup. Each may use a whole CPU and 100 MiB.
const CONCURRENT: usize = 2;

/// Commands that wait for a permit; further ones are refused.
const QUEUED: usize = 8;

/// The progress of a running child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Running {
    /// `backup`, `verify`, `restore` …
    pub command: String,
    /// The current phase, such as `reading back`. Empty before the first progress line.
    pub what: String,
    /// Bytes.
    pub done: u64,
    /// Bytes, estimated.
    pub total: u64,
    pub since: jiff::Timestamp,
}

/// A handle to the jobs; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Jobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    running: Mutex<BTreeMap<u64, Running>>,
    number: AtomicU64,
    changed: watch::Sender<u64>,
    ending: watch::Sender<bool>,
    backup: Arc<Semaphore>,
    commands: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    failures: AtomicU64,
}

impl Default for Jobs {
    fn default() -> Self {
        Self(Arc::new(Inner {
            running: Mutex::default(),
            number: AtomicU64::new(0),
            changed: watch::Sender::new(0),
            ending: watch::Sender::new(false),
            backup: Arc::new(Semaphore::new(1)),
            commands: Arc::new(Semaphore::new(CONCURRENT)),
            queue: Arc::new(Semaphore::new(CONCURRENT + QUEUED)),
            failures: AtomicU64::new(0),
        }))
    }
}

impl Jobs {
    /// Takes a backup into `Backups/` and returns the object of `moorline backup --json`. A scheduled backup waits for a
    /// running one; any other fails with `TryAgain`. The backup is finished even if this future is dropped.
    pub(crate) async fn back_up(&self, console: &Console, scheduled: bool) -> Result<Value> {
        let permit = match self.backup_at_once() {
            Err(busy) if scheduled => {
                log::info!("the scheduled backup has to wait: {}", busy.message());
                wait_for(&self.0.backup).await?
            }
            at_once => at_once?,
        };
        let command: &[&str] = if scheduled { &["backup", "--scheduled", "--json"] } else { &["backup", "--json"] };
        let done = self.run(console, command, Cancel::Never, permit).await;
        if done.is_err() && !self.is_ending() {
            self.0.failures.fetch_add(1, Ordering::Relaxed);
        }
        done
    }

    /// The number of backups into `Backups/` that failed since the start of the console.
    pub(crate) fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// Takes a backup that is not kept. A failure before the first byte is an error here, a later one an error of the
    /// stream. Fails with `TryAgain` while another backup runs.
    pub(crate) async fn stream_backup(&self, console: &Console) -> Result<BackupStream> {
        let permit = self.backup_at_once()?;
        stream::open(self, console, permit).await
    }

    /// Runs a command, which needs `--json` among its arguments, and returns its object, or the child's error with code
    /// and hint. The object counts whatever the exit code is, unless it is an error object, because `verify` reports an
    /// error per backup in it. Dropping the future stops the child. Fails with `TryAgain` if too many commands wait.
    pub(crate) async fn command(&self, console: &Console, command: &[&str]) -> Result<Value> {
        let full = |_| Error::new(Code::TryAgain, "too many commands are waiting").hint("try again in a minute");
        let _queued = Arc::clone(&self.0.queue).try_acquire_owned().map_err(full)?;
        let permit = wait_for(&self.0.commands).await?;
        self.run(console, command, Cancel::WhenUnwanted, permit).await
    }

    pub(crate) fn running(&self) -> Vec<Running> {
        self.table().values().cloned().collect()
    }

    /// Changes whenever the result of [`Self::running`] changes.
    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Stops all children, and returns when the last one is reaped. No child can be started afterwards.
    pub(crate) async fn end(&self) {
        self.0.ending.send_replace(true);
        let mut changed = self.changed();
        while !self.table().is_empty() {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    async fn run(
        &self,
        console: &Console,
        command: &[&str],
        cancel: Cancel,
        permit: OwnedSemaphorePermit,
    ) -> Result<Value> {
        let child = Child::start(self, console, command)?;
        let ended = child.attend(cancel, permit).await?;
        exit::parse(&ended)
    }

    fn backup_at_once(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.0.backup).try_acquire_owned().map_err(|_| {
            Error::new(Code::TryAgain, "another backup is running").hint("wait until it is finished and try again")
        })
    }

    fn is_ending(&self) -> bool {
        *self.0.ending.borrow()
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<u64, Running>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, command: &str) -> Entry {
        let number = self.0.number.fetch_add(1, Ordering::Relaxed);
        let since = jiff::Timestamp::now();
        let running = Running { command: command.to_owned(), what: String::new(), done: 0, total: 0, since };
        self.table().insert(number, running);
        self.notify_changed();
        Entry { jobs: self.clone(), number }
    }

    fn notify_changed(&self) {
        self.0.changed.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// An entry in the table of running children; dropping it removes the entry.
#[derive(Debug)]
struct Entry {
    jobs: Jobs,
    number: u64,
}

impl Entry {
    fn progress(&self, progress: child::ProgressLine) {
        if let Some(running) = self.jobs.table().get_mut(&self.number) {
            (running.what, running.done, running.total) = (progress.what, progress.done, progress.total);
        }
        self.jobs.notify_changed();
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.jobs.table().remove(&self.number);
        self.jobs.notify_changed();
    }
}

async fn wait_for(semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    let closed = |_| Error::new(Code::Bug, "the console's jobs have ended");
    Arc::clone(semaphore).acquire_owned().await.map_err(closed)
}

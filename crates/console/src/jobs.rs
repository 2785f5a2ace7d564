//! Jobs: what the console has done by children of its own, which are this program with another verb.
//!
//! ```text
//! console: permit → start → progress lines, stdout → exit code → the answer, or the error that the child had
//! child:   a session of its own, nice 10, idle I/O, ended by the kernel when the console is
//! ```
//! One backup is made at a time. A child whose answer nobody waits for any more is stopped and reaped, but for a backup
//! that goes to `Backups/`: that is finished. Nothing here outlives [`Jobs::end`].

mod answer;
mod child;
mod stream;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub use self::child::PROGRESS_FD;
use self::child::{Child, Until};
pub use self::stream::BackupStream;
use super::Console;
use volume::error::{Code, Error, Result};

/// Verbs that run at a time, besides the backup: each may take a processor and a hundred mebibytes.
const AT_A_TIME: usize = 2;

/// Verbs that wait for their turn; more are refused.
const IN_LINE: usize = 8;

/// A child that is at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Running {
    /// The verb: `backup`, `verify`, `restore` …
    pub verb: String,
    /// What it is doing, in its words: `reading back`. Empty until it says so.
    pub what: String,
    /// How many bytes of it are done.
    pub done: u64,
    /// Of about how many.
    pub total: u64,
    /// When it was started.
    pub since: jiff::Timestamp,
}

/// All of them; a handle.
#[derive(Debug, Clone)]
pub struct Jobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    running: Mutex<BTreeMap<u64, Running>>,
    number: AtomicU64,
    changed: watch::Sender<u64>,
    ending: watch::Sender<bool>,
    backup: Arc<Semaphore>,
    verbs: Arc<Semaphore>,
    line: Arc<Semaphore>,
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
            verbs: Arc::new(Semaphore::new(AT_A_TIME)),
            line: Arc::new(Semaphore::new(AT_A_TIME + IN_LINE)),
            failures: AtomicU64::new(0),
        }))
    }
}

impl Jobs {
    /// Takes a backup into `Backups/`: the object of `moorline backup --json`. One that is scheduled waits for another
    /// that is being made. It is finished even if nobody waits for it.
    ///
    /// # Errors
    /// `TryAgain` where another is being made; the error of the child.
    pub async fn back_up(&self, console: &Console, scheduled: bool) -> Result<Value> {
        let permit = match self.backup_at_once() {
            Err(busy) if scheduled => {
                log::info!("a scheduled backup waits: {}", busy.message());
                wait_for(&self.0.backup).await?
            }
            at_once => at_once?,
        };
        let verb: &[&str] = if scheduled { &["backup", "--scheduled", "--json"] } else { &["backup", "--json"] };
        let done = self.answer_of(console, verb, Until::Done, permit).await;
        if done.is_err() && !self.is_ending() {
            self.0.failures.fetch_add(1, Ordering::Relaxed);
        }
        done
    }

    /// How many backups have failed that were to go to `Backups/`.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// Takes a backup that is not kept: its bytes. It is stopped when the stream is dropped.
    ///
    /// # Errors
    /// `TryAgain` where another is being made; the error of a child that failed before its first byte. One that fails
    /// later is an error of the stream.
    pub async fn stream_backup(&self, console: &Console) -> Result<BackupStream> {
        let permit = self.backup_at_once()?;
        stream::open(self, console, permit).await
    }

    /// Runs a verb, whose arguments are to have `--json` among them: its object. An object is an answer whatever the exit
    /// code is, unless it is that of an error: `verify` has one error for each backup. It is stopped when nobody waits
    /// for the answer any more. Arguments are not shown in `ps` where a secret key is among them.
    ///
    /// # Errors
    /// The error of the child, with its code and hint; `TryAgain` where too many wait already.
    pub async fn verb(&self, console: &Console, verb: &[&str]) -> Result<Value> {
        let full = |_| Error::new(Code::TryAgain, "the console has too much to do").hint("try again in a minute");
        let _place = Arc::clone(&self.0.line).try_acquire_owned().map_err(full)?;
        let permit = wait_for(&self.0.verbs).await?;
        self.answer_of(console, verb, Until::Unwanted, permit).await
    }

    /// What is at work, the oldest first.
    #[must_use]
    pub fn running(&self) -> Vec<Running> {
        self.table().values().cloned().collect()
    }

    /// Told each time that [`Self::running`] has another answer.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Stops all of them, and returns when the last is reaped. None is started afterwards.
    pub async fn end(&self) {
        self.0.ending.send_replace(true);
        let mut changed = self.changed();
        while !self.table().is_empty() {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    async fn answer_of(
        &self,
        console: &Console,
        verb: &[&str],
        until: Until,
        permit: OwnedSemaphorePermit,
    ) -> Result<Value> {
        let child = Child::start(self, console, verb)?;
        let ended = child.attend(until, permit).await?;
        answer::parse(&ended)
    }

    fn backup_at_once(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.0.backup).try_acquire_owned().map_err(|_| {
            Error::new(Code::TryAgain, "another backup is being made").hint("wait for it to finish, and try again")
        })
    }

    fn is_ending(&self) -> bool {
        *self.0.ending.borrow()
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<u64, Running>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, verb: &str) -> Entry {
        let number = self.0.number.fetch_add(1, Ordering::Relaxed);
        let since = jiff::Timestamp::now();
        let running = Running { verb: verb.to_owned(), what: String::new(), done: 0, total: 0, since };
        self.table().insert(number, running);
        self.tell();
        Entry { jobs: self.clone(), number }
    }

    fn tell(&self) {
        self.0.changed.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// A line in the table of what is at work; gone with it.
#[derive(Debug)]
struct Entry {
    jobs: Jobs,
    number: u64,
}

impl Entry {
    fn progress(&self, progress: child::Line) {
        if let Some(running) = self.jobs.table().get_mut(&self.number) {
            (running.what, running.done, running.total) = (progress.what, progress.done, progress.total);
        }
        self.jobs.tell();
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.jobs.table().remove(&self.number);
        self.jobs.tell();
    }
}

async fn wait_for(semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    let closed = |_| Error::new(Code::Bug, "the console's jobs have ended");
    Arc::clone(semaphore).acquire_owned().await.map_err(closed)
}

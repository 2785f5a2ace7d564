//! The metastore, to asynchronous code: one thread, one connection, one closure after the other.
//!
//! The connection is closed soon after the last of them, and its lock let go: a restore may put another database in its
//! place at any time, and nothing of the old one may be in anybody's hands then.

use std::{
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use engine::{
    metastore::{self, MetastoreLock},
    restore,
};
use volume::{
    Volume,
    error::{Code, Error, Result},
};

/// For how long nobody has to want it before it is closed.
const IDLE: Duration = Duration::from_millis(500);
/// Open longer than this, it is closed in between: a restore is waiting, perhaps.
const LONGEST: Duration = Duration::from_secs(5);
/// And stays closed: whoever waits for its lock asks every 20 ms.
const GAP: Duration = Duration::from_millis(70);

type Work = Box<dyn FnOnce(Result<&mut Connection>) + Send>;

/// A handle; all of them lead to the same thread.
#[derive(Debug, Clone)]
pub struct Database {
    work: mpsc::Sender<Work>,
}

impl Database {
    /// Starts the thread. It ends with the last handle.
    ///
    /// # Errors
    /// Where there can be no thread.
    pub fn start(volume: Volume) -> Result<Self> {
        let (work, given) = mpsc::channel();
        let named = thread::Builder::new().name("metastore".to_owned());
        named
            .spawn(move || serve(&volume, &given))
            .map_err(|cause| Error::new(Code::TryAgain, format!("the console cannot start a thread: {cause}")))?;
        Ok(Self { work })
    }

    /// Does something with the metastore, and waits for it.
    ///
    /// # Errors
    /// Where the metastore cannot be opened; and what `work` says.
    pub async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let gone = || Error::new(Code::Bug, "the thread of the console's database has ended");
        let work: Work = Box::new(move |connection| drop(answer.send(connection.and_then(work))));
        self.work.send(work).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

fn serve(volume: &Volume, given: &Receiver<Work>) {
    while let Ok(work) = given.recv() {
        match open(volume) {
            Ok((lock, connection)) => serve_open(connection, work, given, lock),
            Err(error) => work(Err(error)),
        }
    }
}

fn open(volume: &Volume) -> Result<(MetastoreLock, Connection)> {
    let lock = MetastoreLock::shared(volume)?;
    // Half restored, there may be none, and a new one must not take the place of what is about to come.
    restore::refuse_unfinished(volume)?;
    let connection = metastore::open(volume, &lock)?;
    Ok((lock, connection))
}

fn serve_open(mut connection: Connection, first: Work, given: &Receiver<Work>, lock: MetastoreLock) {
    let opened = Instant::now();
    let mut next = Some(first);
    while let Some(work) = next.take() {
        work(Ok(&mut connection));
        if opened.elapsed() < LONGEST {
            next = given.recv_timeout(IDLE).ok();
        }
    }
    drop(connection);
    drop(lock);
    if opened.elapsed() >= LONGEST {
        thread::sleep(GAP);
    }
}

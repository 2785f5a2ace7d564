//! Access to the metastore from asynchronous code: a thread with one connection runs closures one after another.
//!
//! The thread closes the connection and releases the metastore's lock soon after the last closure, because a restore may
//! replace the database file at any time, and must not do so under an open connection.

use std::{
    path::PathBuf,
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
    error::{Code, Error},
};

/// An idle connection is closed after this time.
const IDLE: Duration = Duration::from_millis(500);
/// A busy connection is closed after this time, because a restore may be waiting for the lock.
const LONGEST: Duration = Duration::from_secs(5);
/// The lock then stays free for this time. Waiting processes try every 20 ms.
const GAP: Duration = Duration::from_millis(70);

type Work = Box<dyn FnOnce(Result<&mut Connection, Error>) + Send>;

/// A handle to the thread; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    work: mpsc::Sender<Work>,
    file: PathBuf,
}

impl Database {
    /// Starts the thread, which ends when the last handle is dropped.
    pub(crate) fn start(volume: Volume) -> Result<Self, Error> {
        let (work, queue) = mpsc::channel();
        let file = metastore::file(&volume);
        let named = thread::Builder::new().name("metastore".to_owned());
        named
            .spawn(move || serve(&volume, &queue))
            .map_err(|cause| Error::new(Code::TryAgain, format!("cannot start a thread: {cause}")))?;
        Ok(Self { work, file })
    }

    /// Runs a closure with the connection, and waits for its result.
    pub(crate) async fn call<T: Send + 'static, E: From<Error> + Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let (answer, answered) = oneshot::channel();
        let gone = || Error::new(Code::Bug, "the thread of the metastore has ended");
        let work: Work = Box::new(move |connection| drop(answer.send(connection.map_err(E::from).and_then(work))));
        self.work.send(work).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Like [`Self::call`], with the path of the file in errors of SQLite.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let file = self.file.clone();
        self.call(move |connection| work(connection).map_err(|cause| metastore::explain(&file, &cause))).await
    }
}

fn serve(volume: &Volume, queue: &Receiver<Work>) {
    while let Ok(work) = queue.recv() {
        match open(volume) {
            Ok((lock, connection)) => serve_open(connection, work, queue, lock),
            Err(error) => work(Err(error)),
        }
    }
}

fn open(volume: &Volume) -> Result<(MetastoreLock, Connection), Error> {
    let lock = MetastoreLock::shared(volume)?;
    // During an unfinished restore the file may be missing, and `open` would create an empty one in its place.
    restore::refuse_unfinished(volume)?;
    let connection = metastore::open(volume, &lock)?;
    Ok((lock, connection))
}

fn serve_open(mut connection: Connection, first: Work, queue: &Receiver<Work>, lock: MetastoreLock) {
    let opened = Instant::now();
    let mut next = Some(first);
    while let Some(work) = next.take() {
        work(Ok(&mut connection));
        if opened.elapsed() < LONGEST {
            next = queue.recv_timeout(IDLE).ok();
        }
    }
    drop(connection);
    drop(lock);
    if opened.elapsed() >= LONGEST {
        thread::sleep(GAP);
    }
}

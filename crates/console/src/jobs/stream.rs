//! A backup that is downloaded while it is taken and not kept. If it fails, the stream ends with an error, so that the
//! client does not mistake a truncated file for a complete one.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader, ReadBuf},
    process::{ChildStderr, ChildStdout},
    sync::{OwnedSemaphorePermit, oneshot},
};

use super::{
    Jobs,
    child::{Cancel, Child},
    exit::{self, CommandExit},
};
use crate::Console;
use volume::error::{Code, Error, Result};

/// Lines at the end of a child's log in which its error is searched.
const LAST_LINES: usize = 4;

/// The bytes of a backup. Dropping the stream stops and reaps the child.
#[derive(Debug)]
pub(crate) struct BackupStream {
    first: io::Cursor<Vec<u8>>,
    stdout: ChildStdout,
    ended: Option<oneshot::Receiver<Result<CommandExit>>>,
}

/// Starts the child and waits for its first bytes, because most errors occur before them and can then still become the
/// status of the response.
pub(super) async fn open(jobs: &Jobs, console: &Console, permit: OwnedSemaphorePermit) -> Result<BackupStream> {
    let no_pipe = || Error::new(Code::Bug, "no output of a job of the console");
    let mut child = Child::start_piped(jobs, console, &["backup", "--output", "-"])?;
    let mut stdout = child.stdout().ok_or_else(no_pipe)?;
    let stderr = child.stderr().ok_or_else(no_pipe)?;
    let (mut answer, ended) = oneshot::channel();
    tokio::spawn(async move {
        let mut last = Vec::new();
        let log = async {
            last = forward_log(stderr).await;
            Ok(Vec::new())
        };
        let done = child.run(log, Cancel::WhenUnwanted, &mut answer).await;
        drop((child, permit));
        drop(answer.send(done.map(|ended| CommandExit { error: exit::in_log(&last), ..ended })));
    });
    let mut first = vec![0; 4096];
    let count = stdout.read(&mut first).await.unwrap_or(0);
    first.truncate(count);
    let stream = BackupStream { first: io::Cursor::new(first), stdout, ended: Some(ended) };
    if count > 0 {
        return Ok(stream);
    }
    match stream.ended {
        Some(ended) => Err(outcome(ended.await).err().unwrap_or_else(no_pipe)),
        None => Err(no_pipe()),
    }
}

impl AsyncRead for BackupStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.position() < self.first.get_ref().len() as u64 {
            return Pin::new(&mut self.first).poll_read(context, buffer);
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stdout).poll_read(context, buffer))?;
        if buffer.filled().len() > before || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        // The end of stdout is the end of the backup only if the exit code says so.
        let Some(ended) = &mut self.ended else { return Poll::Ready(Ok(())) };
        let ended = ready!(Pin::new(ended).poll(context));
        self.ended = None;
        Poll::Ready(outcome(ended).map_err(io::Error::other))
    }
}

/// Whether the backup is complete. `Unverified` counts as complete, because log and backup record faults of databases.
fn outcome(ended: std::result::Result<Result<CommandExit>, oneshot::error::RecvError>) -> Result<()> {
    let ended = ended.map_err(|_| Error::new(Code::Bug, "a job of the console returned no result"))??;
    match ended.status.code() {
        Some(exit) if exit == 0 || exit == i32::from(Code::Unverified.exit()) => Ok(()),
        _ => Err(ended.failure()),
    }
}

/// Copies the child's log into ours. Returns its last lines.
async fn forward_log(stderr: ChildStderr) -> Vec<String> {
    let mut last = Vec::new();
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let text = line.strip_prefix("moorline: ").unwrap_or(&line);
        match text.split_once(": ") {
            Some(("error", text)) => log::error!("{text}"),
            Some(("warning", text)) => log::warn!("{text}"),
            _ => log::info!("{text}"),
        }
        if last.len() == LAST_LINES {
            last.remove(0);
        }
        last.push(line);
    }
    last
}

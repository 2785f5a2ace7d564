//! A backup that is not kept: its bytes as they are made, and an error instead of an end where it is not whole.

use std::{
    io,
    pin::Pin,
    process::Stdio,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader, ReadBuf},
    process::{ChildStderr, ChildStdout},
    sync::{OwnedSemaphorePermit, oneshot},
};

use super::{
    Jobs,
    answer::{self, Ended},
    child::{Child, Until},
};
use crate::Console;
use volume::error::{Code, Error, Result};

/// The lines of a child's log that its error is looked for in.
const LAST_LINES: usize = 4;

/// The bytes of a backup. Dropped, the child that makes it is stopped and reaped.
#[derive(Debug)]
pub struct BackupStream {
    first: io::Cursor<Vec<u8>>,
    stdout: ChildStdout,
    ended: Option<oneshot::Receiver<Result<Ended>>>,
}

/// Starts the child, and waits for its first bytes: what is wrong with the state shows before them.
pub(super) async fn open(jobs: &Jobs, console: &Console, permit: OwnedSemaphorePermit) -> Result<BackupStream> {
    let no_pipe = || Error::new(Code::Bug, "a job of the console has no output");
    let mut child = Child::start_with(jobs, console, &["backup", "--output", "-"], Stdio::piped())?;
    let mut stdout = child.stdout().ok_or_else(no_pipe)?;
    let stderr = child.stderr().ok_or_else(no_pipe)?;
    let (mut answer, ended) = oneshot::channel();
    tokio::spawn(async move {
        let mut last = Vec::new();
        let log = async {
            last = pass_on(stderr).await;
            Ok(Vec::new())
        };
        let done = child.run(log, Until::Unwanted, &mut answer).await;
        drop((child, permit));
        drop(answer.send(done.map(|ended| Ended { error: answer::in_log(&last), ..ended })));
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
        // An end is one only if the child says so.
        let Some(ended) = &mut self.ended else { return Poll::Ready(Ok(())) };
        let ended = ready!(Pin::new(ended).poll(context));
        self.ended = None;
        Poll::Ready(outcome(ended).map_err(io::Error::other))
    }
}

/// Whether the backup is whole. That its databases have faults is said in the log, and in the backup.
fn outcome(ended: std::result::Result<Result<Ended>, oneshot::error::RecvError>) -> Result<()> {
    let ended = ended.map_err(|_| Error::new(Code::Bug, "a job of the console has no answer"))??;
    match ended.status.code() {
        Some(exit) if exit == 0 || exit == i32::from(Code::Unverified.exit()) => Ok(()),
        _ => Err(ended.failure()),
    }
}

/// The child's log into ours, line by line. Its last lines.
async fn pass_on(stderr: ChildStderr) -> Vec<String> {
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

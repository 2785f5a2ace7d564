//! One child process: starts it in a session of its own at low priority, reads its progress, stops it, always reaps it.

use std::{
    ffi::OsString,
    io::{self, Write},
    os::fd::{AsRawFd, OwnedFd},
    process::Stdio,
    time::Duration,
};

use nix::{
    fcntl::OFlag,
    libc,
    sys::signal::{Signal, killpg},
    unistd::{self, Pid},
};
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::unix::pipe,
    process::{ChildStderr, ChildStdout, Command},
    sync::{OwnedSemaphorePermit, oneshot, watch},
};

use super::{Entry, Jobs, exit::CommandExit};
use crate::Console;
use process::{ARGUMENTS_FD, Isolation};
use profile::choice;
use volume::error::{Code, Error, Result};

/// The variable with the number of the file descriptor that a command writes its progress to, as JSON lines.
pub const PROGRESS_FD: &str = "MOORLINE_PROGRESS_FD";

/// Grace period between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// Limit of a child's stdout, in bytes. `inspect` of a backup with some 100 000 members comes close to it.
const LONGEST_OUTPUT: u64 = 64 << 20;

/// Capacity of a pipe in bytes: more cannot be written before the child reads.
const PIPE_CAPACITY: usize = 65_536;

/// When a child is stopped before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cancel {
    /// Only when the console stops.
    Never,
    /// Also when the caller no longer waits for the result.
    WhenUnwanted,
}

#[derive(Debug, Deserialize)]
pub(super) struct ProgressLine {
    pub what: String,
    pub done: u64,
    pub total: u64,
}

#[derive(Debug)]
pub(super) struct Child {
    child: tokio::process::Child,
    group: Option<Pid>,
    progress: pipe::Receiver,
    ending: watch::Receiver<bool>,
    command: String,
    entry: Entry,
}

impl Child {
    /// Starts a child whose stderr is the console's.
    pub(super) fn start(jobs: &Jobs, console: &Console, arguments: &[&str]) -> Result<Self> {
        Self::start_with(jobs, console, arguments, Stdio::inherit())
    }

    /// Starts a child whose stderr is a pipe. Its lines have no time stamps, because the console's own log adds them.
    pub(super) fn start_piped(jobs: &Jobs, console: &Console, arguments: &[&str]) -> Result<Self> {
        let arguments = [arguments, &["--log-format=plain"]].concat();
        Self::start_with(jobs, console, &arguments, Stdio::piped())
    }

    fn start_with(jobs: &Jobs, console: &Console, arguments: &[&str], stderr: Stdio) -> Result<Self> {
        if jobs.is_ending() {
            return Err(Error::new(Code::TryAgain, "the console is stopping").hint("try again when it is back"));
        }
        let failed = |cause: io::Error| {
            Error::io("start", console.own.path(), &cause).with_code(Code::TryAgain).context("cannot start a job")
        };
        let (reader, writer) = unistd::pipe2(OFlag::O_CLOEXEC).map_err(|errno| failed(errno.into()))?;
        let progress = pipe::Receiver::from_owned_fd(reader).map_err(failed)?;
        let mut environment = console
            .environment
            .clone()
            .with("MOORLINE_STORAGE", console.volume.root())
            .with(PROGRESS_FD, writer.as_raw_fd().to_string());
        if let Some(profile) = console.profile.variable_value() {
            environment = environment.with(choice::VARIABLE, profile);
        }
        let private = private_arguments(arguments).map_err(failed)?;
        let mut command = Command::new(console.own.run());
        match &private {
            Some(pipe) => environment = environment.with(ARGUMENTS_FD, pipe.as_raw_fd().to_string()),
            None => drop(command.args(arguments)),
        }
        command.env_clear().envs(environment.pairs()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let keep = [Some(writer.as_raw_fd()), private.as_ref().map(AsRawFd::as_raw_fd)].into_iter().flatten().collect();
        Isolation { keep, low_priority: true, ends_with_parent: true, user: None }.apply(command.as_std_mut());
        let child = command.kill_on_drop(true).spawn().map_err(failed)?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let name = arguments.first().copied().unwrap_or_default().to_owned();
        let entry = jobs.enter(&name);
        Ok(Self { child, group, progress, ending: jobs.0.ending.subscribe(), command: name, entry })
    }

    pub(super) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub(super) fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Waits for the child in a task of its own, so that it is stopped and reaped even if the caller's future is dropped.
    pub(super) async fn attend(mut self, cancel: Cancel, permit: OwnedSemaphorePermit) -> Result<CommandExit> {
        let (mut answer, answered) = oneshot::channel();
        tokio::spawn(async move {
            let stdout = self.stdout();
            let done = self.run(read_all(stdout), cancel, &mut answer).await;
            // First the entry and the permit, so that the caller finds nothing running when it has the result.
            drop((self, permit));
            drop(answer.send(done));
        });
        answered.await.map_err(|_| Error::new(Code::Bug, "a job of the console returned no result"))?
    }

    /// Waits for the exit of the child while `output` reads a pipe of it.
    pub(super) async fn run<T>(
        &mut self,
        output: impl Future<Output = io::Result<Vec<u8>>>,
        cancel: Cancel,
        wanted: &mut oneshot::Sender<T>,
    ) -> Result<CommandExit> {
        let mut ending = self.ending.clone();
        let unwanted = async {
            match cancel {
                Cancel::Never => std::future::pending().await,
                Cancel::WhenUnwanted => wanted.closed().await,
            }
        };
        let Self { child, progress, entry, .. } = self;
        let work = async {
            let (output, ()) = tokio::join!(output, follow(progress, entry));
            Ok::<_, io::Error>((output?, child.wait().await?))
        };
        let stopped = |why: &str| Err(Error::new(Code::TryAgain, why));
        let done = tokio::select! {
            done = work => Some(done),
            () = unwanted => None,
            _ = ending.wait_for(|ending| *ending) => None,
        };
        match done {
            Some(Ok((stdout, status))) => {
                Ok(CommandExit { command: self.command.clone(), status, stdout, error: None })
            }
            Some(Err(cause)) => {
                self.stop().await;
                Err(Error::new(
                    Code::Unexpected,
                    format!("cannot read the output of `moorline {}`: {cause}", self.command),
                ))
            }
            None => {
                self.stop().await;
                stopped("the job was stopped")
            }
        }
    }

    /// SIGTERM, then SIGKILL after the grace period; reaps the child.
    async fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            self.signal(Signal::SIGKILL);
            let _ = self.child.wait().await;
        }
    }

    fn signal(&self, signal: Signal) {
        // `Child::id` is `Some` only until the child is reaped, so the number still denotes this process group.
        if let (Some(group), Some(_)) = (self.group, self.child.id()) {
            let _ = killpg(group, signal);
        }
    }
}

/// A pipe with the arguments if a secret key is among them, because `ps` shows a command line.
fn private_arguments(arguments: &[&str]) -> io::Result<Option<OwnedFd>> {
    if !arguments.iter().any(|argument| argument.starts_with("--secret-key")) {
        return Ok(None);
    }
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    for argument in arguments {
        bytes.extend_from_slice(OsString::from(argument).as_encoded_bytes());
        bytes.push(0);
    }
    if bytes.len() > PIPE_CAPACITY {
        return Err(io::Error::from_raw_os_error(libc::E2BIG));
    }
    let (reader, writer) = unistd::pipe2(OFlag::O_CLOEXEC)?;
    std::fs::File::from(writer).write_all(&bytes)?;
    Ok(Some(reader))
}

async fn read_all(stdout: Option<ChildStdout>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let Some(stdout) = stdout else { return Ok(bytes) };
    stdout.take(LONGEST_OUTPUT + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > LONGEST_OUTPUT {
        return Err(io::Error::other("longer than 64 MiB"));
    }
    Ok(bytes)
}

/// Reads progress until all writers have closed the pipe.
async fn follow(progress: &mut pipe::Receiver, entry: &Entry) {
    let mut lines = BufReader::new(progress).lines();
    // A line that cannot be parsed is ignored, because progress must not fail the command.
    while let Ok(Some(line)) = lines.next_line().await {
        if let Ok(line) = serde_json::from_str(&line) {
            entry.progress(line);
        }
    }
}

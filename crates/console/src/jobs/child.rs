//! One child: started apart and at low priority, its progress read, waited for or stopped, always reaped.

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

use super::{Entry, Jobs, answer::Ended};
use crate::Console;
use process::{ARGUMENTS_FD, Isolation};
use profile::choice;
use volume::error::{Code, Error, Result};

/// The variable that names a descriptor which a verb writes its progress to.
pub const PROGRESS_FD: &str = "MOORLINE_PROGRESS_FD";

/// How long a child that was asked to stop is waited for.
const GRACE: Duration = Duration::from_secs(5);

/// No answer is longer: an inspection of some hundred thousand members is about this long.
const LONGEST_ANSWER: u64 = 64 << 20;

/// A pipe holds this much before anybody reads it.
const PIPE: usize = 65_536;

/// Until when a child may work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// It is done.
    Done,
    /// Nobody waits for it any more.
    Unwanted,
}

/// A line of progress.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    pub what: String,
    pub done: u64,
    pub total: u64,
}

/// A child at work.
#[derive(Debug)]
pub(super) struct Child {
    child: tokio::process::Child,
    group: Option<Pid>,
    progress: pipe::Receiver,
    ending: watch::Receiver<bool>,
    verb: String,
    entry: Entry,
}

impl Child {
    /// Starts one. What it says on stderr is the console's log.
    pub(super) fn start(jobs: &Jobs, console: &Console, verb: &[&str]) -> Result<Self> {
        Self::start_with(jobs, console, verb, Stdio::inherit())
    }

    /// Starts one, with its stderr there.
    pub(super) fn start_with(jobs: &Jobs, console: &Console, verb: &[&str], stderr: Stdio) -> Result<Self> {
        if jobs.is_ending() {
            return Err(Error::new(Code::TryAgain, "the console is ending").hint("try again when it is back"));
        }
        let failed = |cause: io::Error| {
            Error::io("start", console.own.path(), &cause).with_code(Code::TryAgain).context("a job cannot be started")
        };
        let (told, tells) = unistd::pipe2(OFlag::O_CLOEXEC).map_err(|errno| failed(errno.into()))?;
        let progress = pipe::Receiver::from_owned_fd(told).map_err(failed)?;
        let mut environment = console
            .environment
            .clone()
            .with("MOORLINE_STORAGE", console.volume.root())
            .with(PROGRESS_FD, tells.as_raw_fd().to_string());
        if let Some(profile) = console.profile.told() {
            environment = environment.with(choice::VARIABLE, profile);
        }
        let private = private_arguments(verb).map_err(failed)?;
        let mut command = Command::new(console.own.run());
        match &private {
            Some(arguments) => environment = environment.with(ARGUMENTS_FD, arguments.as_raw_fd().to_string()),
            None => drop(command.args(verb)),
        }
        command.env_clear().envs(environment.pairs()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let keep = [Some(tells.as_raw_fd()), private.as_ref().map(AsRawFd::as_raw_fd)].into_iter().flatten().collect();
        Isolation { keep, low_priority: true, ends_with_parent: true, user: None }.apply(command.as_std_mut());
        let child = command.kill_on_drop(true).spawn().map_err(failed)?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let name = verb.first().copied().unwrap_or_default().to_owned();
        let entry = jobs.enter(&name);
        Ok(Self { child, group, progress, ending: jobs.0.ending.subscribe(), verb: name, entry })
    }

    pub(super) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub(super) fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Waits for it in a task of its own, which stops it when it is to be stopped: it is reaped whoever goes away.
    pub(super) async fn attend(mut self, until: Until, permit: OwnedSemaphorePermit) -> Result<Ended> {
        let (mut answer, answered) = oneshot::channel();
        tokio::spawn(async move {
            let stdout = self.stdout();
            let done = self.run(read_all(stdout), until, &mut answer).await;
            // The entry and the permit go before the answer: who has it finds nothing running.
            drop((self, permit));
            drop(answer.send(done));
        });
        answered.await.map_err(|_| Error::new(Code::Bug, "a job of the console has no answer"))?
    }

    /// Runs it to its end, while `output` is read.
    pub(super) async fn run<T>(
        &mut self,
        output: impl Future<Output = io::Result<Vec<u8>>>,
        until: Until,
        wanted: &mut oneshot::Sender<T>,
    ) -> Result<Ended> {
        let mut ending = self.ending.clone();
        let unwanted = async {
            match until {
                Until::Done => std::future::pending().await,
                Until::Unwanted => wanted.closed().await,
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
            Some(Ok((stdout, status))) => Ok(Ended { verb: self.verb.clone(), status, stdout, error: None }),
            Some(Err(cause)) => {
                self.stop().await;
                Err(Error::new(Code::Unexpected, format!("`moorline {}` has no answer: {cause}", self.verb)))
            }
            None => {
                self.stop().await;
                stopped("the job was stopped")
            }
        }
    }

    /// Asks it to stop, then makes it; and reaps it.
    async fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            self.signal(Signal::SIGKILL);
            let _ = self.child.wait().await;
        }
    }

    fn signal(&self, signal: Signal) {
        // It is not reaped yet, so the number is still its own.
        if let (Some(group), Some(_)) = (self.group, self.child.id()) {
            let _ = killpg(group, signal);
        }
    }
}

/// A descriptor with the arguments in it, where `ps` is not to show them.
fn private_arguments(verb: &[&str]) -> io::Result<Option<OwnedFd>> {
    if !verb.iter().any(|argument| argument.starts_with("--secret-key")) {
        return Ok(None);
    }
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    for argument in verb {
        bytes.extend_from_slice(OsString::from(argument).as_encoded_bytes());
        bytes.push(0);
    }
    if bytes.len() > PIPE {
        return Err(io::Error::from_raw_os_error(libc::E2BIG));
    }
    let (reader, writer) = unistd::pipe2(OFlag::O_CLOEXEC)?;
    std::fs::File::from(writer).write_all(&bytes)?;
    Ok(Some(reader))
}

async fn read_all(stdout: Option<ChildStdout>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let Some(stdout) = stdout else { return Ok(bytes) };
    stdout.take(LONGEST_ANSWER + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > LONGEST_ANSWER {
        return Err(io::Error::other("it is longer than 64 MiB"));
    }
    Ok(bytes)
}

/// Reads progress until nobody can write any more.
async fn follow(progress: &mut pipe::Receiver, entry: &Entry) {
    let mut lines = BufReader::new(progress).lines();
    // What cannot be read is no progress, and no failure of the work.
    while let Ok(Some(line)) = lines.next_line().await {
        if let Ok(line) = serde_json::from_str(&line) {
            entry.progress(line);
        }
    }
}

//! One command of the profile: its user and its environment, its output in the log, its time, and its end.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::Instant,
};

use nix::{libc, unistd::Pid};

use crate::prelude::*;
use process::{Isolation, User, kill};
use profile::Capture;

/// How often the end of a command, its time and a stop are looked for.
const TICK: Duration = Duration::from_millis(50);
/// Lines of a failed command's output that the log gets, and the last of them that the error repeats.
const LOGGED: usize = 30;
const REPEATED: usize = 3;

/// How the commands of a capture run.
#[derive(Debug, Clone)]
pub(crate) struct Setting<'a> {
    /// The name of the capture.
    pub name: &'a str,
    pub user: User,
    pub env: &'a BTreeMap<String, String>,
    /// Variables that the commands do not get.
    pub own_variables: &'a [String],
    /// The working directory.
    pub folder: &'a Path,
    pub timeout: Duration,
}

impl<'a> Setting<'a> {
    /// The user is the requested one, else the profile's, else the owner of the first replaced path that exists.
    pub fn of(
        capture: &'a Capture,
        root: &'a Path,
        own_variables: &'a [String],
        requested: Option<(u32, u32)>,
    ) -> Result<Self> {
        let of_ids = |uid, gid| format!("{uid}:{gid}");
        let spec = match (requested, &capture.user) {
            (Some((uid, gid)), _) => of_ids(uid, gid),
            (None, Some(user)) => user.clone(),
            (None, None) => {
                let mut owner = fs::metadata(root).on("access", root)?;
                for path in &capture.replaces {
                    if let Some(meta) = presence::entry(&path.under(root))? {
                        owner = meta;
                        break;
                    }
                }
                of_ids(owner.uid(), owner.gid())
            }
        };
        let user = User::find(&spec)?;
        if user.uid() == 0 && !capture.may_be_root && capture.has_commands() {
            let what = "it would run as root, but the profile can be changed by other users than root";
            return Err(Error::usage(what)
                .hint("name the server's user in `as`, or let only root write the profile and its folder"));
        }
        let (name, env, timeout) = (&capture.name, &capture.env, capture.timeout);
        Ok(Self { name, user, env, own_variables, folder: root, timeout })
    }

    fn command(&self, words: &[String]) -> Command {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(self.folder).env("HOME", self.user.home()).envs(self.env);
        for name in self.own_variables.iter().filter(|name| !self.env.contains_key(*name)) {
            command.env_remove(name);
        }
        command
    }

    /// Runs a command to its end, with its output in the log. `check` is asked now and then; its error stops the command.
    pub fn run(&self, words: &[String], stdin: Stdio, check: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let mut running = Running::start(self, words, stdin, false)?;
        let ended = running.attend(self.timeout, check);
        running.end(ended)
    }

    /// The output of a short command.
    pub fn answer(&self, words: &[String], check: &mut dyn FnMut() -> Result<()>) -> Result<String> {
        let mut running = Running::start(self, words, Stdio::null(), true)?;
        let stdout = running.stdout();
        let reader = thread::spawn(move || {
            let mut text = Vec::new();
            io::Read::read_to_end(&mut io::Read::take(stdout, LONGEST_ANSWER), &mut text).map(|_| text)
        });
        let ended = running.attend(self.timeout, check);
        running.end(ended)?;
        let read =
            reader.join().map_err(|_| Error::new(Code::Bug, "the thread that reads a command's output ended"))?;
        let text = read.on("read the output of", Path::new(&words[0]))?;
        Ok(String::from_utf8_lossy(&text).trim().to_owned())
    }
}

/// In bytes.
const LONGEST_ANSWER: u64 = 64 << 10;

/// A command in a process group of its own, and the thread that logs its output.
pub(crate) struct Running {
    child: Child,
    program: String,
    name: String,
    output: Option<JoinHandle<Vec<String>>>,
}

impl Running {
    /// Starts a command. If `is_read`, its stdout is not logged, but read by the caller.
    pub fn start(setting: &Setting, words: &[String], stdin: Stdio, is_read: bool) -> Result<Self> {
        let (mut command, program) = (setting.command(words), words[0].clone());
        let (reader, writer) = io::pipe().on("create a pipe for", Path::new(&program))?;
        if is_read {
            command.stdout(Stdio::piped());
        } else {
            command.stdout(writer.try_clone().on("create a pipe for", Path::new(&program))?);
        }
        command.stdin(stdin).stderr(writer);
        Isolation { ends_with_parent: true, user: Some(setting.user.clone()), ..Isolation::default() }
            .apply(&mut command);
        let child = command.spawn().map_err(|cause| match cause.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => {
                let what = format!("the program {program} is not in this image");
                Error::new(Code::Unexpected, what).hint(
                    "run moorline in the server's own container: start the server with `run --supervise`, or run this \
                     command there",
                )
            }
            _ => Error::io("start", Path::new(&program), &cause),
        })?;
        // The command holds the writing end; the end of the pipe must not wait for this process.
        drop(command);
        let name = setting.name.to_owned();
        let of_thread = name.clone();
        let output = thread::spawn(move || {
            let mut last = Vec::new();
            for line in BufReader::new(reader).split(b'\n').map_while(io::Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if !line.is_empty() {
                    log::debug!("{of_thread}: {line}");
                    last.push(line);
                    last.drain(..last.len().saturating_sub(LOGGED));
                }
            }
            last
        });
        Ok(Self { child, program, name, output: Some(output) })
    }

    /// The output of a command that was started to be read. Call it once.
    pub fn stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("the command was started with a pipe, and nothing else takes it")
    }

    /// Waits for the end of the command, at most for `timeout`. Stops waiting with the first error of `check`.
    pub fn attend(&mut self, timeout: Duration, check: &mut dyn FnMut() -> Result<()>) -> Result<ExitStatus> {
        let until = Instant::now() + timeout;
        loop {
            let waited = self.child.try_wait();
            if let Some(status) = waited.on("wait for", Path::new(&self.program))? {
                return Ok(status);
            }
            if Instant::now() >= until {
                let what = format!("{} took longer than {timeout:.0?}", self.program);
                return Err(Error::new(Code::TryAgain, what).hint("set a longer `timeout` in the profile"));
            }
            check()?;
            thread::sleep(TICK);
        }
    }

    /// Kills what still runs of the command. Fails if the command has failed; then the log has its last lines.
    pub fn end(&mut self, ended: Result<ExitStatus>) -> Result<()> {
        // The group exists as long as one of its processes does, so its id is not another group's.
        kill::group(Pid::from_raw(self.child.id().cast_signed()), libc::SIGKILL);
        let _ = self.child.wait();
        let said = self.output.take().and_then(|output| output.join().ok()).unwrap_or_default();
        let status = ended?;
        if status.success() {
            return Ok(());
        }
        said.iter().for_each(|line| log::warn!("{}: {line}", self.name));
        let said = &said[said.len().saturating_sub(REPEATED)..];
        let said = if said.is_empty() { String::new() } else { format!(": {}", said.join("; ")) };
        Err(Error::new(Code::Unexpected, format!("{} ended with {}{said}", self.program, in_words(status))))
    }
}

fn in_words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, signal) => format!("signal {}", signal.unwrap_or_default()),
    }
}

//! The capture commands of a profile: while the server runs, a database engine's own program writes a consistent copy of
//! some paths into a scratch folder, and the backup contains this copy instead of the live files.
//!
//! A copy is complete if the command ended with exit code 0 and the files that the profile lists in `contains` exist. In
//! every other case the backup fails, because a backup without its database must not look complete.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt,
    process::{Child, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::Instant,
};

use nix::{libc, unistd::Pid};

use super::{Job, Progress};
use crate::{
    prelude::*,
    store::{Scratch, Spool, Survey, SurveyEntry, server::Server},
};
use process::{Isolation, User, kill};
use profile::{Capture, capture::DIR};

/// How often the end of a command, the free space and a stop are looked for.
const TICK: Duration = Duration::from_millis(50);
/// Lines of a failed command's output that the log gets, and the last of them that the error repeats.
const LOGGED: usize = 30;
const REPEATED: usize = 3;

/// The captures to run: none unless a server runs, because then the files hold still, and no command could connect. A capture
/// of a folder that does not exist is skipped: a profile may know several layouts.
pub(super) fn due<'a>(job: &Job<'a>) -> Result<Vec<&'a Capture>> {
    if job.profile.captures.is_empty() || !Server::of(job.volume)?.may_run() {
        return Ok(Vec::new());
    }
    let mut due = Vec::new();
    for capture in &job.profile.captures {
        let exists = |folder: &RelPath| presence::exists(&folder.under(job.volume.root()));
        if capture.folder.as_ref().map_or(Ok(true), exists)? {
            due.push(capture);
        }
    }
    Ok(due)
}

/// The copies that the commands have written.
#[derive(Debug, Default)]
pub(super) struct Copies {
    scratch: Vec<Scratch>,
    /// For each path of the volume: the number of a scratch folder, and the path in it.
    files: BTreeMap<RelPath, (usize, RelPath)>,
}

impl Copies {
    /// Runs the commands one after the other, and adds what they wrote to the survey.
    pub(super) fn take(
        job: &Job,
        captures: &[&Capture],
        spool: &Spool,
        survey: &mut Survey,
        progress: &mut dyn Progress,
    ) -> Result<Self> {
        let mut copies = Self::default();
        // No other backup of this volume is running, because we hold its lock.
        let prefix = format!("moorline-capture-{}-", job.instance.id);
        if !captures.is_empty() {
            Scratch::clear(spool, &prefix);
        }
        for capture in captures {
            let failed = |error: Error| error.context(format!("the capture {:?} failed", capture.name));
            let user = user_of(capture, job.volume.root()).map_err(failed)?;
            let scratch = Scratch::create(spool, &prefix, &user).map_err(failed)?;
            let began = Instant::now();
            progress.begin(&format!("the capture {:?}", capture.name), 0);
            run(job, capture, &user, (spool, &scratch), progress).map_err(failed)?;
            progress.end();
            log::info!("the capture {:?} took {:.1?}", capture.name, began.elapsed());
            copies.add(job, capture, &scratch, survey).map_err(failed)?;
            copies.scratch.push(scratch);
        }
        survey.files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(copies)
    }

    /// The file to read in place of the live one, if a command wrote it.
    pub(super) fn open(&mut self, found: &SurveyEntry) -> Option<Result<File>> {
        let (number, path) = self.files.get(&found.path)?;
        self.scratch.get_mut(*number).map(|scratch| scratch.open(path, found.size))
    }

    fn add(&mut self, job: &Job, capture: &Capture, scratch: &Scratch, survey: &mut Survey) -> Result<()> {
        for needed in &capture.contains {
            if !presence::exists(&needed.under(scratch.path()))? {
                let what = format!("the command ended with exit code 0, but did not write {needed}");
                return Err(Error::new(Code::Unexpected, what)
                    .hint("run the backup with MOORLINE_LOG=debug, which logs the output of the command"));
            }
        }
        let mut is_known: BTreeSet<RelPath> = survey.files.iter().map(|found| found.path.clone()).collect();
        let mut entries = Vec::new();
        for found in scratch.entries()? {
            let path = match &capture.folder {
                Some(folder) => RelPath::new(folder.as_path().join(found.path.as_path())).map_err(not_a_path)?,
                None => found.path.clone(),
            };
            let leads =
                |path: &RelPath| capture.replaces.iter().any(|replaced| replaced.as_path().starts_with(path.as_path()));
            let leads_there = found.kind == PathKind::Directory && leads(&path);
            if !capture.copies(&path) && !leads_there {
                let what = format!("the command wrote {path}, which is below none of the paths in `replaces`");
                return Err(
                    Error::new(Code::Unexpected, what).hint("add it to `replaces`, or let the command remove it")
                );
            }
            if capture.copies(&path) {
                self.files.insert(path.clone(), (self.scratch.len(), found.path.clone()));
                entries.push(SurveyEntry { path, ..found });
            }
        }
        if entries.is_empty() {
            return Err(Error::new(Code::Unexpected, "the command ended with exit code 0, but wrote nothing"));
        }
        // Replaced folders keep their own owner and mode, and so do the folders above them.
        for replaced in &capture.replaces {
            let mut above = if capture.folder.is_some() { Some(replaced.clone()) } else { replaced.parent() };
            while let Some(path) = above {
                if is_known.insert(path.clone())
                    && let Some(meta) = presence::entry(&path.under(job.volume.root()))?
                {
                    entries.push(SurveyEntry::directory(path.clone(), &meta));
                }
                above = path.parent();
            }
        }
        survey.files.extend(entries);
        Ok(())
    }
}

fn not_a_path(_: impl std::fmt::Display) -> Error {
    Error::new(Code::Unexpected, "the command wrote a file whose name a backup cannot contain")
}

/// The user that the profile names, else the owner of the first replaced path that exists.
fn user_of(capture: &Capture, root: &Path) -> Result<User> {
    let spec = match &capture.user {
        Some(user) => user.clone(),
        None => {
            let mut owner = fs::metadata(root).on("access", root)?;
            for path in &capture.replaces {
                if let Some(meta) = presence::entry(&path.under(root))? {
                    owner = meta;
                    break;
                }
            }
            format!("{}:{}", owner.uid(), owner.gid())
        }
    };
    let user = User::find(&spec)?;
    if user.uid() == 0 && !capture.may_be_root {
        let what = "it would run as root, but the profile can be changed by other users than root";
        return Err(Error::usage(what)
            .hint("name the server's user in `as`, or let only root write the profile and its folder"));
    }
    Ok(user)
}

fn run(
    job: &Job,
    capture: &Capture,
    user: &User,
    (spool, scratch): (&Spool, &Scratch),
    progress: &mut dyn Progress,
) -> Result<()> {
    let folder = scratch.path().to_str().ok_or_else(|| {
        Error::usage(format!("the temporary folder {} is not UTF-8", scratch.path().display()))
            .hint("name another one in MOORLINE_SPOOL")
    })?;
    let words: Vec<String> = capture.dir.iter().map(|word| word.replace(DIR, folder)).collect();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).current_dir(job.volume.root()).env("HOME", user.home()).envs(&capture.env);
    for name in job.own_variables.iter().filter(|name| !capture.env.contains_key(*name)) {
        command.env_remove(name);
    }
    let mut running = Running::start(command, user, &capture.name, &words[0])?;
    let ended = running.attend(capture, spool, scratch, progress);
    let said = running.end();
    match ended? {
        status if status.success() => Ok(()),
        status => {
            said.iter().for_each(|line| log::warn!("{}: {line}", capture.name));
            let said = &said[said.len().saturating_sub(REPEATED)..];
            let said = if said.is_empty() { String::new() } else { format!(": {}", said.join("; ")) };
            let what = format!("{} ended with {}{said}", words[0], in_words(status));
            Err(Error::new(Code::Unexpected, what))
        }
    }
}

fn in_words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, signal) => format!("signal {}", signal.unwrap_or_default()),
    }
}

/// A command in a process group of its own, and the thread that logs its output.
struct Running {
    child: Child,
    output: Option<JoinHandle<Vec<String>>>,
}

impl Running {
    fn start(mut command: Command, user: &User, name: &str, program: &str) -> Result<Self> {
        let (reader, writer) = io::pipe().on("create a pipe for", Path::new(program))?;
        let other = writer.try_clone().on("create a pipe for", Path::new(program))?;
        command.stdin(Stdio::null()).stdout(writer).stderr(other);
        Isolation { ends_with_parent: true, user: Some(user.clone()), ..Isolation::default() }.apply(&mut command);
        let child = command.spawn().map_err(|cause| match cause.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => {
                let what = format!("the program {program} is not in this image");
                Error::new(Code::Unexpected, what).hint(
                    "take the backup in the server's own container: start it with `run --supervise`, or run \
                     `moorline backup` there",
                )
            }
            _ => Error::io("start", Path::new(program), &cause),
        })?;
        // The command holds the writing end; the end of the pipe must not wait for this process.
        drop(command);
        let name = name.to_owned();
        let output = thread::spawn(move || {
            let mut last = Vec::new();
            for line in BufReader::new(reader).split(b'\n').map_while(io::Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if !line.is_empty() {
                    log::debug!("{name}: {line}");
                    last.push(line);
                    last.drain(..last.len().saturating_sub(LOGGED));
                }
            }
            last
        });
        Ok(Self { child, output: Some(output) })
    }

    /// Waits for the end. Stops the command if its time is over, the disk is nearly full, or the backup is stopped.
    fn attend(
        &mut self,
        capture: &Capture,
        spool: &Spool,
        scratch: &Scratch,
        progress: &mut dyn Progress,
    ) -> Result<ExitStatus> {
        let until = Instant::now() + capture.timeout;
        loop {
            let waited = self.child.try_wait();
            if let Some(status) = waited.on("wait for", Path::new(&capture.dir[0]))? {
                return Ok(status);
            }
            if Instant::now() >= until {
                let what = format!("{} took longer than {:.0?}", capture.dir[0], capture.timeout);
                return Err(Error::new(Code::TryAgain, what).hint("set a longer `timeout` in the profile"));
            }
            if spool.is_full(scratch.path()) {
                let what =
                    format!("{} has no more room, because some free space stays for others", scratch.path().display());
                return Err(
                    Error::new(Code::TryAgain, what).hint("name a folder with more free space in MOORLINE_SPOOL")
                );
            }
            progress.check()?;
            thread::sleep(TICK);
        }
    }

    /// Kills what still runs of the command. Returns the last lines of its output.
    fn end(&mut self) -> Vec<String> {
        // The group exists as long as one of its processes does, so its id is not another group's.
        kill::group(Pid::from_raw(self.child.id().cast_signed()), libc::SIGKILL);
        let _ = self.child.wait();
        self.output.take().and_then(|output| output.join().ok()).unwrap_or_default()
    }
}

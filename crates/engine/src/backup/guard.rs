//! The guard of a capture: a process that runs `before`, stops the server's processes for a moment, and undoes both however
//! the backup ends.
//!
//! ```text
//! backup → guard   one line of JSON, the task; then an open pipe, whose end means that the copy is taken, or the backup is dead
//! guard → backup   one line of JSON when the copy can begin, another one when everything is undone
//! ```
//! The guard is a session of its own and outlives the backup. SIGTERM ends it early: it undoes everything at once. That `after`
//! is due is recorded in `.moorline/captures/` before `before` runs, so it is not forgotten if the guard dies, too. Then
//! [`finish`] runs it.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{BufRead, Write},
    os::{fd::BorrowedFd, unix::fs::DirBuilderExt},
    thread,
    time::Instant,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::FlockOperation;

use super::Progress;
use crate::{command::Setting, prelude::*};
use process::{User, freeze::Frozen};
use volume::lock::try_flock;

/// The variable that passes the output of `before` to `after`.
const SAID: &str = "MOORLINE_BEFORE";
/// How often and after which pause `after` is tried.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// How long a guard waits for the end of an earlier one.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a stop is looked for.
const TICK: Duration = Duration::from_millis(50);

/// What the guard has to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    /// The name of the capture.
    pub name: String,
    /// The user of the commands.
    pub user: String,
    pub env: BTreeMap<String, String>,
    /// Variables that the commands do not get. A guard has been started without them.
    #[serde(skip)]
    pub own_variables: Vec<String>,
    /// The working directory of the commands.
    pub root: PathBuf,
    /// The folder of the records.
    pub records: PathBuf,
    pub before: Vec<String>,
    pub after: Vec<String>,
    /// The time in which the copy has to be taken.
    pub timeout: Duration,
    /// The process to stop with its descendants, and for how long at most.
    pub freeze: Option<(i32, Duration)>,
}

/// What the guard answers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Answer {
    /// The message and the hint of an error.
    pub error: Option<(String, Option<String>)>,
    /// How long the server's processes were stopped.
    pub paused: Option<Duration>,
}

/// A capture whose `after` has not succeeded yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unfinished {
    /// The name of the capture.
    pub name: String,
    /// When `before` ran.
    pub since: jiff::Timestamp,
    /// What `before` printed.
    #[serde(default)]
    said: String,
    /// Whether `after` was tried in vain, or its guard has died.
    #[serde(default)]
    has_failed: bool,
}

impl Answer {
    fn failed(error: &Error) -> Self {
        Self { error: Some((error.message().to_owned(), error.advice().map(str::to_owned))), paused: None }
    }
}

impl Task {
    pub fn of(capture: &profile::Capture, setting: &Setting, records: &Path) -> Self {
        Self {
            name: capture.name.clone(),
            user: setting.user.spec().to_owned(),
            env: capture.env.clone(),
            own_variables: setting.own_variables.to_owned(),
            root: setting.folder.to_owned(),
            records: records.to_owned(),
            before: capture.before.clone(),
            after: capture.after.clone(),
            timeout: capture.timeout,
            freeze: None,
        }
    }

    fn run(&self, words: &[String], said: Option<&str>, check: &mut dyn FnMut() -> Result<()>) -> Result<String> {
        let mut env = self.env.clone();
        env.extend(said.map(|said| (SAID.to_owned(), said.to_owned())));
        let user = User::find(&self.user)?;
        let (name, folder, timeout) = (self.name.as_str(), self.root.as_path(), self.timeout);
        Setting { name, user, env: &env, own_variables: &self.own_variables, folder, timeout }.answer(words, check)
    }

    /// Runs `after` until it succeeds, a few times at most. Then nothing is due any more.
    pub fn finish(&self, said: &str) -> Result<()> {
        let mut tries = 1;
        loop {
            match self.run(&self.after, Some(said), &mut || Ok(())) {
                Ok(_) => return durable::remove_file(&record_of(&self.records, &self.name)),
                Err(_) if tries < TRIES => {
                    tries += 1;
                    thread::sleep(PAUSE);
                }
                Err(error) => {
                    let path = record_of(&self.records, &self.name);
                    if let Some(record) = read_record(&path)? {
                        write_record(&path, &Unfinished { has_failed: true, ..record })?;
                    }
                    return Err(error.context("`after` failed"));
                }
            }
        }
    }
}

/// The guard's process: reads a task from `input`, and answers to `output`.
pub fn guard(
    input: &mut (impl BufRead + std::os::fd::AsFd),
    output: &mut dyn Write,
    progress: &mut dyn Progress,
) -> Result<()> {
    let mut line = String::new();
    input.read_line(&mut line).on("read the task of", Path::new("a guard"))?;
    let task: Task = serde_json::from_str(&line).map_err(|cause| Error::usage(format!("not a task: {cause}")))?;
    // The backup may be dead, and then nothing reads the answer.
    let mut answer = |answer: &Answer| {
        let mut line = serde_json::to_vec(answer).unwrap_or_default();
        line.push(b'\n');
        let _ = output.write_all(&line).and_then(|()| output.flush());
    };
    let input = input.as_fd();
    let began = Instant::now();
    let mut said = String::new();
    let _lock = match lock(&task.records, PATIENCE).and_then(|lock| lock.ok_or_else(busy)) {
        Ok(lock) => lock,
        Err(error) => {
            answer(&Answer::failed(&error));
            return Ok(());
        }
    };
    if presence::exists(&record_of(&task.records, &task.name))? {
        // Its guard has given up while this one waited. `before` must not run again.
        answer(&Answer::failed(&busy()));
        return Ok(());
    }
    let begun = (|| {
        record(&task, &said)?;
        if !task.before.is_empty() {
            let mut check =
                || if wait(input, Duration::ZERO)? { Err(stopped()) } else { progress.check().map_err(|_| stopped()) };
            said = task.run(&task.before, None, &mut check).map_err(|error| error.context("`before` failed"))?;
            record(&task, &said)?;
        }
        let frozen = task.freeze.map(|(server, most)| Frozen::stop(server, Instant::now() + most)).transpose()?;
        Ok((frozen, Instant::now()))
    })();
    let ended = match begun {
        Ok((frozen, since)) => {
            answer(&Answer::default());
            let most = task.freeze.map_or(task.timeout.saturating_sub(began.elapsed()), |(_, most)| most);
            let in_time = wait_for_end(input, since + most, progress);
            let was_frozen = frozen.is_some();
            drop(frozen);
            let paused = was_frozen.then(|| since.elapsed());
            let finished = if task.after.is_empty() { Ok(()) } else { task.finish(&said) };
            in_time.and(finished).map(|()| paused)
        }
        // `before` may have done its work, or a part of it.
        Err(error) if task.after.is_empty() => Err(error),
        Err(error) => task.finish(&said).and(Err(error)),
    };
    answer(&match ended {
        Ok(paused) => Answer { error: None, paused },
        Err(error) => Answer::failed(&error),
    });
    Ok(())
}

/// Waits until the backup has the copy, or has ended. Fails if that takes too long.
fn wait_for_end(input: BorrowedFd<'_>, until: Instant, progress: &mut dyn Progress) -> Result<()> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if wait(input, left.min(TICK))? {
            return Ok(());
        }
        if left.is_zero() {
            return Err(Error::new(Code::TryAgain, "the copy was not taken in time")
                .hint("set a longer `timeout` or `max_pause` in the profile"));
        }
        progress.check().map_err(|_| stopped())?;
    }
}

/// Whether the pipe has ended.
fn wait(input: BorrowedFd<'_>, time: Duration) -> Result<bool> {
    let mut fds = [PollFd::new(input, PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
    match poll(&mut fds, timeout) {
        Ok(count) => Ok(count > 0),
        Err(nix::errno::Errno::EINTR) => Ok(false),
        Err(errno) => Err(Error::io("wait for", Path::new("the backup"), &errno.into())),
    }
}

fn stopped() -> Error {
    Error::new(Code::TryAgain, "the backup was stopped")
}

fn busy() -> Error {
    Error::new(Code::TryAgain, "`after` of an earlier backup has not ended yet")
        .hint("take the backup again when it has ended")
}

/// Held by a guard, so that no other one runs `before` or `after`.
fn lock(records: &Path, patience: Duration) -> Result<Option<File>> {
    if !presence::is_dir(records)? {
        fs::DirBuilder::new().mode(0o700).create(records).on("create", records)?;
        records.parent().map_or(Ok(()), durable::sync_dir)?;
    }
    let path = records.join("lock");
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).open(&path).on("open", &path)?;
    let until = Instant::now() + patience;
    loop {
        if try_flock(&file, FlockOperation::NonBlockingLockExclusive, &path)? {
            return Ok(Some(file));
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        thread::sleep(TICK);
    }
}

fn record(task: &Task, said: &str) -> Result<()> {
    if task.after.is_empty() {
        return Ok(());
    }
    let (name, since, said) = (task.name.clone(), jiff::Timestamp::now(), said.to_owned());
    write_record(&record_of(&task.records, &task.name), &Unfinished { name, since, said, has_failed: false })
}

fn write_record(path: &Path, record: &Unfinished) -> Result<()> {
    let text = serde_json::to_vec(record)
        .map_err(|cause| Error::new(Code::Bug, format!("cannot serialize a record: {cause}")))?;
    durable::write(path, &text, 0o600)
}

fn read_record(path: &Path) -> Result<Option<Unfinished>> {
    let Some(text) = presence::unless_absent(fs::read(path)).on("read", path)? else { return Ok(None) };
    let wrong = |cause| {
        Error::new(Code::Unexpected, format!("cannot parse {}: {cause}", path.display()))
            .hint("run `after` of the profile's captures yourself, and remove the file")
    };
    serde_json::from_slice(&text).map(Some).map_err(wrong)
}

/// Names are free text, so the file has a digest of it.
fn record_of(records: &Path, name: &str) -> PathBuf {
    records.join(format!("{}.json", &blake3::hash(name.as_bytes()).to_hex()[..16]))
}

/// The folder of the records.
pub(super) fn records_of(volume: &Volume) -> PathBuf {
    volume.own().join("captures")
}

/// The captures whose `after` is due, because it was tried in vain or no guard takes care of it.
pub fn unfinished(volume: &Volume) -> Result<Vec<Unfinished>> {
    let records = records_of(volume);
    let mut found = read_records(&records)?;
    // A guard that is at work removes its record, unless `after` fails.
    if !found.is_empty() && lock(&records, Duration::ZERO)?.is_none() {
        found.retain(|record| record.has_failed);
    }
    Ok(found)
}

fn read_records(records: &Path) -> Result<Vec<Unfinished>> {
    let mut found = Vec::new();
    for entry in volume::listing::entries(records)?.unwrap_or_default() {
        let path = records.join(&entry.name);
        if path.extension().is_some_and(|extension| extension == "json") {
            found.extend(read_record(&path)?);
        }
    }
    Ok(found)
}

/// Runs `after` of each capture whose backup could not. Fails with the first error, after all were tried.
pub fn finish(volume: &Volume, profile: &Profile, own_variables: &[String]) -> Result<()> {
    let records = records_of(volume);
    if read_records(&records)?.is_empty() {
        return Ok(());
    }
    // A guard that is at work finishes by itself.
    let Some(_lock) = lock(&records, Duration::ZERO)? else { return Ok(()) };
    let mut done = Ok(());
    for due in read_records(&records)? {
        let Some(capture) =
            profile.captures.iter().find(|capture| capture.name == due.name && !capture.after.is_empty())
        else {
            log::warn!(
                "`after` of the capture {:?} has not succeeded since {:.0}, and the profile does not have it any more",
                due.name,
                due.since
            );
            durable::remove_file(&record_of(&records, &due.name))?;
            continue;
        };
        write_record(&record_of(&records, &due.name), &Unfinished { has_failed: true, ..due.clone() })?;
        let setting = Setting::of(capture, volume.root(), own_variables, None)?;
        let task = Task::of(capture, &setting, &records);
        match task.finish(&due.said) {
            Ok(()) => log::info!("`after` of the capture {:?} has succeeded", due.name),
            Err(error) => done = done.and(Err(error.context(format!("the capture {:?}", due.name)))),
        }
    }
    done
}

//! The capture commands of a profile: while the server runs, a database engine's own program writes a consistent copy of
//! some paths, and the backup contains this copy instead of the live files. The copy is a scratch folder that the program
//! fills, or a temporary file with its output.
//!
//! A copy is complete if the command ended with exit code 0, a tar has its end, and the files that the profile lists in
//! `contains` exist. In every other case the backup fails, because a backup without its database must not look complete.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

use super::{Job, Progress, bracket::Bracket, guard};
use crate::{
    command::{Running, Setting},
    prelude::*,
    store::{self, Beneath, Matcher, Scratch, SealedFile, Spool, Survey, SurveyEntry, server::Server, tar_members},
};
use nix::fcntl::OFlag;
use profile::{
    Capture,
    capture::{DIR, Form},
};

/// The captures to run: none unless a server runs, because then the files hold still, and no command could connect. A capture
/// of a folder that does not exist is skipped, because a profile may know several layouts, and so is one whose `when` says so.
pub(super) fn due<'a>(job: &Job<'a>, progress: &mut dyn Progress) -> Result<Vec<&'a Capture>> {
    if job.profile.captures.is_empty() || !Server::of(job.volume)?.may_run() {
        return Ok(Vec::new());
    }
    let mut due = Vec::new();
    for capture in &job.profile.captures {
        let exists = |folder: &RelPath| presence::exists(&folder.under(job.volume.root()));
        if capture.folder.as_ref().map_or(Ok(true), exists)? && applies(job, capture, progress)? {
            due.push(capture);
        }
    }
    Ok(due)
}

fn applies(job: &Job, capture: &Capture, progress: &mut dyn Progress) -> Result<bool> {
    if capture.when.is_empty() {
        return Ok(true);
    }
    let answer = Setting::of(capture, job.volume.root(), &job.own_variables, None)
        .and_then(|setting| setting.answer(&capture.when, &mut || progress.check()))
        .and_then(|answer| match answer.as_str() {
            "yes" => Ok(true),
            "no" => Ok(false),
            _ => {
                let what = format!("it printed {answer:?} instead of yes or no");
                Err(Error::new(Code::Unexpected, what).hint("let the command print yes or no to stdout"))
            }
        });
    answer.map_err(|error| error.context(format!("`when` of the capture {:?} failed", capture.name)))
}

/// The paths that are read from the copies only.
pub(super) fn replaced(captures: &[&Capture]) -> Vec<RelPath> {
    captures.iter().flat_map(|capture| capture.replaces.iter().chain(file_of(capture)).cloned()).collect()
}

/// The file that the command writes to stdout.
const fn file_of(capture: &Capture) -> Option<&RelPath> {
    match &capture.form {
        Form::File { path, .. } => Some(path),
        _ => None,
    }
}

/// The copies that the commands have written.
#[derive(Debug, Default)]
pub(super) struct Copies {
    outputs: Vec<Output>,
    /// For each path of the volume: the number of an output, and where the content is in it.
    files: BTreeMap<RelPath, (usize, Place)>,
}

#[derive(Debug)]
enum Output {
    Folder(Scratch),
    File(Box<SealedFile>),
}

/// Where the content of a file is.
#[derive(Debug, Clone)]
enum Place {
    Path(RelPath),
    Offset(u64),
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
        if !captures.is_empty() {
            // No other backup of this volume is running, because we hold its lock.
            Scratch::clear(spool, &scratch_prefix(job));
            // Otherwise `before` would read what an earlier one has set.
            guard::finish(job.volume, job.profile, &job.own_variables)?;
        }
        for capture in captures {
            let began = Instant::now();
            progress.begin(&format!("the capture {:?}", capture.name), 0);
            copies
                .take_one(job, capture, spool, survey, progress)
                .map_err(|error| error.context(format!("the capture {:?} failed", capture.name)))?;
            progress.end();
            log::info!("the capture {:?} took {:.1?}", capture.name, began.elapsed());
        }
        survey.files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(copies)
    }

    fn take_one(
        &mut self,
        job: &Job,
        capture: &Capture,
        spool: &Spool,
        survey: &mut Survey,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        let setting = Setting::of(capture, job.volume.root(), &job.own_variables, None)?;
        let bracket = Bracket::open(job, capture, &setting, progress)?;
        let (output, found) = match &capture.form {
            Form::Dir(words) => fill_folder(job, (capture, &setting), words, spool, progress)?,
            Form::Tar(words) => {
                let output = read_output((capture, &setting), words, spool, progress)?;
                let members = tar_members(&mut output.reader(0), output.length())?;
                let found = members.into_iter().map(|member| (member.found, Place::Offset(member.offset)));
                (Output::File(Box::new(output)), found.collect())
            }
            Form::File { path, command } => {
                let output = read_output((capture, &setting), command, spool, progress)?;
                let found = one_file(job, path, output.length(), &setting)?;
                (Output::File(Box::new(output)), vec![(found, Place::Offset(0))])
            }
            Form::Files { globs, .. } => copy_files(job, capture, globs, spool, survey, progress)?,
        };
        if let Some(bracket) = bracket {
            bracket.close(&capture.name, progress)?;
        }
        self.add(job, capture, found, survey)?;
        self.outputs.push(output);
        Ok(())
    }

    /// The file to read in place of the live one, if a command wrote it.
    pub(super) fn open(&mut self, found: &SurveyEntry) -> Option<Result<Box<dyn Read + '_>>> {
        let (number, place) = self.files.get(&found.path)?;
        Some(match (self.outputs.get_mut(*number)?, place) {
            (Output::Folder(scratch), Place::Path(path)) => {
                scratch.open(path, found.size).map(|file| Box::new(file) as Box<dyn Read>)
            }
            (Output::File(file), Place::Offset(start)) => Ok(Box::new(file.reader(*start))),
            _ => Err(Error::new(Code::Bug, format!("the copy of {} has another form", found.path))),
        })
    }

    fn add(
        &mut self,
        job: &Job,
        capture: &Capture,
        found: Vec<(SurveyEntry, Place)>,
        survey: &mut Survey,
    ) -> Result<()> {
        let is_file = file_of(capture).is_some();
        if capture.unpack.is_empty() {
            for needed in &capture.contains {
                if !found.iter().any(|(found, _)| found.path == *needed) {
                    let what = format!("the command ended with exit code 0, but did not write {needed}");
                    return Err(Error::new(Code::Unexpected, what)
                        .hint("run the backup with MOORLINE_LOG=debug, which logs the output of the command"));
                }
            }
        }
        let mut is_known: BTreeSet<RelPath> = survey.files.iter().map(|found| found.path.clone()).collect();
        let mut entries = Vec::new();
        for (found, place) in found {
            let path = match &capture.folder {
                Some(folder) if !is_file => {
                    RelPath::new(folder.as_path().join(found.path.as_path())).map_err(not_a_path)?
                }
                _ => found.path.clone(),
            };
            let leads =
                |path: &RelPath| capture.replaces.iter().any(|replaced| replaced.as_path().starts_with(path.as_path()));
            let is_copy = is_file || !capture.globs().is_empty() || capture.copies(&path);
            let is_above = found.kind == PathKind::Directory && leads(&path);
            if !is_copy && !is_above {
                let what = format!("the command wrote {path}, which is below none of the paths in `replaces`");
                return Err(Error::new(Code::Unexpected, what).hint(
                    "if the output is a folder of `replaces`, end that with a /; else add the path to `replaces`, or let the \
                     command remove it",
                ));
            }
            if is_copy && found.kind != PathKind::File && !is_known.insert(path.clone()) {
                continue;
            }
            if is_copy {
                if self.files.contains_key(&path) {
                    let what = format!("{path} is copied by two captures");
                    return Err(Error::usage(what).hint("let `when` of at most one of them print yes"));
                }
                self.files.insert(path.clone(), (self.outputs.len(), place));
                entries.push(SurveyEntry { path, ..found });
            }
        }
        if entries.is_empty() && capture.globs().is_empty() {
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

fn scratch_prefix(job: &Job) -> String {
    format!("moorline-capture-{}-", job.instance.id)
}

fn fill_folder(
    job: &Job,
    (capture, setting): (&Capture, &Setting),
    words: &[String],
    spool: &Spool,
    progress: &mut dyn Progress,
) -> Result<(Output, Vec<(SurveyEntry, Place)>)> {
    let scratch = Scratch::create(spool, &scratch_prefix(job), &setting.user)?;
    let folder = scratch.path().to_str().ok_or_else(|| {
        Error::usage(format!("the temporary folder {} is not UTF-8", scratch.path().display()))
            .hint("name another one in MOORLINE_SPOOL")
    })?;
    let words: Vec<String> = words.iter().map(|word| word.replace(DIR, folder)).collect();
    setting.run(&words, Stdio::null(), &mut || {
        spool.refuse_full(scratch.path())?;
        progress.check()
    })?;
    let mut entries = Vec::new();
    for found in scratch.entries()? {
        let place = Place::Path(found.path.clone());
        entries.push((as_the_live_one(job, (capture, setting), found)?, place));
    }
    Ok((Output::Folder(scratch), entries))
}

/// Stores what the command writes to stdout, as fast as the disk takes it: while it waits, its server may, too.
fn read_output(
    (capture, setting): (&Capture, &Setting),
    words: &[String],
    spool: &Spool,
    progress: &mut dyn Progress,
) -> Result<SealedFile> {
    let mut output = SealedFile::create(spool)?;
    let mut running = Running::start(setting, words, Stdio::null(), true)?;
    let mut stdout = running.stdout();
    let name = Path::new(&words[0]);
    let has_failed = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let read = output.append(spool, &mut stdout, name, capture.pace).and_then(|_| output.finish());
            has_failed.store(read.is_err(), Ordering::Relaxed);
            read
        });
        let ended = running.attend(capture.timeout, &mut || match has_failed.load(Ordering::Relaxed) {
            true => Err(Error::new(Code::Unexpected, "its output could not be stored")),
            false => progress.check(),
        });
        let ended = running.end(ended);
        let read = reader.join().map_err(|_| Error::new(Code::Bug, "the thread that stores the output has ended"))?;
        read.and(ended)
    })?;
    if output.length() == 0 {
        return Err(Error::new(Code::Unexpected, "the command ended with exit code 0, but wrote nothing"));
    }
    Ok(output)
}

/// Reads the files of the volume themselves, as they are now.
fn copy_files(
    job: &Job,
    capture: &Capture,
    globs: &[String],
    spool: &Spool,
    survey: &mut Survey,
    progress: &mut dyn Progress,
) -> Result<(Output, Vec<(SurveyEntry, Place)>)> {
    let root = job.volume.root();
    let scope = Scope { files: globs.to_vec(), exclude: job.profile.scope.exclude.clone(), ..Scope::default() };
    let matcher = Matcher::of(&scope)?;
    // The one before may be of another moment.
    let found = store::survey(root, &matcher)?.files;
    survey.files.retain(|old| !matcher.takes(&old.path, old.kind));
    let mut beneath = Beneath::open(root).on("open", root)?;
    let mut output = SealedFile::create(spool)?;
    let mut copied = Vec::with_capacity(found.len());
    for found in found {
        progress.check()?;
        let start = output.length();
        if found.kind == PathKind::File {
            let path = found.path.under(root);
            let file =
                File::from(beneath.open_file(&found.path, OFlag::O_RDONLY | OFlag::O_NONBLOCK).on("open", &path)?);
            // What is appended meanwhile belongs to a later state.
            if output.append(spool, &mut file.take(found.size), &path, capture.pace)? != found.size {
                let what = format!("{} became shorter while it was copied", found.path);
                return Err(Error::new(Code::TryAgain, what)
                    .hint("let `before` stop the server's writes, or use `freeze = true`"));
            }
        }
        copied.push((found, Place::Offset(start)));
    }
    output.finish()?;
    Ok((Output::File(Box::new(output)), copied))
}

/// A file that takes the place of another one has its owner and mode, because a program may write with another user and umask
/// than the server. A new one of the command's user belongs to the owner of the replaced path.
fn as_the_live_one(job: &Job, (capture, setting): (&Capture, &Setting), mut found: SurveyEntry) -> Result<SurveyEntry> {
    let root = job.volume.root();
    let path = match &capture.folder {
        Some(folder) => folder.under(root).join(found.path.as_path()),
        None => found.path.under(root),
    };
    if let Some(live) = presence::entry(&path)?.filter(|live| live.is_file() && found.kind == PathKind::File) {
        let live = SurveyEntry::directory(found.path.clone(), &live);
        (found.mode, found.uid, found.gid) = (live.mode, live.uid, live.gid);
    } else if found.uid == setting.user.uid()
        && let Some(base) = capture.replaces.first()
        && let Some(live) = presence::entry(&base.under(root))?
    {
        let live = SurveyEntry::directory(base.clone(), &live);
        (found.uid, found.gid) = (live.uid, live.gid);
    }
    Ok(found)
}

/// A file that takes the place of another one has its owner and mode.
fn one_file(job: &Job, path: &RelPath, length: u64, setting: &Setting) -> Result<SurveyEntry> {
    let root = job.volume.root();
    let live = presence::entry(&path.under(root))?;
    let meta = fs::metadata(root).on("access", root)?;
    let template = SurveyEntry::directory(path.clone(), live.as_ref().unwrap_or(&meta));
    let (mode, uid, gid) = match &live {
        Some(_) => (template.mode, template.uid, template.gid),
        None => (0o600, setting.user.uid(), setting.user.gid()),
    };
    let now = job.now.as_second();
    Ok(SurveyEntry {
        kind: PathKind::File,
        size: length,
        allocated: length,
        mode,
        uid,
        gid,
        mtime_secs: now,
        mtime_nanos: 0,
        dev: 0,
        ino: 0,
        ..template
    })
}

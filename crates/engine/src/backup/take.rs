//! One backup taken: every read transaction opened, every page and file sealed, the result read back, then named.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};
use volume::presence;

use super::{
    Counted, Kind, Manifest, Progress,
    catalog::Summary,
    manifest::member_of,
    name,
    quarantine::Remembered,
    stores, suspect,
    temporary::{Temporary, remove_leftovers, taken_name},
    verify,
};
use crate::{
    metastore::{self, MetastoreLock},
    store::{Files, Note, Snapshot, Spool, Survey, SurveyEntry, open_all, survey},
};
use profile::{PathKind, Profile};
use seqbac::{HeaderFields, Options, Writer};
use seqbac_header::{Id, RelPath, SecretKey};
use volume::{
    BackupLock, Instance, Volume, durable,
    error::{Code, Error, IoContext, Result},
};

/// How long to wait for a server that has locked a database for itself.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a transaction may keep a writer waiting before it is worth a line in the log.
const WORTH_SAYING: Duration = Duration::from_millis(100);

/// What to back up, and how.
#[derive(Debug)]
pub struct Job<'a> {
    /// The volume.
    pub volume: &'a Volume,
    /// Who it is. To be looked at before it is asked whether a restore is unfinished: one that begins later shows in it.
    pub instance: &'a Instance,
    /// What its state is.
    pub profile: &'a Profile,
    /// The key it is sealed with.
    pub key: &'a SecretKey,
    /// Why.
    pub kind: Kind,
    /// Whether the databases are checked.
    pub check: bool,
    /// Whether somebody said that a store may be empty that was not before.
    pub may_be_empty: bool,
    /// What time it is.
    pub now: jiff::Timestamp,
}

/// Where the backup goes.
pub enum Destination<'a> {
    /// `Backups/`, under the name of its kind.
    Backups,
    /// A file, or a folder that it gets its usual name in.
    Path(&'a Path),
    /// A stream, which cannot be read back.
    Stream(&'a mut dyn Write),
}

impl std::fmt::Debug for Destination<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Destination").finish_non_exhaustive()
    }
}

/// A backup that was taken.
#[derive(Debug)]
pub struct Taken {
    /// What it is, and where; `file` is empty for a stream.
    pub summary: Summary,
    /// Faults that the databases had, by path.
    pub findings: Vec<(RelPath, String)>,
    /// Stores that are suddenly empty.
    pub suspect: Vec<Note>,
    /// Files that changed each time they were read.
    pub torn: Vec<RelPath>,
}

/// Takes a backup.
///
/// # Errors
/// Where the state cannot be read whole, or the backup cannot be written whole: then there is no file.
pub fn take(job: &Job, destination: Destination, progress: &mut dyn Progress) -> Result<Taken> {
    let _lock = BackupLock::take(job.volume)?;
    job.volume.clear_spool();
    let instance = job.instance;
    let header = HeaderFields {
        created: in_millis(job.now),
        id: Id::random()?,
        instance: Some(instance.id),
        writer: format!("moorline {}", env!("CARGO_PKG_VERSION")),
    };
    let mut capture = Capture::open(job, &header)?;
    match destination {
        Destination::Stream(out) => {
            let (_, bytes, torn) = capture.write(job, &header, out, progress)?;
            Ok(capture.taken(job, &header, PathBuf::new(), bytes, torn))
        }
        Destination::Backups => {
            job.volume.refuse_missing_backups()?;
            let folder = job.volume.backups();
            remove_leftovers(&folder, folder == job.volume.own_backups());
            let path = folder.join(usual_name(job, &header));
            capture.write_file(job, &header, &path, true, progress)
        }
        Destination::Path(path) if presence::is_dir(path)? => {
            capture.write_file(job, &header, &path.join(usual_name(job, &header)), true, progress)
        }
        Destination::Path(path) => {
            if presence::exists(path)? {
                return Err(taken_name(path));
            }
            capture.write_file(job, &header, path, false, progress)
        }
    }
}

/// Everything that is to be captured, with its read transactions open.
struct Capture {
    manifest: Manifest,
    memory: Remembered,
    snapshots: Vec<Snapshot>,
    survey: Survey,
    spool: Spool,
}

impl Capture {
    fn open(job: &Job, header: &HeaderFields) -> Result<Self> {
        let root = job.volume.root();
        let memory = Remembered::of(job.volume)?;
        let scope = job.profile.scope.and_files(&memory.files());
        let survey = survey(root, &scope.compile()?)?;
        let (held, metastore) = metastore_of(job)?;
        stores::refuse_missing(job.profile, &survey, metastore.is_some(), root)?;
        let spool = Spool::on(job.volume);
        let found: Vec<SurveyEntry> = metastore.iter().chain(&survey.databases).cloned().collect();
        // All are open before the first is read: their states are as close together as can be had from outside.
        let mut snapshots = open_all(root, &found, &spool, PATIENCE)?;
        let mut databases = Vec::new();
        if metastore.is_some() {
            let mut ours = snapshots.remove(0);
            databases.push(ours.facts(job.check)?);
            // It is small: nobody waits for its lock as long as the rest of the state takes.
            snapshots.insert(0, ours.let_go(&spool)?);
        }
        drop(held);
        for (waited, path) in snapshots.iter().filter_map(|one| Some((one.waited()?, &one.found().path))) {
            if waited >= WORTH_SAYING {
                log::info!("writers of {path} were kept waiting for {waited:.1?}: it is not in WAL mode");
            }
        }
        for snapshot in snapshots.iter_mut().skip(databases.len()) {
            databases.push(snapshot.facts(job.check)?);
        }
        let manifest = Manifest {
            moorline: env!("CARGO_PKG_VERSION").to_owned(),
            created: header.created,
            kind: job.kind,
            instance: job.instance.id,
            profile: job.profile.name.clone(),
            apps: job.profile.apps,
            quarantined: memory.is_some(),
            suspect: match job.may_be_empty {
                true => Vec::new(),
                false => suspect::look(job.volume, job.key, job.instance.id, job.now, (&scope, &survey, &databases)),
            },
            scope,
            databases,
            notes: survey.notes.clone(),
        };
        Ok(Self { manifest, memory, snapshots, survey, spool })
    }

    fn bytes(&self) -> u64 {
        let databases = self.manifest.databases.iter().map(|database| database.bytes);
        // Links have a size, and no content.
        let files = self.survey.files.iter().filter(|found| found.kind == PathKind::File);
        databases.chain(files.map(|found| found.size)).sum()
    }

    /// Writes the whole backup, and says how long it is and what was torn.
    fn write<W: Write>(
        &mut self,
        job: &Job,
        header: &HeaderFields,
        out: W,
        progress: &mut dyn Progress,
    ) -> Result<(W, u64, Vec<RelPath>)> {
        progress.begin("backing up", self.bytes());
        let mut writer = Writer::new(out, job.key, header.clone(), Options::default())?;
        writer.manifest(&self.manifest.to_bytes()?)?;
        self.memory.write(&mut writer, self.manifest.created)?;
        self.write_databases(&mut writer, progress)?;
        let torn = self.write_files(job, &mut writer, progress)?;
        refuse_if_restored(job)?;
        self.memory.refuse_if_changed(job.volume)?;
        let (out, summary) = writer.finish()?;
        progress.end();
        Ok((out, summary.bytes, torn))
    }

    fn write_databases<W: Write>(&mut self, writer: &mut Writer<W>, progress: &mut dyn Progress) -> Result<()> {
        // Each is let go when it has been read: a transaction that stays open keeps the `-wal` growing.
        for (mut snapshot, facts) in std::mem::take(&mut self.snapshots).into_iter().zip(&self.manifest.databases) {
            let mut entry = snapshot.found().entry(facts.bytes, false);
            entry.path = member_of(&facts.path);
            add(writer, &entry, &mut Counted { inner: snapshot.read()?, progress }, &facts.path)?;
            if snapshot.was_replaced()? {
                let what = format!("{} was replaced or removed while the backup was made", facts.path);
                return Err(Error::new(Code::TryAgain, what).hint("take the backup again"));
            }
        }
        Ok(())
    }

    fn write_files<W: Write>(
        &self,
        job: &Job,
        writer: &mut Writer<W>,
        progress: &mut dyn Progress,
    ) -> Result<Vec<RelPath>> {
        let mut torn = Vec::new();
        let mut files = Files::new(job.volume.root(), &self.survey, &self.spool)?;
        for found in &self.survey.files {
            if found.kind != PathKind::File {
                let entry = seqbac::Entry { path: member_of(&found.path), ..found.entry(0, false) };
                add(writer, &entry, &mut io::empty(), &found.path)?;
                continue;
            }
            let Some(mut captured) = files.capture(found)? else {
                log::info!("{} was removed while the backup was made", found.path);
                continue;
            };
            if captured.torn {
                log::warn!("{} changed each of the times it was read; the backup holds a torn copy", found.path);
                torn.push(found.path.clone());
            }
            let entry = found.entry(captured.size, captured.torn);
            let entry = seqbac::Entry { path: member_of(&found.path), ..entry };
            add(writer, &entry, &mut Counted { inner: &mut captured.content, progress }, &found.path)?;
        }
        Ok(torn)
    }

    /// Writes under a temporary name, flushes, reads back, and gives the file its name.
    fn write_file(
        &mut self,
        job: &Job,
        header: &HeaderFields,
        path: &Path,
        may_add_time: bool,
        progress: &mut dyn Progress,
    ) -> Result<Taken> {
        // Of its own name: others may keep their backups in the same folder, and process ids are small in containers.
        let temporary = Temporary::of(path, header.id);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary.path());
        let file = file.on("create", temporary.path()).map_err(|error| error.context("the backup was not made"))?;
        let mut out = WriteBack { file, written: 0, started: 0 };
        let (buffered, bytes, torn) = self.write(job, header, BufWriter::with_capacity(1 << 20, &mut out), progress)?;
        buffered.into_inner().map_err(io::IntoInnerError::into_error).on("write", path)?;
        durable::sync_file(&out.file, path)?;
        drop(out);
        verify::read_whole(temporary.path(), job.key, progress)
            .map_err(|error| error.context("the backup could not be read back and was not kept"))?;
        let path = temporary.name_it(path, may_add_time.then_some(header.created))?;
        Ok(self.taken(job, header, path, bytes, torn))
    }

    fn taken(&self, job: &Job, header: &HeaderFields, file: PathBuf, bytes: u64, torn: Vec<RelPath>) -> Taken {
        let findings = self
            .manifest
            .databases
            .iter()
            .flat_map(|database| database.findings.iter().map(|finding| (database.path.clone(), finding.clone())));
        let findings: Vec<_> = findings.collect();
        Taken {
            summary: Summary {
                file,
                id: header.id,
                created: header.created,
                kind: job.kind,
                bytes,
                verified: Some(findings.is_empty()),
                key_fingerprint: job.key.fingerprint(),
                instance_id: header.instance,
                profile: job.profile.name.clone(),
                quarantined: Some(self.memory.is_some()),
                suspect: Some(!self.manifest.suspect.is_empty()),
            },
            suspect: self.manifest.suspect.clone(),
            findings,
            torn,
        }
    }
}

/// The console's database, and the right to open it.
fn metastore_of(job: &Job) -> Result<(Option<MetastoreLock>, Option<SurveyEntry>)> {
    if !metastore::is_there(job.volume)? {
        return Ok((None, None));
    }
    let held = MetastoreLock::shared(job.volume)?;
    // Of a restore that was cut off, the instance is the first that changed: what is half moved is not to be opened.
    refuse_if_restored(job)?;
    let found = SurveyEntry::database(job.volume.root(), &metastore::path())?;
    Ok((Some(held), found))
}

/// A backup needs no lock, so a restore may have replaced half of what was read: the instance tells.
fn refuse_if_restored(job: &Job) -> Result<()> {
    let (then, now) = (job.instance, Instance::load(job.volume)?);
    if now.is_some_and(|now| now.restore_epoch == then.restore_epoch && now.id == then.id) {
        return Ok(());
    }
    Err(Error::new(Code::TryAgain, "the volume was restored while the backup was made").hint("take the backup again"))
}

/// Adds one member; a failure of what it is read from stays itself.
fn add<W: Write>(writer: &mut Writer<W>, entry: &seqbac::Entry, content: &mut dyn Read, path: &RelPath) -> Result<()> {
    writer.member(entry, content).map_err(|error| Error::from(error).context(format!("cannot back up {path}")))
}

/// A file whose bytes start on their way to the disk while the next ones are compressed.
struct WriteBack {
    file: File,
    written: u64,
    started: u64,
}

impl Write for &mut WriteBack {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.written += count as u64;
        if self.written - self.started >= 8 << 20 {
            process::writeback::start(&self.file, self.started, self.written - self.started);
            self.started = self.written;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn usual_name(job: &Job, header: &HeaderFields) -> String {
    match job.kind {
        Kind::Immediate => name::immediate(header.created),
        Kind::Scheduled => name::scheduled(&job.profile.prefix, header.created),
    }
}

/// The header counts milliseconds; so does everything that is compared with it.
fn in_millis(now: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

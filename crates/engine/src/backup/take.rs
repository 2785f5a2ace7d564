//! Takes one backup: opens all read transactions, encrypts every page and file, reads the result back, and names it.

use std::{
    collections::{BTreeMap, HashSet},
    fs::OpenOptions,
    io::{BufWriter, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
};

use super::{
    Assessment, BackupKind, CapturedPaths, Counted, Manifest, Progress, RootFacts, Soundness,
    captures::{self, Copies},
    catalog::Summary,
    file_facts,
    manifest::member_of,
    name, quarantine, stores,
    streams::{Padded, WriteBack},
    suspect,
    temporary::{Temporary, remove_leftovers, taken_name},
    verify,
    warnings::{warn_about, warn_about_foreign},
};
use crate::{
    metastore::{self, MetastoreLock},
    prelude::*,
    quarantine::QuarantineRecord,
    store::{
        AttributeReader, Files, Matcher, Note, Opened, Snapshot, Spool, Survey, SurveyEntry, child, foreign,
        open_present, server::Server, sidecar_base, survey,
    },
};
use seqbac::{HeaderFields, Options, Writer};
use volume::{BackupLock, BackupRecord, Instance, listing, record::Recorded};

/// Log a line if writers had to wait for at least this time.
const LOGGED_WAIT: Duration = Duration::from_millis(100);

/// What to back up, and how.
#[derive(Debug)]
pub struct Job<'a> {
    /// The volume to back up.
    pub volume: &'a Volume,
    /// The volume's instance, loaded before the check for an unfinished restore, so that a later restore is detected.
    pub instance: &'a Instance,
    /// Describes the state.
    pub profile: &'a Profile,
    /// Encrypts the backup.
    pub key: &'a SecretKey,
    /// Why the backup is taken.
    pub kind: BackupKind,
    /// Whether to check the databases.
    pub check: bool,
    /// Whether suddenly empty stores are accepted (`--not-suspect`).
    pub may_be_empty: bool,
    /// How long to wait for databases that other processes have locked.
    pub database_wait: Duration,
    /// The folder for temporary files (`MOORLINE_SPOOL`).
    pub spool: Option<PathBuf>,
    /// The names of moorline's own variables in the environment, which capture commands do not get.
    pub own_variables: Vec<String>,
    /// The current time.
    pub now: jiff::Timestamp,
}

/// Where to write the backup.
pub enum Destination<'a> {
    /// The volume's folder for backups, with the usual name.
    Backups,
    /// A file, or a folder in which the backup gets its usual name.
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
    /// Its summary. For a stream, `file` is empty.
    pub summary: Summary,
    /// Faults of the databases, by path.
    pub findings: Vec<(RelPath, String)>,
    /// Stores that are suddenly empty.
    pub suspect: Vec<Note>,
    /// Whether some part may be inconsistent. A suspect backup may be doubtful, too.
    pub is_doubtful: bool,
}

/// Takes a backup. If the state cannot be read completely, or the backup cannot be written completely, no file is left.
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
    let is_recorded = !matches!(destination, Destination::Stream(_)) && is_recorded(job, &header);
    let mut capture = Capture::open(job, &header, &spool_for(job, &destination)?, progress)?;
    capture.manifest.unrecorded = !is_recorded;
    match destination {
        Destination::Stream(out) => {
            let (_, bytes, assessed) = capture.write(job, &header, out, progress)?;
            Ok(capture.taken(job, &header, PathBuf::new(), bytes, assessed))
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

struct Capture {
    manifest: Manifest,
    record: Option<QuarantineRecord>,
    snapshots: Vec<Snapshot>,
    survey: Survey,
    copies: Copies,
    attributes: AttributeReader,
    /// The captures that read files of the volume.
    claimed: Vec<profile::Capture>,
    /// Databases that must be complete, because the profile names them.
    named: Vec<RelPath>,
    /// What the manifest does not record, because it happened later: for the digest.
    doubts: Vec<(RelPath, String)>,
}

impl Capture {
    fn open(job: &Job, header: &HeaderFields, spool: &Spool, progress: &mut dyn Progress) -> Result<Self> {
        let root = job.volume.root();
        let record = quarantine::captured(job.volume)?;
        let scope = job.profile.scope.and_files(&record.as_ref().map(QuarantineRecord::files).unwrap_or_default());
        let captures = captures::due(job, progress)?;
        let mut survey = survey(root, &Matcher::of(&scope.without(&captures::replaced(&captures)))?)?;
        // The survey has no database whose files a command replaces.
        let claimed: Vec<profile::Capture> =
            captures.iter().filter(|capture| !capture.globs().is_empty()).map(|capture| (*capture).clone()).collect();
        let foreign = foreign::databases(job.volume, job.profile, claimed.iter(), &survey)?;
        let copies = Copies::take(job, &captures, spool, &mut survey, progress)?;
        let (lock, metastore) = metastore_of(job)?;
        warn_about(&survey.notes);
        stores::refuse_missing(job.profile, &survey, metastore.is_some(), root)?;
        let found: Vec<SurveyEntry> = metastore.iter().chain(&survey.databases).cloned().collect();
        // All transactions begin before the first read, so that the databases' states are as close in time as possible.
        let named: Vec<RelPath> = job.profile.scope.named_databases().chain([metastore::path()]).collect();
        let must_exist = |path: &RelPath| named.contains(path);
        let Opened { mut snapshots, vanished } = open_present(root, &found, spool, job.database_wait, &must_exist)?;
        let doubts = vanished.into_iter().map(|path| (path, REMOVED.to_owned())).collect();
        let mut databases = Vec::new();
        if metastore.is_some() {
            let mut console = snapshots.remove(0);
            databases.push(console.facts(job.check)?);
            // The console's database is small, so we copy it and release its lock before the rest is captured.
            snapshots.insert(0, console.release(spool)?);
        }
        drop(lock);
        for snapshot in &snapshots {
            if let Some(waited) = snapshot.waited().filter(|waited| *waited >= LOGGED_WAIT) {
                let path = &snapshot.found().path;
                log::info!("writers of {path} waited {waited:.1?}, because the database is not in WAL mode");
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
            quarantined: record.is_some(),
            unrecorded: false,
            suspect: match job.may_be_empty {
                true => Vec::new(),
                false => suspect::find(job.volume, job.key, job.instance.id, job.now, (&scope, &survey, &databases)),
            },
            scope,
            databases,
            foreign,
            captures: captures.into_iter().map(CapturedPaths::of).collect(),
            notes: survey.notes.clone(),
            root: Some(RootFacts::of(root)?),
            sparse: Some(file_facts::sparse(root, &survey)?),
            hard_links: file_facts::hard_links(&survey),
        };
        warn_about_foreign(&manifest.foreign);
        let attributes = AttributeReader::new(root)?;
        Ok(Self { manifest, record, snapshots, survey, copies, attributes, claimed, named, doubts })
    }

    fn bytes(&self) -> u64 {
        let databases = self.manifest.databases.iter().map(|database| database.bytes);
        // Links have a size, but no content.
        let files = self.survey.files.iter().filter(|found| found.kind == PathKind::File);
        databases.chain(files.map(|found| found.size)).sum()
    }

    /// Writes the whole backup. Returns its size in bytes and its soundness.
    fn write<W: Write>(
        &mut self,
        job: &Job,
        header: &HeaderFields,
        out: W,
        progress: &mut dyn Progress,
    ) -> Result<(W, u64, Assessment)> {
        progress.begin("backing up", self.bytes());
        let mut writer = Writer::new(out, job.key, header.clone(), Options::default())?;
        writer.manifest(&self.manifest.to_bytes()?)?;
        if let Some(record) = &self.record {
            quarantine::write(record, &mut writer, self.manifest.created)?;
        }
        self.write_databases(&mut writer, progress)?;
        self.write_files(job, &mut writer, progress)?;
        self.attributes.losses().iter().for_each(|loss| log::warn!("{loss}"));
        self.doubt_foreign(job)?;
        self.record_doubts(&mut writer);
        refuse_if_restored(job)?;
        quarantine::refuse_if_changed(self.record.as_ref(), job.volume)?;
        let assessed = Assessment::of(&self.manifest, writer.members(), writer.doubts());
        let (out, summary) = writer.finish()?;
        progress.end();
        Ok((out, summary.bytes, assessed))
    }

    /// Doubts the foreign databases whose server was started while the backup was taken.
    fn doubt_foreign(&mut self, job: &Job) -> Result<()> {
        let now = foreign::databases(job.volume, job.profile, self.claimed.iter(), &self.survey)?;
        for (found, (before, now)) in self.survey.foreign.iter().zip(self.manifest.foreign.iter().zip(&now)) {
            if now.is_live() && !before.is_live() {
                let what = format!("belongs to {}, whose server was started while the backup was taken", now.what());
                self.doubts.push((found.marker.clone(), what));
            }
        }
        Ok(())
    }

    /// Writes to the digest why the backup may be inconsistent, and logs it.
    fn record_doubts<W: Write>(&mut self, writer: &mut Writer<W>) {
        let more = self.doubts.len().saturating_sub(RECORDED);
        self.doubts.truncate(RECORDED);
        if let Some((_, what)) = self.doubts.last_mut().filter(|_| more > 0) {
            what.push_str(&format!(", and so were {more} other files"));
        }
        for (path, what) in &self.doubts {
            log::warn!("{path} {what}, so this backup may be inconsistent");
            writer.doubt(path, what);
        }
    }

    fn write_databases<W: Write>(&mut self, writer: &mut Writer<W>, progress: &mut dyn Progress) -> Result<()> {
        // Each transaction ends once its database is read, because the `-wal` grows while a transaction is open.
        for (mut snapshot, facts) in std::mem::take(&mut self.snapshots).into_iter().zip(&self.manifest.databases) {
            let mut entry = self.attributes.complete(snapshot.found().entry(facts.bytes, false), &facts.path)?;
            entry.path = member_of(&facts.path);
            add(writer, &entry, &mut Counted { inner: snapshot.read()?, progress }, &facts.path)?;
            for (sidecar, mut file) in snapshot.sidecars()? {
                let entry = self.attributes.complete(sidecar.entry(sidecar.size, false), &sidecar.path)?;
                let entry = seqbac::Entry { path: member_of(&sidecar.path), ..entry };
                let mut content = Padded { content: &mut file, left: sidecar.size };
                add(writer, &entry, &mut Counted { inner: &mut content, progress }, &sidecar.path)?;
            }
            if snapshot.was_replaced()? {
                if self.named.contains(&facts.path) {
                    let what = format!("{} was replaced or removed while the backup was taken", facts.path);
                    return Err(Error::new(Code::TryAgain, what).hint("take the backup again"));
                }
                self.doubts.push((facts.path.clone(), "was removed or replaced after it was read".to_owned()));
            }
        }
        Ok(())
    }

    fn write_files<W: Write>(&mut self, job: &Job, writer: &mut Writer<W>, progress: &mut dyn Progress) -> Result<()> {
        let mut files = Files::new(job.volume.root(), &self.survey, Server::of(job.volume)?.may_run())?;
        let mut replaced = BTreeMap::new();
        for found in &self.survey.files {
            let (path, entry) = (&found.path, found.entry(0, false));
            // A file that a command wrote has no attributes on the volume.
            let copy = if found.kind == PathKind::File { self.copies.open(found) } else { None };
            let entry = if copy.is_some() { entry } else { self.attributes.complete(entry, path)? };
            let entry = seqbac::Entry { path: member_of(path), ..entry };
            if found.kind != PathKind::File {
                add(writer, &entry, &mut io::empty(), path)?;
                continue;
            }
            if let Some(mut copy) = copy.transpose()? {
                let mut content = Padded { content: &mut *copy, left: found.size };
                let entry = seqbac::Entry { size: found.size, ..entry };
                add(writer, &entry, &mut Counted { inner: &mut content, progress }, path)?;
                continue;
            }
            let Some(mut captured) = files.capture(found)? else {
                self.doubts.push((path.clone(), REMOVED.to_owned()));
                continue;
            };
            if !captured.is(found) {
                replaced.entry(path.parent()).or_insert_with(|| path.clone());
            }
            let entry = seqbac::Entry { size: captured.size, ..entry };
            add(writer, &entry, &mut Counted { inner: &mut captured, progress }, path)?;
            if captured.is_torn(writer.last_hash().unwrap_or_else(|| blake3::hash(&[])))? {
                log::warn!(
                    "{path} kept changing while it was read; its copy in this backup is inconsistent and may be unusable"
                );
                writer.mark_last_torn();
            }
        }
        self.doubt_replaced(job, replaced)
    }

    /// Doubts one replaced file of each folder that has got new files since the survey: the file may be a list that names
    /// them, and the backup lacks them.
    fn doubt_replaced(&mut self, job: &Job, replaced: BTreeMap<Option<RelPath>, RelPath>) -> Result<()> {
        if replaced.is_empty() {
            return Ok(());
        }
        let matcher = Matcher::of(&self.manifest.scope)?;
        let known: HashSet<&RelPath> =
            self.survey.files.iter().chain(&self.survey.databases).map(|found| &found.path).collect();
        let is_new = |path: &RelPath| {
            matcher.takes(path, PathKind::File) && sidecar_base(path).is_none() && !known.contains(path)
        };
        for (folder, path) in replaced {
            let full =
                folder.as_ref().map_or_else(|| job.volume.root().to_owned(), |folder| folder.under(job.volume.root()));
            for entry in listing::entries(&full)?.unwrap_or_default() {
                // The survey notes a name that a backup cannot contain.
                let Ok(new) = child(folder.as_ref(), &entry.name) else { continue };
                let is_file = presence::entry(&new.under(job.volume.root()))?.is_some_and(|meta| meta.is_file());
                if is_file && is_new(&new) {
                    let what = "was replaced while the backup was taken, and may name files that the backup lacks";
                    self.doubts.push((path, format!("{what}, such as {new}")));
                    break;
                }
            }
        }
        Ok(())
    }

    /// Writes the backup under a temporary name, flushes it, reads it back, and renames it.
    fn write_file(
        &mut self,
        job: &Job,
        header: &HeaderFields,
        path: &Path,
        may_add_time: bool,
        progress: &mut dyn Progress,
    ) -> Result<Taken> {
        let temporary = Temporary::of(path, header.id);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary.path());
        let file = file.on("create", temporary.path()).map_err(|error| error.context("cannot take the backup"))?;
        let mut out = WriteBack { file, path, written: 0, started: 0 };
        let (buffered, bytes, assessed) =
            self.write(job, header, BufWriter::with_capacity(1 << 20, &mut out), progress)?;
        buffered.into_inner().map_err(io::IntoInnerError::into_error).on("write", path)?;
        durable::sync_file(&out.file, path)?;
        drop(out);
        verify::read_whole(temporary.path(), job.key, progress)
            .map_err(|error| error.context("the backup could not be read back and was removed"))?;
        let path = temporary.persist(path, may_add_time.then_some(header.created))?;
        Ok(self.taken(job, header, path, bytes, assessed))
    }

    fn taken(&self, job: &Job, header: &HeaderFields, file: PathBuf, bytes: u64, assessed: Assessment) -> Taken {
        let databases = self.manifest.databases.iter();
        let findings =
            databases.flat_map(|facts| facts.findings.iter().map(|finding| (facts.path.clone(), finding.clone())));
        let findings: Vec<_> = findings.collect();
        Taken {
            summary: Summary {
                file,
                id: header.id,
                created: header.created,
                kind: job.kind,
                bytes,
                verified: Some(assessed.soundness == Soundness::Sound),
                key_fingerprint: job.key.fingerprint(),
                instance_id: header.instance,
                profile: job.profile.name.clone(),
                quarantined: Some(self.record.is_some()),
                suspect: Some(!self.manifest.suspect.is_empty()),
                soundness: Some(assessed.soundness),
                reasons: assessed.reasons,
            },
            suspect: self.manifest.suspect.clone(),
            findings,
            is_doubtful: assessed.is_doubtful,
        }
    }
}

/// Records the id before the backup has a name. A volume that cannot be written, or is full, still gets its backup.
fn is_recorded(job: &Job, header: &HeaderFields) -> bool {
    let recorded = Recorded { created: header.created, uploaded: false };
    BackupRecord::add(job.volume, job.instance.id, header.id, recorded, job.now)
        .inspect_err(|error| log::info!("the volume does not record this backup: {error}"))
        .is_ok()
}

/// Why a path is in doubt that the survey found and the backup lacks.
const REMOVED: &str = "was removed or replaced while the backup was taken";
/// Doubts recorded one by one; if there are more, the last one has their number.
const RECORDED: usize = 100;

/// The folders for temporary files: the configured one, else beside the output, else the system's. The volume itself is
/// the last resort, because the server needs its space.
fn spool_for(job: &Job, destination: &Destination) -> Result<Spool> {
    if let Some(folder) = &job.spool {
        return Ok(Spool::of(vec![folder.clone()]));
    }
    let (system, backups) = (std::env::temp_dir(), job.volume.backups());
    let device = |path: &Path| presence::entry(path).ok().flatten().map(|meta| meta.dev());
    let places = match destination {
        // An image of nothing but the server may lack the system's folder.
        Destination::Stream(_) => vec![system, job.volume.spool()],
        Destination::Path(path) if presence::is_dir(path)? => vec![path.to_path_buf(), system],
        Destination::Path(path) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            vec![folder.to_owned(), system]
        }
        Destination::Backups if device(&backups) != device(job.volume.root()) => vec![backups, system],
        Destination::Backups => vec![system, job.volume.spool()],
    };
    Ok(Spool::of(places))
}

/// The console's database, with the lock that permits opening it.
fn metastore_of(job: &Job) -> Result<(Option<MetastoreLock>, Option<SurveyEntry>)> {
    if !metastore::is_there(job.volume)? {
        return Ok((None, None));
    }
    let lock = MetastoreLock::shared(job.volume)?;
    // A restore changes the instance first. We check it, because an interrupted restore may have moved the database
    // partly.
    refuse_if_restored(job)?;
    let found = SurveyEntry::database(job.volume.root(), &metastore::path())?;
    Ok((Some(lock), found))
}

/// Fails if the instance changed: a backup does not lock out restores, so one may have replaced part of the state.
fn refuse_if_restored(job: &Job) -> Result<()> {
    let (then, now) = (job.instance, Instance::load(job.volume)?);
    if now.is_some_and(|now| now.restore_epoch == then.restore_epoch && now.id == then.id) {
        return Ok(());
    }
    Err(Error::new(Code::TryAgain, "the volume was restored while the backup was taken").hint("take the backup again"))
}

/// Adds one member. An error from reading `content` keeps its code.
fn add<W: Write>(writer: &mut Writer<W>, entry: &seqbac::Entry, content: &mut dyn Read, path: &RelPath) -> Result<()> {
    writer.member(entry, content).map_err(|error| Error::from(error).context(format!("cannot back up {path}")))
}

fn usual_name(job: &Job, header: &HeaderFields) -> String {
    match job.kind {
        BackupKind::Immediate => name::immediate(header.created),
        BackupKind::Scheduled => name::scheduled(&job.profile.prefix, header.created),
    }
}

/// Rounds down to milliseconds, the precision of the header, so that times can be compared with it.
fn in_millis(now: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

//! A dry run of a restore: stages and plans the restore, compares both states, and discards the
//! stage.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};
use volume::presence;

use serde::Serialize;

use super::apps_policy::Quarantine;
use super::{Request, accept, plan, preflight, quarantined_files, set::RestoreSet, stage::Staged};
use crate::{
    backup::{Progress, read_whole},
    metastore::{self, MetastoreLock},
    quarantine::QuarantineRecord,
    store::{TableChange, compare, is_database, sidecar_base},
};
use profile::Profile;
use seqbac_header::{RelPath, relpath};
use volume::{
    Volume, durable,
    error::{IoContext, Result},
};

/// How long to wait for a server that has locked a database exclusively.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The result of a dry run.
#[derive(Debug, Serialize)]
pub struct Preview {
    /// The path of the backup file.
    #[serde(serialize_with = "relpath::as_json")]
    pub backup: PathBuf,
    /// When the backup was taken.
    pub backup_created: jiff::Timestamp,
    /// Whether the apps would be off.
    pub apps: super::AppsState,
    /// The apps that would be off, by step.
    pub switched_off: Vec<SwitchedOff>,
    /// Databases that differ.
    pub databases: Vec<DatabaseDiffers>,
    /// Files that differ.
    pub files: FileChanges,
    /// Warnings for the user.
    pub notes: Vec<String>,
}

/// Apps that one step would switch off, or that are already off in the backup.
#[derive(Debug, Serialize)]
pub struct SwitchedOff {
    pub step: String,
    pub apps: Vec<String>,
}

/// A database that differs.
#[derive(Debug, Serialize)]
pub struct DatabaseDiffers {
    /// The path of the database, relative to the storage root.
    pub path: RelPath,
    /// How it differs.
    pub change: DatabaseChange,
}

/// The difference between the two states of a database.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseChange {
    /// Only the backup contains it.
    Appears,
    /// Only the volume contains it, and the restore would move it away.
    Vanishes,
    /// Rows that would appear, change or vanish, by table.
    Changes(Vec<TableChange>),
}

/// Files that would appear, change or vanish (be moved away).
#[derive(Debug, Default, Serialize)]
pub struct FileChanges {
    pub appear: Vec<RelPath>,
    pub change: Vec<RelPath>,
    pub vanish: Vec<RelPath>,
    /// How many files are identical in both.
    pub same: usize,
}

/// Does a dry run of [`super::restore`]. It changes nothing but a scratch folder, which it deletes.
///
/// # Errors
/// Like the restore, except for errors that show only while no server runs.
pub fn preview(volume: &Volume, profile: &Profile, request: &Request, progress: &mut dyn Progress) -> Result<Preview> {
    let (manifest, contents) = read_whole(request.backup, request.key, progress)?;
    accept(&manifest, profile, request)?;
    let remembered = QuarantineRecord::load(volume)?;
    let quarantine = Quarantine { policy: request.apps, profile, manifest: &manifest, volume: remembered.as_ref() };
    quarantine.refuse_unknown(&contents.members)?;
    let scopes = plan::Scopes::new(&manifest.scope, &profile.scope)?.and_all_in(quarantined_files(remembered.as_ref()));
    preflight::space(volume, contents.members.iter().map(|member| member.size))?;
    let set = RestoreSet::scratch(volume)?;
    let result = (|| {
        let mut staged = Staged::of(volume, &set, &quarantine, request, MetastoreLock::shared, progress)?;
        let moves = plan::of_tree(volume, &set, &set.stage(), &scopes)?;
        preflight::moves(volume, &moves)?;
        let mut preview = Preview {
            backup: request.backup.to_owned(),
            backup_created: manifest.created,
            apps: staged.outcome.after,
            switched_off: switched_off(staged.outcome.record.as_ref()),
            databases: Vec::new(),
            files: FileChanges::default(),
            notes: std::mem::take(&mut staged.notes),
        };
        let ours = staged.own_files().into_iter().filter(|change| change.path == metastore::path());
        for change in ours.chain(moves) {
            compare_path(volume.root(), &set.stage(), &change.path, &mut preview)?;
        }
        Ok(preview)
    })();
    durable::remove_tree(set.folder())?;
    result
}

fn switched_off(record: Option<&QuarantineRecord>) -> Vec<SwitchedOff> {
    let steps = record.into_iter().flat_map(|record| &record.steps).filter(|remembered| !remembered.apps.is_empty());
    steps
        .map(|remembered| SwitchedOff {
            step: remembered.step.name.clone(),
            apps: remembered.apps.iter().map(|kept| kept.id.clone()).collect(),
        })
        .collect()
}

impl Preview {
    fn differs(&mut self, path: &RelPath, change: DatabaseChange) {
        self.databases.push(DatabaseDiffers { path: path.clone(), change });
    }
}

fn compare_path(live: &Path, staged: &Path, path: &RelPath, preview: &mut Preview) -> Result<()> {
    let (old, new) = (path.under(live), path.under(staged));
    let kind = |path: &Path| -> Result<_> { Ok(presence::entry(path)?.map(|meta| meta.file_type())) };
    let (old_kind, new_kind) = (kind(&old)?, kind(&new)?);
    let is_dir = |kind: Option<fs::FileType>| kind.is_some_and(|kind| kind.is_dir());
    if is_dir(old_kind) || is_dir(new_kind) {
        for name in names(&old)?.chain(names(&new)?).collect::<BTreeSet<_>>() {
            compare_path(live, staged, &path.child(&name), preview)?;
        }
    }
    let file = |kind: Option<fs::FileType>| kind.filter(|kind| !kind.is_dir());
    let (old_kind, new_kind) = (file(old_kind), file(new_kind));
    let database = |path: &Path, kind: Option<fs::FileType>| -> Result<bool> {
        Ok(kind.is_some_and(|kind| kind.is_file()) && is_database(path).on("read", path)?)
    };
    // The rows of the database already include the content of its sidecars.
    if let Some(base) = sidecar_base(path).map(|base| base.under(live))
        && database(&base, kind(&base)?)?
    {
        return Ok(());
    }
    match (database(&old, old_kind)?, database(&new, new_kind)?) {
        (true, true) => {
            let tables = compare::databases(&old, &new, BUSY_TIMEOUT)?;
            if tables.is_empty() {
                preview.files.same += 1;
            } else {
                preview.differs(path, DatabaseChange::Changes(tables));
            }
        }
        (false, true) => preview.differs(path, DatabaseChange::Appears),
        (true, false) => preview.differs(path, DatabaseChange::Vanishes),
        (false, false) => match (old_kind, new_kind) {
            (None, None) => {}
            (None, Some(_)) => preview.files.appear.push(path.clone()),
            (Some(_), None) => preview.files.vanish.push(path.clone()),
            (Some(_), Some(_)) if same(&old, &new)? => preview.files.same += 1,
            (Some(_), Some(_)) => preview.files.change.push(path.clone()),
        },
    }
    Ok(())
}

fn names(folder: &Path) -> Result<impl Iterator<Item = std::ffi::OsString>> {
    let names = match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>(),
        Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(cause) => Err(cause),
    };
    Ok(names.on("list", folder)?.into_iter())
}

fn same(one: &Path, other: &Path) -> Result<bool> {
    let meta = |path: &Path| path.symlink_metadata().on("access", path);
    let (a, b) = (meta(one)?, meta(other)?);
    if a.file_type() != b.file_type() || (a.is_file() && a.len() != b.len()) {
        return Ok(false);
    }
    if a.is_symlink() {
        return Ok(fs::read_link(one).on("read", one)? == fs::read_link(other).on("read", other)?);
    }
    if !a.is_file() {
        return Ok(true);
    }
    let (mut left, mut right) = (File::open(one).on("open", one)?, File::open(other).on("open", other)?);
    let (mut a, mut b) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let count = left.read(&mut a).on("read", one)?;
        if count == 0 {
            return Ok(true);
        }
        match right.read_exact(&mut b[..count]) {
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            read => read.on("read", other)?,
        }
        if a[..count] != b[..count] {
            return Ok(false);
        }
    }
}

//! A dry run of a restore: stages and plans the restore, compares both states, and discards the stage.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, BufReader},
};

use super::{
    Request, accept, apps_policy::Quarantine, mounts::Mounts, notes_on_mounts, plan, preflight, scopes_of,
    set::RestoreSet, stage::Staged, whole_paths,
};
use crate::{
    backup::{Progress, read_whole},
    metastore::{self, MetastoreLock},
    prelude::*,
    quarantine::QuarantineRecord,
    store::{TableChange, compare, kind, sidecar_base},
};
use seqbac_header::relpath;

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

/// Does a dry run of [`super::restore`]. It changes nothing but a scratch folder, which it deletes. It fails
/// like the restore, except for errors that show only while no server runs.
pub fn preview(volume: &Volume, profile: &Profile, request: &Request, progress: &mut dyn Progress) -> Result<Preview> {
    let (manifest, contents) = read_whole(request.backup, request.key, progress)?;
    accept(&manifest, &contents.members, profile, request)?;
    let remembered = QuarantineRecord::load(volume)?;
    let quarantine = Quarantine::of(request, profile, &manifest, remembered.as_ref());
    quarantine.refuse_unknown(&contents.members)?;
    let scopes = plan::Scopes::all(&scopes_of(&manifest, profile, request))?.and_all_in(whole_paths(
        remembered.as_ref(),
        &manifest,
        request,
    ));
    let mut mounts = Mounts::of(volume)?;
    preflight::space(volume, &contents.members, &manifest, request, &mounts)?;
    let set = RestoreSet::scratch(volume)?;
    let result = (|| {
        let mut staged = Staged::of(volume, &set, &quarantine, request, &mut mounts, MetastoreLock::shared, progress)?;
        staged.notes.extend(notes_on_mounts(volume, &mounts, &scopes)?);
        let moves = plan::of_tree(volume, &set, &set.stage(), &scopes, &mounts)?;
        preflight::moves(volume, &moves, &mounts)?;
        let mut preview = Preview {
            backup: request.name.to_owned(),
            backup_created: manifest.created,
            apps: staged.outcome.after,
            switched_off: switched_off(staged.outcome.record.as_ref()),
            databases: Vec::new(),
            files: FileChanges::default(),
            notes: std::mem::take(&mut staged.notes),
        };
        let ours = staged.own.iter().filter(|change| change.path == metastore::path()).cloned();
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

fn compare_path(live: &Path, staged: &Path, path: &RelPath, preview: &mut Preview) -> Result<()> {
    let (old, new) = (path.under(live), path.under(staged));
    let (old_kind, new_kind) = (kind(&old)?, kind(&new)?);
    let names = |folder: &Path, kind| match kind {
        Some(PathKind::Directory) => plan::names(folder),
        _ => Ok(Vec::new()),
    };
    for name in names(&old, old_kind)?.into_iter().chain(names(&new, new_kind)?).collect::<BTreeSet<_>>() {
        compare_path(live, staged, &path.child(&name), preview)?;
    }
    // The rows of the database already include the content of its sidecars.
    if let Some(base) = sidecar_base(path)
        && kind(&base.under(live))? == Some(PathKind::Database)
    {
        return Ok(());
    }
    let file = |kind: Option<PathKind>| kind.filter(|kind| *kind != PathKind::Directory);
    let mut differs = |change| preview.databases.push(DatabaseDiffers { path: path.clone(), change });
    match (file(old_kind), file(new_kind)) {
        (Some(PathKind::Database), Some(PathKind::Database)) => {
            let tables = compare::databases(&old, &new, BUSY_TIMEOUT)?;
            if tables.is_empty() {
                preview.files.same += 1;
            } else {
                differs(DatabaseChange::Changes(tables));
            }
        }
        (_, Some(PathKind::Database)) => differs(DatabaseChange::Appears),
        (Some(PathKind::Database), _) => differs(DatabaseChange::Vanishes),
        (None, None) => {}
        (None, Some(_)) => preview.files.appear.push(path.clone()),
        (Some(_), None) => preview.files.vanish.push(path.clone()),
        (Some(_), Some(_)) if same(&old, &new)? => preview.files.same += 1,
        (Some(_), Some(_)) => preview.files.change.push(path.clone()),
    }
    Ok(())
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
    let (left, right) = (File::open(one).on("open", one)?, File::open(other).on("open", other)?);
    let (mut left, mut right) = (BufReader::with_capacity(1 << 16, left), BufReader::with_capacity(1 << 16, right));
    loop {
        let (a, b) = (left.fill_buf().on("read", one)?, right.fill_buf().on("read", other)?);
        let count = a.len().min(b.len());
        if count == 0 || a[..count] != b[..count] {
            return Ok(a.is_empty() && b.is_empty());
        }
        left.consume(count);
        right.consume(count);
    }
}

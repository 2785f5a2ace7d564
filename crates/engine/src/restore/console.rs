//! The console's database in a restore, and in a rollback.
//!
//! Staged and checked with the rest, it gets the volume's key and loses its sessions. It is moved by a move of our own, and
//! what SQLite left beside the old one is moved aside first: left behind, it would be replayed. From before it is staged
//! until it is in its place, its lock is held: nothing is written into a database that is about to go.
//!
//! A backup without one leaves the volume's as it is; unless apps are to be off and its apps are on, or they are off and
//! what quarantine remembers of them is replaced. Then a copy of it is staged and treated like any other.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    time::Duration,
};
use volume::presence;

use super::AppsState;
use super::apps_policy::Quarantine;
use super::{
    Move, Request,
    journal::Journal,
    set::RestoreSet,
    stage::{own_comes_back, own_goes},
};
use crate::{
    metastore::{self, MetastoreLock},
    quarantine::{self as apps, QuarantineRecord},
    store::{Spool, SurveyEntry, open_all, survey::SIDECARS},
};
use seqbac_header::RelPath;
use volume::{
    Volume, durable,
    error::{Code, Error, IoContext, Result},
};

/// What it is called in `.moorline/`.
const NAME: &str = "metastore.db";

/// Who has it open lets go of it soon, or is none of ours.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How its lock is taken: alone by a restore, shared by one that only looks.
pub type TakeLock = fn(&Volume) -> Result<MetastoreLock>;

/// What became of the console's database in a stage.
#[derive(Debug)]
pub struct ConsoleDatabase {
    _held: MetastoreLock,
    /// Whether there is one in the stage.
    pub staged: bool,
    /// What a person should know.
    pub notes: Vec<String>,
}

impl ConsoleDatabase {
    /// Makes what was unpacked into the stage the volume's own, or stages a copy of the volume's. What is remembered of
    /// its apps changes to what fits.
    pub fn prepare(
        volume: &Volume,
        set: &RestoreSet,
        quarantine: &Quarantine,
        request: &Request,
        take_lock: TakeLock,
        memory: &mut Option<QuarantineRecord>,
    ) -> Result<Self> {
        let mut console = Self { _held: take_lock(volume)?, staged: quarantine.manifest.has_metastore(), notes: Vec::new() };
        if console.staged {
            console.adopt(set, quarantine, request)?;
        }
        if !console.staged {
            let remembered = quarantine.volume.map(|memory| memory.clone().take_console());
            let remembered = remembered.filter(QuarantineRecord::has_console_apps);
            if let Some(memory) = memory.as_mut() {
                drop(memory.take_console());
            }
            if remembered.is_some() || (quarantine.after() == AppsState::Off && has_apps_on(volume)?) {
                console.staged = copy(volume, set)?;
            }
            if let Some(remembered) = remembered.filter(|_| console.staged) {
                memory.get_or_insert_with(QuarantineRecord::new).put_console(remembered);
            }
        }
        Ok(console)
    }

    fn adopt(&mut self, set: &RestoreSet, quarantine: &Quarantine, request: &Request) -> Result<()> {
        let staged = metastore::path().under(&set.stage());
        match metastore::adopt(&staged, request.key, request.own_key) {
            Ok(notes) => self.notes.extend(notes),
            Err(error) if !error.code().may_pass() && was_faulty(quarantine) => {
                self.notes.push(format!(
                    "the console's database was damaged when it was backed up, and is left out: {error}"
                ));
                durable::remove_file(&staged)?;
                for sidecar in sidecars() {
                    durable::remove_file(&sidecar.under(&set.stage()))?;
                }
                self.staged = false;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The moves that put the staged one in its place.
    pub fn moves(&self, volume: &Volume, set: &RestoreSet) -> Result<Vec<Move>> {
        if !self.staged {
            return Ok(Vec::new());
        }
        let path = metastore::path();
        for left in sidecars() {
            if presence::exists(&left.under(&set.stage()))? {
                let what = format!("part of the staged console's database is only in its {left}; nothing was changed");
                return Err(Error::new(Code::TryAgain, what).hint("make sure that the disk is not full, and try again"));
            }
        }
        let mut moves = sidecars_go(volume, set)?;
        let is_there = presence::exists(&path.under(volume.root()))?;
        moves.push(Move { old: is_there.then(|| set.replaced(&path)), new: Some(set.staged(&path)), path });
        Ok(moves)
    }
}

/// Whether it had faults when it was backed up.
fn was_faulty(quarantine: &Quarantine) -> bool {
    quarantine.manifest.database(&metastore::path()).is_some_and(|facts| !facts.findings.is_empty())
}

/// Whether the volume's own has apps that are on.
fn has_apps_on(volume: &Volume) -> Result<bool> {
    if !metastore::is_there(volume)? {
        return Ok(false);
    }
    let looks = apps::inspect(volume.root(), &apps::console_steps()?)?;
    Ok(looks.iter().any(|look| !look.apps.is_empty()))
}

/// Stages a copy of the volume's own. Whether there is one.
fn copy(volume: &Volume, set: &RestoreSet) -> Result<bool> {
    let path = metastore::path();
    let Some(found) = SurveyEntry::database(volume.root(), &path)? else { return Ok(false) };
    let spool = Spool::at(set.folder());
    let mut snapshots = open_all(volume.root(), std::slice::from_ref(&found), &spool, BUSY_TIMEOUT)?;
    let staged = path.under(&set.stage());
    make_folder(set)?;
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(found.mode).open(&staged).on("create", &staged)?;
    for snapshot in &mut snapshots {
        io::copy(&mut snapshot.read()?, &mut file).on("write", &staged)?;
    }
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::fchown(&file, Some(found.uid), Some(found.gid)).on("change the owner of", &staged)?;
    }
    Ok(true)
}

/// `.moorline/` in the stage.
pub fn make_folder(set: &RestoreSet) -> Result<()> {
    let folder = set.stage().join(".moorline");
    match presence::is_dir(&folder)? {
        true => Ok(()),
        false => fs::DirBuilder::new().mode(0o700).create(&folder).on("create", &folder),
    }
}

/// The moves that bring back what a restore replaced, where it replaced or brought one.
pub fn comes_back(volume: &Volume, set: &RestoreSet, from: &RestoreSet, journal: &Journal) -> Result<Vec<Move>> {
    if !is_moved(&journal.moves) {
        return Ok(Vec::new());
    }
    let mut moves = sidecars_go(volume, set)?;
    moves.extend(own_comes_back(volume, set, from, NAME)?);
    for path in sidecars() {
        let replaced = from.replaced(&path);
        if presence::exists(&replaced.under(&volume.restores()))? {
            moves.push(Move { path, old: None, new: Some(replaced) });
        }
    }
    Ok(moves)
}

/// Whether moves concern it, so that its lock is to be held while they are made.
pub fn is_moved(moves: &[Move]) -> bool {
    moves.iter().any(|change| change.path == metastore::path())
}

/// Before another database comes to a place: what somebody of ours left there who opened one between two moves that a
/// crash tore apart. It is of a database that is gone.
pub fn clear_beside(live: &Path, path: &RelPath) -> Result<()> {
    if *path != metastore::path() {
        return Ok(());
    }
    SIDECARS.iter().try_for_each(|sidecar| {
        let mut name = live.as_os_str().to_owned();
        name.push(sidecar);
        durable::remove_file(Path::new(&name))
    })
}

fn sidecars_go(volume: &Volume, set: &RestoreSet) -> Result<Vec<Move>> {
    let names = SIDECARS.map(|sidecar| format!("{NAME}{sidecar}"));
    let moves: Vec<Option<Move>> = names.iter().map(|name| own_goes(volume, set, name)).collect::<Result<_>>()?;
    Ok(moves.into_iter().flatten().collect())
}

fn sidecars() -> impl Iterator<Item = RelPath> {
    let of = |sidecar| RelPath::new(format!("{}{sidecar}", metastore::PATH));
    SIDECARS.into_iter().filter_map(move |sidecar| of(sidecar).ok())
}

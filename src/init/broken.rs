//! Entries that were probably meant as scripts but cannot be read: folders, dangling links, files without permission.
//!
//! They fail like scripts, so that no server starts on an empty volume without them. A folder or a link is never renamed,
//! because it may belong to a mount. The ledger records its failure, and the next start skips it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    libc,
    unistd::{AccessFlags, access},
};

use super::{
    End, Settings, held,
    ledger::{Ledger, Outcome, RunState},
    mark,
    outcome::{self, Failing},
    output::Output,
    policy::Failure,
    scan::{self, Skipped},
    trust,
};
use seqbac_header::RelPath;
use volume::{
    error::{Code, Error, Result},
    presence,
};

/// Why an entry is not run.
#[derive(Debug)]
pub enum Rejected {
    /// It does not need to run.
    Skipped(Skipped),
    Broken(Box<Broken>),
}

impl From<Skipped> for Rejected {
    fn from(skipped: Skipped) -> Self {
        Self::Skipped(skipped)
    }
}

/// An entry that cannot be read as a script.
#[derive(Debug)]
pub struct Broken {
    /// Its name in its folder, from which the name of its log is formed.
    pub name: RelPath,
    /// Its name in the ledger.
    key: RelPath,
    path: PathBuf,
    reason: Error,
    /// A hash of the reason in place of the content, because another reason counts as another run.
    hash: String,
    is_file: bool,
}

impl Broken {
    fn rejected(path: &Path, name: &RelPath, reason: Error) -> Rejected {
        Rejected::Broken(Box::new(Self::of(path, name, reason)))
    }

    /// An entry whose `.done` or `.failed` file could not be checked.
    pub fn unknown(path: &Path, name: &RelPath, reason: Error) -> Rejected {
        Self::rejected(path, name, reason.with_code(Code::TryAgain))
    }

    /// A folder of scripts that cannot be listed.
    pub fn folder(path: &Path, reason: Error) -> Result<Box<Self>> {
        let denied = access(path, AccessFlags::R_OK | AccessFlags::X_OK) == Err(Errno::EACCES);
        let reason = match reason.code() {
            Code::ScriptUnrunnable => reason,
            _ if denied => reason.with_code(Code::ScriptUnrunnable).hint(format!(
                "make it readable for user {0}: chmod a+rx {1}; MOORLINE_INIT_ON_FAILURE=continue starts without its scripts",
                nix::unistd::geteuid(),
                path.display()
            )),
            _ => reason.with_code(Code::TryAgain),
        };
        let name = path.file_name().unwrap_or("scripts".as_ref());
        let name = RelPath::new(name).map_err(|_| reason.clone())?;
        Ok(Box::new(Self::of(path, &name, reason)))
    }

    fn of(path: &Path, name: &RelPath, reason: Error) -> Self {
        Self {
            name: name.clone(),
            key: name.clone(),
            path: path.to_owned(),
            hash: blake3::hash(reason.message().as_bytes()).to_hex().to_string(),
            is_file: matches!(presence::entry(path), Ok(Some(meta)) if meta.is_file()),
            reason,
        }
    }

    /// An entry that is neither a file nor a link to one.
    pub fn not_a_file(path: &Path, name: &RelPath, is_folder: bool) -> Rejected {
        let path_shown = path.display();
        Self::rejected(path, name, match is_folder {
            true => unrunnable(format!("{path_shown} is a folder, not a script")).hint(
                "Docker creates a folder if a bind mount names a file that the host lacks: check the path on the host; \
                 move a folder of your own out of here, or start its name with a dot",
            ),
            false => unrunnable(format!("{path_shown} is a socket, pipe or device, not a script"))
                .hint("only scripts belong in this folder: move it elsewhere"),
        })
    }

    /// An entry that could not be opened or read.
    pub fn unreadable(path: &Path, name: &RelPath, cause: &io::Error) -> Rejected {
        let link = fs::read_link(path).ok();
        match (cause.raw_os_error(), link) {
            (Some(libc::ENXIO), _) => Self::not_a_file(path, name, false),
            (Some(libc::ENOENT | libc::ENOTDIR), Some(target)) => {
                let reason = format!("{} is a link to {}, which does not exist", path.display(), target.display());
                Self::rejected(path, name, unrunnable(reason).hint(
                    "check that the ConfigMap or Secret still has this key and that the target is mounted; else remove the link",
                ))
            }
            // It was removed after its folder was listed.
            (Some(libc::ENOENT), None) => Skipped::debug(format!("{} is gone", path.display())).into(),
            (Some(libc::EACCES | libc::EPERM), _) => {
                let user = nix::unistd::geteuid();
                Self::rejected(
                    path,
                    name,
                    Error::io("open the init script", path, cause).with_code(Code::ScriptUnrunnable).hint(format!(
                        "make it readable for user {user}: chmod a+r; for a Secret or ConfigMap set defaultMode: 0444"
                    )),
                )
            }
            (Some(libc::ELOOP), Some(_)) if held::is_distrusted() && trust::is_link_of_others(path).unwrap_or(true) => {
                Self::rejected(path, name, volume::link_of_others(path))
            }
            (Some(libc::ELOOP), _) => {
                let reason = unrunnable(format!("{} is a link that leads back to itself", path.display()));
                Self::rejected(path, name, reason.hint("put the script in its place, or remove the link"))
            }
            (Some(libc::ENAMETOOLONG | libc::ENOTDIR | libc::ENODEV), _) => Self::rejected(
                path,
                name,
                Error::io("open the init script", path, cause).with_code(Code::ScriptUnrunnable),
            ),
            _ => Self::rejected(path, name, Error::io("read the init script", path, cause).with_code(Code::TryAgain)),
        }
    }

    /// The same entry in the second source, with its own name in the ledger.
    #[must_use]
    pub fn in_second_source(mut self: Box<Self>) -> Box<Self> {
        self.key = second_source(&self.name);
        self
    }

    /// Skips the entry if a script of its name has run or if its failure has been reported; else returns it.
    pub fn unless_concluded(self: Box<Self>, init: &Path, ledger: &Ledger) -> Rejected {
        let marked_as = |key| match ledger.find(key).map(|entry| (&entry.state, &entry.hash)) {
            Some((RunState::Marked { outcome, in_place: true }, hash)) => Some((*outcome, *hash == self.hash)),
            _ => None,
        };
        // If the check fails, the entry counts as waiting.
        let has_run = scan::is_marked(init, &self.name, Outcome::Done).unwrap_or(false)
            || matches!(marked_as(&self.name), Some((Outcome::Done, _)));
        if has_run {
            let line = format!("{}; it is skipped, because the script {} has run", self.reason, self.name);
            return Skipped::warning(line).into();
        }
        match marked_as(&self.key) {
            Some((Outcome::Failed, true)) => {
                Skipped::warning(format!("{}; it is skipped, because an earlier start failed on it", self.reason))
                    .into()
            }
            _ => Rejected::Broken(self),
        }
    }

    /// Why it cannot be run.
    pub const fn reason(&self) -> &Error {
        &self.reason
    }
}

/// The ledger's name for an entry of the second source.
#[must_use]
pub fn second_source(name: &RelPath) -> RelPath {
    RelPath::new(Path::new("seqinit").join(name.as_path())).unwrap_or_else(|_| name.clone())
}

fn unrunnable(what: String) -> Error {
    Error::new(Code::ScriptUnrunnable, what)
}

/// As [`fail`], for a folder of scripts, unless an earlier start has reported it.
pub(super) fn fail_folder(settings: &Settings<'_>, broken: Box<Broken>, ledger: &mut Ledger) -> Result<End> {
    match broken.unless_concluded(&settings.volume.init(), ledger) {
        Rejected::Broken(broken) => fail(settings, &broken, ledger),
        Rejected::Skipped(skipped) => {
            skipped.log();
            Ok(End::Ready)
        }
    }
}

/// Counts a failed attempt for a broken entry and applies the failure table.
pub(super) fn fail(settings: &Settings<'_>, broken: &Broken, ledger: &mut Ledger) -> Result<End> {
    // If the file is only temporarily unreadable, its unfinished run must not be lost, so it keeps its hash.
    let under_way = |state: &RunState| matches!(state, RunState::Waiting | RunState::Running);
    let known = ledger.find(&broken.key).filter(|entry| under_way(&entry.state)).map(|entry| entry.hash.clone());
    ledger.look_for_state(settings.holds_state)?;
    ledger.open(&broken.key, &known.unwrap_or_else(|| broken.hash.clone()))?;
    ledger.change(&broken.key, |entry| entry.attempts += 1)?;
    let init = settings.volume.init();
    let exit = broken.reason.code().exit();
    let failing = Failing {
        key: &broken.key,
        path: &broken.path,
        failure: Failure::of_command(exit),
        exit,
        reason: &broken.reason,
        renamed: broken.renamed(),
    };
    outcome::fail(settings, &failing, Output::open(&init, &broken.name, Vec::new()), ledger, |ledger| {
        ledger.change(&broken.key, |entry| {
            entry.hash.clone_from(&broken.hash);
            if !broken.renamed() {
                entry.state = RunState::Marked { outcome: Outcome::Failed, in_place: true };
            }
        })?;
        if broken.renamed() { mark::mark_failed(&init, &broken.name, &broken.path, ledger) } else { Ok(()) }
    })
}

impl Broken {
    /// Whether the script is renamed to `.failed`: only files in `Init/` are.
    fn renamed(&self) -> bool {
        self.is_file && self.key == self.name
    }
}

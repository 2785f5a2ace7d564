//! What becomes of the apps of a staged copy, before the server can see it. The flags alone decide.
//!
//! | said | the backup was not in quarantine | it was |
//! | --- | --- | --- |
//! | nothing: a copy | off | stays off, and what is on besides goes off |
//! | `--from-latest` | as they were; off where the volume is in quarantine | as for a copy |
//! | `--enable-apps` | as they were | what had been on is on again |

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    backup::{Manifest, metastore_member, quarantine_member},
    quarantine::{self as apps, Chosen, QuarantineRecord, failed},
};
use profile::{Apps, Profile, step::Step};
use seqbac::DigestEntry;
use seqbac_header::{Id, RelPath};
use volume::{
    Volume,
    error::{Code, Error, Result},
};

/// What was said about the apps on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppsPolicy {
    /// Nothing: this is a copy.
    Copy,
    /// `--from-latest`: the same volume, some time ago.
    FromLatest,
    /// `--enable-apps`: this takes the place of the original.
    EnableApps,
}

impl fmt::Display for AppsPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Copy => "no --enable-apps",
            Self::FromLatest => "--from-latest",
            Self::EnableApps => "--enable-apps",
        })
    }
}

/// What became of the server's apps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppsState {
    /// Switched off: the copy is in quarantine, unless there was nothing to switch off.
    Off,
    /// As they were when the original ran.
    AsTheyWere,
}

/// The apps of a staged copy, outcome with.
#[derive(Debug)]
pub struct QuarantineOutcome {
    /// What became of them.
    pub after: AppsState,
    /// What quarantine remembers; `None` where there is no quarantine.
    pub memory: Option<QuarantineRecord>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// What quarantine depends on.
#[derive(Debug)]
pub struct Quarantine<'a> {
    /// What was said.
    pub policy: AppsPolicy,
    /// What the volume's profile says of apps.
    pub profile: &'a Profile,
    /// What the backup says of itself.
    pub manifest: &'a Manifest,
    /// What is remembered on the volume now.
    pub volume: Option<&'a QuarantineRecord>,
}

impl Quarantine<'_> {
    /// What is to become of the apps.
    pub const fn after(&self) -> AppsState {
        match self.policy {
            AppsPolicy::EnableApps => AppsState::AsTheyWere,
            AppsPolicy::FromLatest if self.volume.is_none() && !self.manifest.quarantined => AppsState::AsTheyWere,
            AppsPolicy::Copy | AppsPolicy::FromLatest => AppsState::Off,
        }
    }

    /// Refuses, before anything is unpacked, a copy whose apps nobody knows.
    ///
    /// # Errors
    /// `AppsUnknown`.
    pub fn refuse_unknown(&self, members: &[DigestEntry]) -> Result<()> {
        let remembered = self.manifest.quarantined || (self.policy == AppsPolicy::FromLatest && self.volume.is_some());
        let is_ours = |member: &DigestEntry| [metastore_member(), quarantine_member()].contains(&member.path);
        // Then the console is the server, and its apps are known.
        let only_console = self.manifest.has_metastore() && members.iter().all(is_ours);
        let known =
            self.profile.apps != Apps::Unknown || self.manifest.apps == Apps::None || remembered || only_console;
        if self.after() == AppsState::AsTheyWere || known {
            return Ok(());
        }
        Err(Error::new(
            Code::AppsUnknown,
            "what this server's apps are is unknown, so they cannot be switched off in the restored copy; nothing was changed",
        )
        .hint(
            "name the server's profile with --profile (or MOORLINE_PROFILE), or say apps = \"none\" in one; \
             or add --enable-apps if this replaces the original and its alerts, webhooks and jobs are to run",
        ))
    }

    /// Switches apps off or on in the staged copy. `backup` is what was remembered when the backup was made; `console`,
    /// whether the console's database is in the stage.
    ///
    /// # Errors
    /// `AppsUnknown` where a step fails: the copy is worth nothing then.
    pub fn apply(
        &self,
        stage: &Path,
        restore: Id,
        backup: Option<QuarantineRecord>,
        console: bool,
    ) -> Result<QuarantineOutcome> {
        let backup = backup.map(QuarantineRecord::without_requests);
        match (self.after(), backup) {
            (AppsState::Off, backup) => self.switch_off(stage, restore, backup, console),
            (AppsState::AsTheyWere, Some(memory)) => switch_on(stage, memory),
            (AppsState::AsTheyWere, None) => {
                Ok(QuarantineOutcome { after: AppsState::AsTheyWere, memory: None, notes: Vec::new() })
            }
        }
        .map_err(failed)
    }

    fn switch_off(
        &self,
        stage: &Path,
        restore: Id,
        backup: Option<QuarantineRecord>,
        console: bool,
    ) -> Result<QuarantineOutcome> {
        let steps = self.steps(backup.as_ref(), console)?;
        // PastRestore by the journal: until that is committed, a crash leaves nothing of the copy.
        let (mut memory, notes) = apps::quarantine(stage, &steps, backup, &mut |_| Ok(()))?;
        memory.restore = Some(restore);
        let memory = Some(memory).filter(|memory| !memory.is_over());
        Ok(QuarantineOutcome { after: AppsState::Off, memory, notes })
    }

    /// Refuses where the server of the copy would find apps on the volume that are in no backup, so that nobody has
    /// switched them off.
    ///
    /// # Errors
    /// `AppsUnknown`, naming the first.
    pub fn refuse_unreplaced_apps(
        &self,
        volume: &Volume,
        outcome: &QuarantineOutcome,
        is_replaced: &dyn Fn(&RelPath) -> bool,
    ) -> Result<()> {
        if outcome.after == AppsState::AsTheyWere {
            return Ok(());
        }
        let steps = self.steps(outcome.memory.as_ref(), true)?;
        match apps::inspect_unreplaced(volume.root(), &steps, is_replaced)?.first() {
            None => Ok(()),
            Some((step, path)) => Err(Error::new(
                Code::AppsUnknown,
                format!("{path}, which this restore does not replace, has apps of \"{step}\" that are on; nothing was changed"),
            )
            .hint("move it out of the volume; or name it in the profile's [state], so that it is part of backups and restores")),
        }
    }

    /// The profile's; where it has none, those that quarantined this state before: they are what was meant then. And the
    /// console's.
    fn steps(&self, backup: Option<&QuarantineRecord>, console: bool) -> Result<Vec<Step>> {
        let of = |memory: &QuarantineRecord| {
            let steps = memory.steps.iter().map(|remembered| remembered.step.clone());
            steps.filter(|step| !apps::is_of_console(step)).collect::<Vec<_>>()
        };
        let steps = match self.profile.apps {
            Apps::Listed => self.profile.steps.clone(),
            Apps::None | Apps::Unknown => {
                let volume = self.volume.filter(|_| self.policy == AppsPolicy::FromLatest).map(of);
                let backup = backup.map(of).filter(|steps| !steps.is_empty());
                backup.or(volume).unwrap_or_default()
            }
        };
        apps::with_console(steps, console)
    }
}

fn switch_on(stage: &Path, mut memory: QuarantineRecord) -> Result<QuarantineOutcome> {
    let release = apps::release(stage, &mut memory, &Chosen::All, &mut |_| Ok(()))?;
    let mut notes = release.warnings;
    for step in release.steps {
        notes.push(format!("{}: {} of {} are on again that were off in the backup", step.step, step.released, step.of));
        notes.extend(
            step.left.into_iter().map(|left| format!("{} was left as it is in the backup: {}", left.id, left.why)),
        );
    }
    Ok(QuarantineOutcome { after: AppsState::AsTheyWere, memory: None, notes })
}

//! Whether the apps of a staged copy are off or on, decided by the flags and the backup alone, before the server can see
//! the copy.
//!
//! | flag | backup not in quarantine | backup in quarantine |
//! | --- | --- | --- |
//! | none: a copy | off | stay off; any others that are on go off |
//! | `--from-latest` | as they were; off if the volume is in quarantine | as for a copy |
//! | `--enable-apps` | as they were | released |

use std::fmt;

use super::{Only, Request};
use crate::{
    backup::{Manifest, metastore_member, quarantine_member},
    prelude::*,
    quarantine::{self as apps, Chosen, QuarantineRecord, ReleasedStep, failed},
};
use profile::Apps;
use seqbac::DigestEntry;

/// Which flag about apps was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppsPolicy {
    /// Neither flag: the result is a copy, with its apps off.
    Copy,
    /// `--from-latest`: the same volume at an earlier time.
    FromLatest,
    /// `--enable-apps`: the result replaces the original server.
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

/// Whether the server's apps are off after a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppsState {
    /// Switched off: the copy is in quarantine, unless it has no app that was on.
    Off,
    /// As they were in the original server.
    AsTheyWere,
}

#[derive(Debug)]
pub struct QuarantineOutcome {
    pub after: AppsState,
    /// `None` if the copy is not in quarantine.
    pub record: Option<QuarantineRecord>,
    pub notes: Vec<String>,
}

#[derive(Debug)]
pub struct Quarantine<'a> {
    pub policy: AppsPolicy,
    pub profile: &'a Profile,
    pub manifest: &'a Manifest,
    /// The quarantine record of the volume before the restore.
    pub volume: Option<&'a QuarantineRecord>,
    /// The part of the state that is restored; `None` is all of it.
    pub only: Option<&'a Only>,
}

impl<'a> Quarantine<'a> {
    pub const fn of(
        request: &Request<'a>,
        profile: &'a Profile,
        manifest: &'a Manifest,
        volume: Option<&'a QuarantineRecord>,
    ) -> Self {
        Self { policy: request.apps, profile, manifest, volume, only: request.only }
    }

    pub const fn after(&self) -> AppsState {
        match self.policy {
            AppsPolicy::EnableApps => AppsState::AsTheyWere,
            AppsPolicy::FromLatest if self.volume.is_none() && !self.manifest.quarantined => AppsState::AsTheyWere,
            AppsPolicy::Copy | AppsPolicy::FromLatest => AppsState::Off,
        }
    }

    /// Refuses a copy if no profile lists its apps. Called before anything is unpacked.
    pub fn refuse_unknown(&self, members: &[DigestEntry]) -> Result<()> {
        let remembered = self.manifest.quarantined || (self.policy == AppsPolicy::FromLatest && self.volume.is_some());
        let is_ours = |member: &DigestEntry| [metastore_member(), quarantine_member()].contains(&member.path);
        // Then the console is the server, whose apps we know.
        let only_console = self.manifest.has_metastore() && members.iter().all(is_ours);
        let known =
            self.profile.apps != Apps::Unknown || self.manifest.apps == Apps::None || remembered || only_console;
        if self.after() == AppsState::AsTheyWere || known {
            return Ok(());
        }
        let what = "no profile says which apps (alerts, webhooks, jobs) this server has, so they cannot be switched off in \
                    the restored copy; nothing was changed";
        Err(Error::new(Code::AppsUnknown, what).hint(
            "pass the server's profile with --profile (or MOORLINE_PROFILE), or --profile none if it has no apps; \
             or pass --enable-apps if this server replaces the original and its apps are to run",
        ))
    }

    /// Switches apps off or on in the staged copy. `backup` is the quarantine record in the backup; `console` says
    /// whether the stage contains the console's database.
    pub fn apply(
        &self,
        stage: &Path,
        restore: Id,
        backup: Option<QuarantineRecord>,
        console: bool,
    ) -> Result<QuarantineOutcome> {
        let mut backup = backup.map(QuarantineRecord::without_requests);
        if let Some(only) = self.only {
            backup = backup.map(|record| record.split(|path| only.takes(path)).0);
        }
        let mut outcome = match self.after() {
            AppsState::AsTheyWere => switch_on(stage, backup),
            AppsState::Off => self.switch_off(stage, restore, backup, console),
        }
        .map_err(failed)?;
        if let Some(only) = self.only {
            outcome.record = only.join(self.volume, outcome.record);
        }
        Ok(outcome)
    }

    fn switch_off(
        &self,
        stage: &Path,
        restore: Id,
        backup: Option<QuarantineRecord>,
        console: bool,
    ) -> Result<QuarantineOutcome> {
        let mut steps = self.steps(backup.as_ref(), console)?;
        if self.only.is_some() {
            apps::keep_reachable(stage, &mut steps)?;
        }
        // There is nothing to persist yet: until the journal is committed, a crash discards the whole copy.
        let (mut record, notes) = apps::quarantine(stage, &steps, backup, &mut |_| Ok(()))?;
        record.restore = Some(restore);
        let record = Some(record).filter(|record| !record.is_over());
        Ok(QuarantineOutcome { after: AppsState::Off, record, notes })
    }

    /// Refuses the restore if the copy's server would find apps on the volume that this restore does not replace,
    /// because no step has switched them off.
    pub fn refuse_unreplaced_apps(
        &self,
        volume: &Volume,
        outcome: &QuarantineOutcome,
        is_replaced: &dyn Fn(&RelPath) -> bool,
    ) -> Result<()> {
        // What is outside of a part belongs to this server, not to a copy.
        if outcome.after == AppsState::AsTheyWere || self.only.is_some() {
            return Ok(());
        }
        let steps = self.steps(outcome.record.as_ref(), true)?;
        let found = apps::inspect_unreplaced(volume.root(), &steps, is_replaced)?;
        let Some((step, path)) = found.first() else { return Ok(()) };
        let what = format!(
            "{path}, which this restore does not replace, contains apps of the step \"{step}\" that are on; nothing was changed"
        );
        Err(Error::new(Code::AppsUnknown, what).hint(
            "move it out of the volume, or add it to [state] in the profile, so that backups and restores include it",
        ))
    }

    /// The steps of the profile. If it has none, those that quarantined this state before, because they describe the
    /// same apps. In both cases also the console's.
    fn steps(&self, backup: Option<&QuarantineRecord>, console: bool) -> Result<Vec<Step>> {
        let of = |record: &QuarantineRecord| {
            let steps = record.steps.iter().map(|remembered| remembered.step.clone());
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

fn switch_on(stage: &Path, record: Option<QuarantineRecord>) -> Result<QuarantineOutcome> {
    let mut notes = Vec::new();
    if let Some(mut record) = record {
        let release = apps::release(stage, &mut record, &Chosen::All, &mut |_| Ok(()))?;
        notes = release.warnings;
        for ReleasedStep { step, released, of, left } in release.steps {
            notes.push(format!("{step}: switched on {released} of {of} apps that were off in the backup"));
            notes.extend(left.iter().map(|left| format!("{} stays as it is in the backup: {}", left.id, left.why)));
        }
    }
    Ok(QuarantineOutcome { after: AppsState::AsTheyWere, record: None, notes })
}

//! `moorline restore`: a backup onto the volume.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{Context, confirm, environment, in_script::Replacing, key::KeyArguments, output, preview, progress::Shown};
use engine::{
    backup,
    quarantine::App,
    restore::{self, AppsPolicy, AppsState, Request, Restored},
};
use seqbac_header::SecretKey;
use volume::{
    Instance, Lock, Volume,
    error::{Code, Error, Result},
};

/// Restore a backup onto the volume: whole, or not at all
///
/// The server must be stopped; the usual place for this command is a script in Init/. What is replaced is kept, and
/// `moorline rollback` brings it back.
#[derive(Debug, Args)]
pub struct Restore {
    /// The newest backup of this instance in Backups/; its apps stay as they are
    #[arg(long, conflicts_with = "backup")]
    from_latest: bool,
    /// The backup; relative to the working directory, which for an init script is Init/
    #[arg(long, value_name = "FILE", required_unless_present = "from_latest")]
    backup: Option<PathBuf>,
    #[command(flatten)]
    key: KeyArguments,
    /// Leave the server's apps as the backup has them; without it, they are off in the restored copy
    #[arg(long)]
    enable_apps: bool,
    /// Do it without asking
    #[arg(short, long = "yes")]
    yes: bool,
    /// Show what would change, store by store, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Restore a backup of another profile all the same: `accept`
    #[arg(long, value_name = "accept", value_parser = ["accept"])]
    profile_mismatch: Option<String>,
    /// Who owns what is restored [default: as archived, or as what is replaced]
    #[arg(long, value_name = "UID:GID", value_parser = environment::parse_owner)]
    owner: Option<(u32, u32)>,
    /// In an init script: the script handles a failure, and does not fail with it
    #[arg(long)]
    may_fail: bool,
    /// Print the result as an object
    #[arg(long)]
    pub(super) json: bool,
}

impl Restore {
    pub(super) fn replacing(&self) -> Option<Replacing> {
        (!self.dry_run).then_some(Replacing { command: "restore", may_fail: self.may_fail })
    }

    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let volume = context.volume()?;
        volume.prepare()?;
        // First, because the key, the instance and what is state may all be half way through an unfinished restore.
        let _lock = match self.dry_run {
            true => restore::refuse_unfinished(&volume).map(|()| None)?,
            false => Some(settle(context, &volume)?),
        };
        let profile = context.profile(&volume)?;
        let sources = self.key.sources(context)?;
        let given = sources.from_flag()?.is_some();
        let own_key = if given { sources.active(Some(&volume))? } else { None };
        let key = self.key.get(context, Some(&volume))?;
        let file = self.file(&volume, &key)?;
        let request = Request {
            backup: &file,
            key: &key,
            own_key: own_key.as_ref().map_or(&key, |found| &found.key),
            adopt_key: given && own_key.is_none(),
            apps: self.said(),
            accept_other_profile: self.profile_mismatch.is_some(),
            owner: self.owner,
            script: context.environment.script_step()?,
        };
        if self.dry_run {
            let preview = restore::preview(&volume, &profile, &request, &mut Shown::new())?;
            if self.json {
                output::object(&preview)?
            } else {
                preview::show(&preview)
            }
            return Ok(ExitCode::SUCCESS);
        }
        let question = format!("restore {} onto {}, replacing its state?", file.display(), volume.root().display());
        confirm::ask(&question, self.yes)?;
        let restored = restore::restore(&volume, &profile, request, &mut Shown::new())?;
        self.report(&restored)?;
        Ok(ExitCode::SUCCESS)
    }

    const fn said(&self) -> AppsPolicy {
        match (self.enable_apps, self.from_latest) {
            (true, _) => AppsPolicy::EnableApps,
            (false, true) => AppsPolicy::FromLatest,
            (false, false) => AppsPolicy::Copy,
        }
    }

    fn file(&self, volume: &Volume, key: &SecretKey) -> Result<PathBuf> {
        if let Some(file) = &self.backup {
            return Ok(file.clone());
        }
        let Some(instance) = Instance::load(volume)? else {
            return Err(Error::new(Code::NotFound, "this volume has made no backup yet, so it has no latest one")
                .hint("name one: seqsvr restore -y --enable-apps --secret-key=KEY --backup=../Backups/FILE"));
        };
        volume.refuse_missing_backups()?;
        backup::newest_of_instance(&volume.backups(), key, instance.id, jiff::Timestamp::now())
    }

    fn report(&self, restored: &Restored) -> Result<()> {
        for note in &restored.notes {
            log::warn!("{note}");
        }
        let said = self.said();
        match (restored.apps, said) {
            (AppsState::AsTheyWere, _) => log::info!("apps are as they were ({said})"),
            (AppsState::Off, AppsPolicy::FromLatest) => {
                log::info!("apps are off ({said}, in quarantine): {}", off(&restored.apps_off));
            }
            (AppsState::Off, _) => log::info!("apps are off ({said}): {}", off(&restored.apps_off)),
        }
        if restored.key_adopted {
            log::info!("the volume had no secret key, and took the one it was given as its own");
        }
        if self.json {
            return output::object(restored);
        }
        output::answer(&format!(
            "restored {} (made {:.0}): {} members; `moorline rollback {}` brings back what it replaced",
            restored.backup.display(),
            restored.backup_created,
            restored.restored,
            restored.id
        ));
        Ok(())
    }
}

fn off(apps: &[App]) -> String {
    if apps.is_empty() { "none was on".to_owned() } else { output::printable(&engine::quarantine::by_step(apps)) }
}

/// Takes the lock, and finishes what a crash interrupted.
fn settle(context: &Context, volume: &Volume) -> Result<Lock> {
    let lock = Lock::take(volume, "restore", context.inherited_lock(volume))?;
    for line in restore::recover(volume)? {
        log::info!("{line}");
    }
    Ok(lock)
}

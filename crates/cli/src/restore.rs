//! `moorline restore`: restores a backup onto the volume, or previews it with `--dry-run`.

use std::path::PathBuf;

use clap::Args;

use super::{
    Context, ServerStopped, confirm, in_script::Replacing, key::KeyArguments, output, owners::OwnerArguments,
    progress::ProgressReporter, trust::trust,
};
use engine::{
    backup,
    fetch::Fetched,
    quarantine::App,
    restore::{self, AppsPolicy, AppsState, DatabaseChange, DatabaseDiffers, Only, Preview, Request, Restored},
    store::Spool,
};
use seqbac_header::SecretKey;
use volume::{
    Instance, Volume,
    error::{Code, Error, Result},
};

/// Replace the state of the volume with the state in a backup, atomically
///
/// The server must be stopped, so put this command into a script in Init/. The replaced state is kept, and `moorline
/// rollback` brings it back.
#[derive(Args)]
pub struct Restore {
    /// Restore the newest sound backup of this instance in Backups/, and leave apps as they were; =sound accepts any age
    #[arg(long, conflicts_with = "backup", value_name = "sound", value_parser = ["newest", "sound"])]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "newest")]
    from_latest: Option<String>,
    /// Restore this backup: a path relative to the working directory, which is Init/ in an init script; - for stdin; or an https
    /// address
    #[arg(long, value_name = "FILE|-|URL", required_unless_present = "from_latest")]
    backup: Option<PathBuf>,
    #[command(flatten)]
    key: KeyArguments,
    /// Leave apps as they were when the backup was taken; without it, apps are off in a restored copy
    #[arg(long)]
    enable_apps: bool,
    /// Restore only this part of the state; repeat it for several parts. A folder includes everything below it
    #[arg(long, value_name = "PATH|GLOB")]
    only: Vec<String>,
    /// Do not ask for confirmation
    #[arg(short, long = "yes")]
    yes: bool,
    /// Show, store by store, what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Restore even a backup of another kind of server, whose profile differs
    #[arg(long, value_name = "accept", value_parser = ["accept"])]
    profile_mismatch: Option<String>,
    #[command(flatten)]
    owners: OwnerArguments,
    /// Give the restored files nothing that only root can give. For scripts that the server's user can write
    #[arg(long, hide = true)]
    unprivileged: bool,
    #[command(flatten)]
    server: ServerStopped,
    /// In an init script: the script handles a failure itself, so a failure does not make the script fail
    #[arg(long)]
    may_fail: bool,
    /// Print the result as a JSON object
    #[arg(long)]
    json: bool,
}

impl Restore {
    pub(super) fn replacing(&self) -> Option<Replacing> {
        (!self.dry_run).then_some(Replacing { command: "restore", may_fail: self.may_fail })
    }

    pub(super) fn run(self, context: &Context) -> Result<()> {
        let volume = context.volume()?;
        volume.prepare()?;
        // First, because an unfinished restore may still change the key, the instance and the profile's scope.
        let _lock = match self.dry_run {
            true => restore::refuse_unfinished(&volume).map(|()| None)?,
            false => Some(context.lock_and_recover(&volume, "restore", self.server.answer())?),
        };
        let profile = context.profile(&volume)?;
        let sources = self.key.sources(context)?;
        let has_key_flag = sources.from_flag()?.is_some();
        let own_key = if has_key_flag { sources.active(Some(&volume))? } else { None };
        let key = self.key.get(context, Some(&volume))?;
        let mut progress = ProgressReporter::new();
        let file = self.file(context, &volume, &key, &mut progress)?;
        let named = |error: Error| error.with_name(file.path(), file.name());
        let only = (!self.only.is_empty()).then(|| Only::of(&self.only)).transpose()?;
        let request = Request {
            backup: file.path(),
            name: file.name(),
            key: &key,
            own_key: own_key.as_ref().map_or(&key, |found| &found.key),
            adopt_key: has_key_flag && own_key.is_none(),
            apps: self.apps_policy(),
            accept_other_profile: self.profile_mismatch.is_some(),
            only: only.as_ref(),
            owner: self.owners.owner,
            owner_map: self.owners.map()?,
            unprivileged: self.unprivileged,
            own_variables: context.environment.own_names(),
            script: context.environment.script_step()?,
        };
        if self.dry_run {
            let preview = restore::preview(&volume, &profile, &request, &mut progress).map_err(named)?;
            return output::result(self.json, &preview, show);
        }
        let question =
            format!("restore {} onto {}, replacing its state?", file.name().display(), volume.root().display());
        confirm::ask(&question, self.yes)?;
        let restored = restore::restore(&volume, &profile, request, &mut progress).map_err(named)?;
        self.report(&restored, context.environment.script_step()?.is_some())
    }

    const fn apps_policy(&self) -> AppsPolicy {
        match (self.enable_apps, self.from_latest.is_some()) {
            (true, _) => AppsPolicy::EnableApps,
            (false, true) => AppsPolicy::FromLatest,
            (false, false) => AppsPolicy::Copy,
        }
    }

    fn file(
        &self,
        context: &Context,
        volume: &Volume,
        key: &SecretKey,
        progress: &mut ProgressReporter,
    ) -> Result<Fetched> {
        if let Some(file) = &self.backup {
            let configured = context.environment.spool()?;
            let places = configured.map_or_else(|| vec![volume.spool(), std::env::temp_dir()], |place| vec![place]);
            return Fetched::of(file, &Spool::of(places), &trust(), progress);
        }
        let Some(instance) = Instance::load(volume)? else {
            return Err(Error::new(Code::NotFound, "no latest backup exists, because this volume has taken none yet")
                .hint("name a file: moorline restore -y --enable-apps --secret-key=KEY --backup=../Backups/FILE"));
        };
        volume.refuse_missing_backups()?;
        let sound_only = self.from_latest.as_deref() == Some("sound");
        backup::latest(volume, key, instance.id, jiff::Timestamp::now(), sound_only).map(Fetched::file)
    }

    /// In a script, stdout is the container's log, where each line of moorline says so.
    fn report(&self, restored: &Restored, in_script: bool) -> Result<()> {
        for note in &restored.notes {
            log::warn!("{note}");
        }
        let policy = self.apps_policy();
        match (restored.apps, policy) {
            (AppsState::AsTheyWere, _) => log::info!("apps are as they were ({policy})"),
            (AppsState::Off, AppsPolicy::FromLatest) => {
                log::info!("apps are off ({policy}, in quarantine): {}", off(&restored.apps_off));
            }
            (AppsState::Off, _) => log::info!("apps are off ({policy}): {}", off(&restored.apps_off)),
        }
        if restored.key_adopted {
            log::info!("the volume had no secret key, so it adopted the key that opened the backup");
        }
        output::result(self.json, restored, |Restored { backup, backup_created, restored, id, .. }| {
            let backup = backup.display();
            let members = if *restored == 1 { "member" } else { "members" };
            let done = format!(
                "restored {backup} (created {backup_created:.0}): {restored} {members}; to bring back the replaced state: `moorline rollback {id}`"
            );
            if in_script { log::info!("{done}") } else { output::answer(&done) }
        })
    }
}

fn off(apps: &[App]) -> String {
    if apps.is_empty() { "none was on".to_owned() } else { output::printable(&engine::quarantine::by_step(apps)) }
}

/// The table of `--dry-run`.
fn show(preview: &Preview) {
    let (backup, created) = (preview.backup.display(), preview.backup_created);
    output::answer(&format!("restoring {backup} (created {created:.0}) would change:"));
    let mut rows = Vec::new();
    for DatabaseDiffers { path, change } in &preview.databases {
        match change {
            DatabaseChange::Appears => rows.push(row(path, "database", "appears", "", "")),
            DatabaseChange::Vanishes => rows.push(row(path, "database", "", "", "vanishes")),
            DatabaseChange::Changes(tables) => rows.extend(tables.iter().map(|table| {
                let name = format!("{path} {}", table.table);
                row(&name, "rows", &table.appear.to_string(), &table.change.to_string(), &table.vanish.to_string())
            })),
        }
    }
    let files = &preview.files;
    rows.extend(files.appear.iter().map(|path| row(path, "file", "appears", "", "")));
    rows.extend(files.change.iter().map(|path| row(path, "file", "", "changes", "")));
    rows.extend(files.vanish.iter().map(|path| row(path, "file", "", "", "moved aside")));
    output::table(["STORE", "WHAT", "APPEAR", "CHANGE", "VANISH"], rows.into_iter());
    output::answer(&format!("{} files and databases would stay the same", files.same));
    output::answer(match preview.apps {
        AppsState::Off => "apps would be off",
        AppsState::AsTheyWere => "apps would be as they were when the backup was taken",
    });
    for step in &preview.switched_off {
        output::line(&format!("off: {} {}: {}", step.step, step.apps.len(), step.apps.join(", ")));
    }
    preview.notes.iter().for_each(|note| output::line(note));
}

fn row(name: &impl std::fmt::Display, what: &str, appear: &str, change: &str, vanish: &str) -> [String; 5] {
    [output::printable(&name.to_string()), what.into(), appear.into(), change.into(), vanish.into()]
}

//! `moorline instance`: shows the identity of the volume, and settles which volume is which if another one has the same.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Context, output};
use engine::{backup::Twins, restore};
use seqbac_header::Id;
use volume::{
    BackupLock, BackupRecord, Instance as Identity, Volume,
    error::{Code, Error, Result},
};

/// Show the volume's identity; settle which volume is which if another one takes backups with the same instance id
#[derive(Debug, Args)]
pub struct Instance {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print the result as a JSON object
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the instance id, the record of its backups, and signs of another volume with the same id [default]
    Show,
    /// Take all backups of this instance in the backup folder as this volume's
    ///
    /// For a volume that was set back by a snapshot, or moved by copying its files, while its backups stayed.
    Adopt,
    /// Give this volume a new instance id
    ///
    /// For a clone: the backups so far stay the original's.
    New,
}

/// The `--json` object.
#[derive(Debug, Serialize)]
struct Report {
    instance_id: Id,
    created: jiff::Timestamp,
    restore_epoch: u64,
    key_fingerprint: Option<Id>,
    recorded_since: Option<jiff::Timestamp>,
    recorded: usize,
    uploaded: usize,
    twins: Option<Twins>,
}

impl Instance {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let volume = context.volume()?;
        match self.action {
            None | Some(Action::Show) => {}
            Some(Action::Adopt) => {
                change(&volume, |identity| {
                    identity.restore_epoch += 1;
                    BackupRecord::adopt(&volume, identity.id, jiff::Timestamp::now())
                })?;
                log::info!("all backups of this instance count as taken by this volume");
            }
            Some(Action::New) => {
                let before = change(&volume, |identity| identity.renew())?;
                log::info!(
                    "the backups so far belong to instance {before}; take one of this instance: `moorline backup`"
                );
                log::info!(
                    "the apps of a clone act twice: to switch them off, stop the server and run `moorline apps disable --all`"
                );
            }
        }
        output::result(self.json, &report(context, &volume)?, |report| show(report, &volume))
    }
}

/// Changes the identity while no backup is being taken and no restore is unfinished. Returns the id before.
fn change(volume: &Volume, how: impl FnOnce(&mut Identity) -> Result<()>) -> Result<Id> {
    volume.prepare()?;
    restore::refuse_unfinished(volume)?;
    let _lock = BackupLock::take(volume)?;
    let mut identity = load(volume)?;
    let before = identity.id;
    how(&mut identity)?;
    identity.save(volume)?;
    Ok(before)
}

fn load(volume: &Volume) -> Result<Identity> {
    Identity::load(volume)?.ok_or_else(|| {
        Error::new(Code::NotFound, format!("the volume {} has no instance id yet", volume.root().display()))
            .hint("it gets one at its first start or backup")
    })
}

fn report(context: &Context, volume: &Volume) -> Result<Report> {
    let identity = load(volume)?;
    let record = BackupRecord::load(volume, identity.id)?;
    let key = context.environment.key_sources()?.active(Some(volume))?;
    let find = |key| Twins::find(volume, key, identity.id, jiff::Timestamp::now());
    let recorded = record.iter().flat_map(|record| record.backups.values());
    Ok(Report {
        instance_id: identity.id,
        created: identity.created,
        restore_epoch: identity.restore_epoch,
        key_fingerprint: identity.key_fingerprint,
        recorded_since: record.as_ref().map(|record| record.since),
        recorded: recorded.clone().count(),
        uploaded: recorded.filter(|one| one.uploaded).count(),
        twins: key.as_ref().map(|found| find(&found.key)).transpose()?.flatten(),
    })
}

fn show(report: &Report, volume: &Volume) {
    let none = || "none yet".to_owned();
    let recorded = report.recorded_since.map_or_else(none, |since| {
        format!("{} since {since:.0}, {} of them uploaded", report.recorded, report.uploaded)
    });
    for (what, value) in [
        ("instance", report.instance_id.to_string()),
        ("created", format!("{:.0}", report.created)),
        ("restore epoch", report.restore_epoch.to_string()),
        ("key", report.key_fingerprint.map_or_else(none, |key| key.to_string())),
        ("recorded backups", recorded),
        ("twin", report.twins.as_ref().map_or_else(|| "no sign of one".to_owned(), Twins::in_words)),
    ] {
        output::line(&format!("{what:<17} {value}"));
    }
    let Some(twins) = &report.twins else { return };
    for backup in &twins.unrecorded {
        output::line(&format!("{:<17} {}, created {:.0}", "not recorded", backup.file.display(), backup.created));
    }
    for line in twins.advice(&volume.backups()) {
        output::line(&line);
    }
}

//! `moorline status`: shows the state of a volume: key, last backup, init scripts, restores and quarantine.

use clap::Args;
use serde::Serialize;

use moorline::command::container;

use super::{Context, output};
use engine::{
    backup::{self, Soundness, Summary, Twins},
    finds,
    quarantine::{QuarantineRecord, Requests},
    restore::{self, PastRestore},
    store::ForeignDatabase,
};
use moorline::init;
use seqbac_header::{Id, RelPath};
use volume::{
    Holder, Instance, Volume, backups,
    error::{Error, Result},
    lock,
};

/// Show the volume's key fingerprint, last backup, init scripts, restores and quarantine
#[derive(Debug, Args)]
pub struct Status {
    /// Print the result as a JSON object
    #[arg(long)]
    json: bool,
}

/// The `--json` object.
#[derive(Debug, Serialize)]
struct Report {
    instance_id: Option<Id>,
    profile: Option<String>,
    key_fingerprint: Option<Id>,
    in_use_by: Option<Holder>,
    foreign: Vec<ForeignDatabase>,
    last_backup: Option<Summary>,
    daily_backups: bool,
    twins: Option<Twins>,
    scripts: Scripts,
    quarantine: Option<Quarantine>,
    restore_unfinished: bool,
    restores: Vec<PastRestore>,
}

#[derive(Debug, Serialize)]
struct Quarantine {
    since: jiff::Timestamp,
    restore: Option<Id>,
    apps_off: usize,
    pending: bool,
    requested: Requests,
    #[serde(skip)]
    in_words: String,
}

#[derive(Debug, Serialize)]
struct Scripts {
    waiting: Vec<RelPath>,
    after_start: Vec<RelPath>,
    every_start: Vec<RelPath>,
    done: Vec<RelPath>,
    failed: Vec<RelPath>,
}

impl Status {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let volume = context.volume()?;
        let key = context.environment.key_sources()?.active(Some(&volume))?.map(|found| found.key);
        let scripts = init::report(&volume, &container::seqinit(&context.environment)?)?;
        volume.refuse_missing_backups()?;
        let listed = backup::list(&volume.backups(), key.as_ref())?;
        for skipped in &listed.skipped {
            log::warn!("{}", skipped.error);
        }
        let instance = Instance::load(&volume)?;
        let now = jiff::Timestamp::now();
        let newest = backups::newest(&volume, instance.as_ref(), now)?;
        let twins = match instance.as_ref().zip(key.as_ref()) {
            Some((instance, key)) => Twins::find(&volume, key, instance.id, now)?,
            None => None,
        };
        let report = Report {
            twins,
            daily_backups: backups::are_daily(&volume, &newest, now),
            instance_id: instance.map(|instance| instance.id),
            profile: profile(context),
            key_fingerprint: key.as_ref().map(|key| key.fingerprint()),
            in_use_by: lock::holder(&volume)?,
            foreign: foreign(context, &volume),
            last_backup: listed.backups.into_iter().next(),
            scripts: Scripts {
                waiting: scripts.waiting,
                after_start: scripts.after_start,
                every_start: scripts.every_start,
                done: scripts.done,
                failed: scripts.failed,
            },
            quarantine: QuarantineRecord::load(&volume)?.map(quarantine),
            restore_unfinished: volume::restores::unfinished(&volume)?,
            restores: restore::history(&volume)?,
        };
        output::result(self.json, &report, show)
    }
}

/// The profile's name. An invalid profile is only a warning here, so that `status` still shows everything else.
fn profile(context: &Context) -> Option<String> {
    let failed = |error: &Error| log::warn!("{error}");
    context.profile.read().inspect_err(failed).ok().flatten().map(|profile| profile.name)
}

/// The databases of other engines. A volume that cannot be read is only a warning here, like an invalid profile.
fn foreign(context: &Context, volume: &Volume) -> Vec<ForeignDatabase> {
    let Ok(profile) = context.profile(volume) else { return Vec::new() };
    finds::foreign(&profile, volume).inspect_err(|error| log::warn!("{error}")).unwrap_or_default()
}

fn quarantine(record: QuarantineRecord) -> Quarantine {
    let apps: Vec<_> = record.apps().collect();
    let pending = match (record.pending, record.requested.is_empty()) {
        (true, _) => "; the next start finishes switching them off",
        (false, false) => "; the next start releases the requested ones",
        (false, true) => "",
    };
    Quarantine {
        since: record.since,
        restore: record.restore,
        apps_off: apps.len(),
        pending: record.pending,
        requested: record.requested,
        in_words: format!("{} since {:.0}{pending}", engine::quarantine::in_words(&apps), record.since),
    }
}

fn twin(twins: &Twins) -> String {
    format!("{}; see `moorline instance show`", twins.in_words())
}

fn show(report: &Report) {
    let none = || "none yet".to_owned();
    let id = |id: Option<Id>| id.map_or_else(none, |id| id.to_string());
    let names = |names: &[RelPath]| match names {
        [] => "none".to_owned(),
        names => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let in_use = report.in_use_by.as_ref().map_or_else(
        || "no process".to_owned(),
        |holder| {
            format!("`{}`, process {} on host {}, since {:.0}", holder.command, holder.pid, holder.host, holder.since)
        },
    );
    let last = report.last_backup.as_ref().map_or_else(none, |backup| {
        let name = backup.file.file_name().unwrap_or_default().to_string_lossy();
        let soundness = backup.soundness.map_or("other key", Soundness::word);
        format!("{name}, {}, created {:.0}, {soundness}", output::size(backup.bytes), backup.created)
    });
    let kept = report.restores.iter().filter(|kept| kept.can_roll_back);
    let kept = kept.map(|kept| format!("{} of {:.0} ({})", kept.id, kept.restored, output::size(kept.bytes)));
    let kept = kept.collect::<Vec<_>>();
    let kept = if kept.is_empty() { "none".to_owned() } else { kept.join(", ") };
    let restore = match report.restore_unfinished {
        true => "unfinished: the next start finishes or undoes it",
        false => "none in progress",
    };
    for (what, value) in [
        ("instance", id(report.instance_id)),
        ("profile", report.profile.clone().unwrap_or_else(|| "none".to_owned())),
        ("key", id(report.key_fingerprint)),
        ("in use by", in_use),
        ("last backup", last),
        ("daily backups", if report.daily_backups { "yes" } else { backups::NO_DAILY }.to_owned()),
        ("twin", report.twins.as_ref().map_or_else(|| "no sign of one".to_owned(), twin)),
        ("scripts waiting", names(&report.scripts.waiting)),
        ("ready.d scripts", names(&report.scripts.after_start)),
        ("start.d scripts", names(&report.scripts.every_start)),
        ("scripts done", names(&report.scripts.done)),
        ("scripts failed", names(&report.scripts.failed)),
        ("restore", restore.to_owned()),
        ("kept for rollback", kept),
        ("quarantine", report.quarantine.as_ref().map_or_else(|| "none".to_owned(), |found| found.in_words.clone())),
    ] {
        output::line(&format!("{what:<17} {value}"));
    }
    for found in &report.foreign {
        output::line(&format!("{:<17} {}", "database", found.in_words()));
    }
}

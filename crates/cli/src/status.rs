//! `moorline status`: what is worth knowing of a volume.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use moorline::command::container;

use super::{Context, output};
use engine::{
    backup::{self, Summary},
    quarantine::{QuarantineRecord, Requests},
    restore::{self, PastRestore},
};
use moorline::init;
use seqbac_header::{Id, RelPath};
use volume::{
    Holder, Instance,
    error::{Error, Result},
    lock,
};

/// Show the volume's key, last backup, init scripts and restores
#[derive(Debug, Args)]
pub struct Status {
    /// Print one object
    #[arg(long)]
    pub(super) json: bool,
}

/// What there is to say, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Report {
    instance_id: Option<Id>,
    profile: Option<String>,
    key_fingerprint: Option<Id>,
    in_use_by: Option<Holder>,
    last_backup: Option<Summary>,
    scripts: Scripts,
    quarantine: Option<Quarantine>,
    restore_unfinished: bool,
    restores: Vec<PastRestore>,
}

/// Apps that are off.
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

/// Names of init scripts.
#[derive(Debug, Serialize)]
struct Scripts {
    waiting: Vec<RelPath>,
    after_start: Vec<RelPath>,
    every_start: Vec<RelPath>,
    done: Vec<RelPath>,
    failed: Vec<RelPath>,
}

impl Status {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let volume = context.volume()?;
        let key = context.environment.key_sources()?.active(Some(&volume))?.map(|found| found.key);
        let scripts = init::report(&volume, &container::seqinit(&context.environment)?)?;
        volume.refuse_missing_backups()?;
        let listed = backup::list(&volume.backups(), key.as_ref())?;
        for skipped in &listed.skipped {
            log::warn!("{}", skipped.error);
        }
        let report = Report {
            instance_id: Instance::load(&volume)?.map(|instance| instance.id),
            profile: profile(context),
            key_fingerprint: key.as_ref().map(|key| key.fingerprint()),
            in_use_by: lock::holder(&volume)?,
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
        if self.json {
            output::object(&report)?
        } else {
            show(&report)
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// That it makes no sense is no reason to say nothing of the rest.
fn profile(context: &Context) -> Option<String> {
    let failed = |error: &Error| log::warn!("{error}");
    context.profile.read().inspect_err(failed).ok().flatten().map(|profile| profile.name)
}

fn quarantine(memory: QuarantineRecord) -> Quarantine {
    let apps: Vec<_> = memory.apps().collect();
    let waits = match (memory.pending, memory.requested.is_empty()) {
        (true, _) => "; the next start finishes switching them off",
        (false, false) => "; the next start releases what was asked for",
        (false, true) => "",
    };
    Quarantine {
        since: memory.since,
        restore: memory.restore,
        apps_off: apps.len(),
        pending: memory.pending,
        requested: memory.requested,
        in_words: format!("{} since {:.0}{waits}", engine::quarantine::in_words(&apps), memory.since),
    }
}

fn show(report: &Report) {
    let none = || "none yet".to_owned();
    let id = |id: Option<Id>| id.map_or_else(none, |id| id.to_string());
    let names = |names: &[RelPath]| match names {
        [] => "none".to_owned(),
        names => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let in_use = report.in_use_by.as_ref().map_or_else(
        || "nobody".to_owned(),
        |holder| {
            format!("`{}`, process {} on host {}, since {:.0}", holder.verb, holder.pid, holder.host, holder.since)
        },
    );
    let last = report.last_backup.as_ref().map_or_else(none, |backup| {
        let name = backup.file.file_name().unwrap_or_default().to_string_lossy();
        format!("{name}, {}, made {:.0}", output::size(backup.bytes), backup.created)
    });
    let kept = report
        .restores
        .iter()
        .filter(|kept| kept.can_roll_back)
        .map(|kept| format!("{} of {:.0} ({})", kept.id, kept.restored, output::size(kept.bytes)));
    let kept = kept.collect::<Vec<_>>();
    let kept = if kept.is_empty() { "nothing".to_owned() } else { kept.join(", ") };
    for (what, value) in [
        ("instance", id(report.instance_id)),
        ("profile", report.profile.clone().unwrap_or_else(|| "none".to_owned())),
        ("key", id(report.key_fingerprint)),
        ("in use by", in_use),
        ("last backup", last),
        ("scripts waiting", names(&report.scripts.waiting)),
        ("after the start", names(&report.scripts.after_start)),
        ("at every start", names(&report.scripts.every_start)),
        ("scripts done", names(&report.scripts.done)),
        ("scripts failed", names(&report.scripts.failed)),
        (
            "restore",
            if report.restore_unfinished { "unfinished: the next start finishes it" } else { "none under way" }.into(),
        ),
        ("replaced, kept", kept),
        ("quarantine", report.quarantine.as_ref().map_or_else(|| "none".to_owned(), |one| one.in_words.clone())),
    ] {
        output::answer(&output::printable(&format!("{what:<16} {value}")));
    }
}

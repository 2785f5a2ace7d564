//! `moorline apps`: lists the apps that are off, releases them, or switches apps off.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Context, ServerIs, ServerStopped, output};
use engine::{
    apps as in_place,
    quarantine::{App, Chosen, QuarantineRecord, ReleasedStep, Requests, StepInspection, in_words},
};
use seqbac_header::Id;
use volume::{Lock, Volume, error::Result};

/// List the apps that quarantine switched off, release them, or switch apps off
///
/// An app is anything in the state that acts on the outside: an alert, a webhook, a scheduled job. `moorline apps`
/// alone means `moorline apps list`.
#[derive(Debug, Args)]
pub struct Apps {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print the result as a JSON object
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the apps that are off; without a quarantine, list the apps that `disable` would switch off
    List,
    /// Switch apps on again, exactly as they were before: now, or at the next start if a server is running
    Release {
        /// IDs of apps, or names of steps (releases all apps of the step)
        #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "NAME|ID")]
        names: Vec<String>,
        /// Release all apps that are off
        #[arg(long)]
        all: bool,
    },
    /// Switch apps off without a restore; the server must be stopped
    Disable {
        /// Switch off all apps that the profile finds on
        #[arg(long, required = true)]
        all: bool,
        #[command(flatten)]
        server: ServerStopped,
    },
    /// Carry out pending releases and finish an interrupted quarantine before the server starts; run by moorline itself
    #[command(hide = true)]
    Settle,
}

/// The `--json` object of `apps list`.
#[derive(Debug, Serialize)]
struct AppsReport {
    quarantined: bool,
    since: Option<jiff::Timestamp>,
    restore: Option<Id>,
    pending: bool,
    requested: Requests,
    apps: Vec<App>,
    /// What `disable` would switch off; null in quarantine, and if no profile says which apps the server has.
    would_switch_off: Option<Vec<StepInspection>>,
}

impl Apps {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let volume = context.volume()?;
        match &self.action {
            None | Some(Action::List) => self.list(context, &volume),
            Some(Action::Release { names, all }) => {
                let chosen = if *all { Chosen::All } else { Chosen::Named(names.clone()) };
                self.release(context, &volume, &chosen)
            }
            Some(Action::Disable { server, .. }) => self.disable(context, &volume, server.answer()),
            Some(Action::Settle) => apply_pending(context, &volume),
        }
    }

    fn list(&self, context: &Context, volume: &Volume) -> Result<()> {
        let report = match QuarantineRecord::load(volume)? {
            Some(record) => AppsReport {
                quarantined: true,
                since: Some(record.since),
                restore: record.restore,
                pending: record.pending,
                apps: record.apps().collect(),
                requested: record.requested,
                would_switch_off: None,
            },
            None => AppsReport {
                quarantined: false,
                since: None,
                restore: None,
                pending: false,
                apps: Vec::new(),
                requested: Requests::default(),
                would_switch_off: in_place::inspect(volume, &context.profile(volume)?)?,
            },
        };
        output::result(self.json, &report, show)
    }

    fn release(&self, context: &Context, volume: &Volume, chosen: &Chosen) -> Result<()> {
        volume.prepare()?;
        let profile = context.profile(volume)?;
        let answer = in_place::release(volume, &profile, chosen, context.inherited_lock(volume))?;
        warn(&answer.warnings);
        if let Some(because) = &answer.because {
            log::info!("{because}");
        }
        output::result(self.json, &answer, |answer| {
            release_lines(&answer.released).for_each(|line| output::line(&line));
            match (&answer.requested, answer.left_off.as_slice()) {
                (Some(_), _) => {
                    output::line(
                        "recorded: restart the container, and they are switched back on before the server starts",
                    );
                }
                (None, []) => output::line("no app is off any more: quarantine has ended"),
                (None, left) => output::line(&format!("still in quarantine: {}", in_words(left))),
            }
        })
    }

    fn disable(&self, context: &Context, volume: &Volume, server: ServerIs) -> Result<()> {
        volume.prepare()?;
        let profile = context.profile(volume)?;
        let lock = context.lock_and_recover(volume, "apps disable", server)?;
        let disabled = in_place::disable(volume, &profile, &lock)?;
        warn(&disabled.notes);
        output::result(self.json, &disabled, |disabled| {
            output::line(&match (disabled.switched_off, disabled.apps.is_empty()) {
                (_, true) => "no app is on, so there is nothing to switch off".to_owned(),
                (0, _) => format!("no further app was on; off before: {}", in_words(&disabled.apps)),
                (count, _) => format!("switched off {count}; off in total: {}", in_words(&disabled.apps)),
            });
        })
    }
}

/// Runs as a child of PID 1 at a start, because PID 1 never opens a database. Logs its results to the container's log.
fn apply_pending(context: &Context, volume: &Volume) -> Result<()> {
    let lock = Lock::take(volume, "apps settle", context.inherited_lock(volume))?;
    let applied = in_place::apply_pending(volume, &lock)?;
    warn(&applied.notes);
    if applied.resumed {
        log::info!("finished switching off the apps, which had been interrupted");
    }
    if let Some(release) = &applied.release {
        warn(&release.warnings);
        release_lines(&release.steps).for_each(|line| log::info!("{}", output::printable(&line)));
    }
    Ok(())
}

fn show(report: &AppsReport) {
    match (&report.would_switch_off, report.since) {
        (_, Some(since)) => {
            let requested = |app: &App| {
                report.requested.all || [&app.id, &app.step].iter().any(|name| report.requested.named.contains(*name))
            };
            let rows = report.apps.iter().map(|app| {
                let next = if requested(app) { "released at the next start" } else { "off" };
                [&app.id, &app.step, &app.detail, next].map(output::printable)
            });
            output::table(["APP", "STEP", "WHERE", "STATE"], rows);
            output::line(&format!("in quarantine since {since:.0}: {}", in_words(&report.apps)));
            if report.pending {
                output::line("switching them off was interrupted, so some may be on; the next start switches them off");
            }
        }
        (None, None) => {
            output::line("not in quarantine; no profile says which apps this server has: name one with --profile");
        }
        (Some(steps), None) => {
            for step in steps {
                output::line(&match (&step.missing[..], step.absent) {
                    (_, true) => format!("{}: does not apply here (its `when` is false)", step.step),
                    ([], false) => format!("{} {}: {}", step.step, step.apps.len(), step.apps.join(", ")),
                    (missing, false) => format!("{}: {}", step.step, missing.join(", ")),
                });
            }
            output::line(match (steps.is_empty(), steps.iter().all(|step| step.apps.is_empty())) {
                (true, _) => "not in quarantine; the profile says that this server has no apps",
                (false, true) => "not in quarantine, and no app is on",
                (false, false) => "not in quarantine: `moorline apps disable --all` would switch these off",
            });
        }
    }
}

/// `push notifications: 2 of 3 on again`, followed by one line for each app that was not changed.
fn release_lines(steps: &[ReleasedStep]) -> impl Iterator<Item = String> {
    steps.iter().flat_map(|step| {
        let left = step.left.iter().map(|left| {
            let still = if left.remembered { "; it can still be released" } else { "" };
            format!("not changed: {}: {}{still}", left.id, left.why)
        });
        std::iter::once(format!("{}: {} of {} on again", step.step, step.released, step.of)).chain(left)
    })
}

fn warn(lines: &[String]) {
    lines.iter().for_each(|line| log::warn!("{}", output::printable(line)));
}

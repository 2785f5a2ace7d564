//! `moorline apps`: which apps are off, and what puts them back on.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Context, output};
use engine::{
    apps as in_place,
    quarantine::{App, Chosen, StepInspection, QuarantineRecord, ReleasedStep, Requests, in_words},
    restore,
};
use seqbac_header::Id;
use volume::{Lock, Volume, error::Result};

/// Show the apps that quarantine switched off, put them back on, or switch them off
///
/// An app is anything in the state that acts on the outside: an alert, a webhook, a scheduled job. Without a verb: `list`.
#[derive(Debug, Args)]
pub struct Apps {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Print one object
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The apps that are off; where none is, those that `disable` would switch off
    List,
    /// Put apps back on as they were: now, or before the server starts next where one is running
    Release {
        /// Ids of apps, or names of steps
        #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "NAME|ID")]
        names: Vec<String>,
        /// All that are off
        #[arg(long)]
        all: bool,
    },
    /// Switch apps off without a restore; the server must be stopped
    Disable {
        /// All that the profile finds on
        #[arg(long, required = true)]
        all: bool,
    },
    /// Do what is left to be done before the server starts; moorline starts this itself
    #[command(hide = true)]
    Settle,
}

/// What `list` shows.
#[derive(Debug, Serialize)]
struct Listed {
    quarantined: bool,
    since: Option<jiff::Timestamp>,
    restore: Option<Id>,
    pending: bool,
    requested: Requests,
    apps: Vec<App>,
    /// What `disable` would switch off; where nobody says what the server's apps are, null.
    would_switch_off: Option<Vec<StepInspection>>,
}

impl Apps {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let volume = context.volume()?;
        match &self.verb {
            None | Some(Verb::List) => self.list(context, &volume)?,
            Some(Verb::Release { names, all }) => {
                let chosen = if *all { Chosen::All } else { Chosen::Named(names.clone()) };
                self.release(context, &volume, &chosen)?;
            }
            Some(Verb::Disable { .. }) => self.disable(context, &volume)?,
            Some(Verb::Settle) => settle(context, &volume)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn list(&self, context: &Context, volume: &Volume) -> Result<()> {
        let listed = match QuarantineRecord::load(volume)? {
            Some(memory) => Listed {
                quarantined: true,
                since: Some(memory.since),
                restore: memory.restore,
                pending: memory.pending,
                apps: memory.apps().collect(),
                requested: memory.requested,
                would_switch_off: None,
            },
            None => Listed {
                quarantined: false,
                since: None,
                restore: None,
                pending: false,
                apps: Vec::new(),
                requested: Requests::default(),
                would_switch_off: in_place::inspect(volume, &context.profile(volume)?)?,
            },
        };
        if self.json {
            return output::object(&listed);
        }
        show(&listed);
        Ok(())
    }

    fn release(&self, context: &Context, volume: &Volume, chosen: &Chosen) -> Result<()> {
        volume.prepare()?;
        let profile = context.profile(volume)?;
        let answer = in_place::release(volume, &profile, chosen, context.inherited_lock(volume))?;
        warn(&answer.warnings);
        if let Some(because) = &answer.because {
            log::info!("{because}");
        }
        if self.json {
            return output::object(&answer);
        }
        released(&answer.released).for_each(|line| say(&line));
        match (&answer.requested, answer.left_off.as_slice()) {
            (Some(_), _) => say("noted: the next start puts them back on, before the server; restart the container"),
            (None, []) => say("nothing is left: quarantine has ended"),
            (None, left) => say(&format!("still in quarantine: {}", in_words(left))),
        }
        Ok(())
    }

    fn disable(&self, context: &Context, volume: &Volume) -> Result<()> {
        volume.prepare()?;
        let profile = context.profile(volume)?;
        let lock = Lock::take(volume, "apps disable", context.inherited_lock(volume))?;
        for line in restore::recover(volume)? {
            log::info!("{line}");
        }
        let disabled = in_place::disable(volume, &profile, &lock)?;
        warn(&disabled.notes);
        if self.json {
            return output::object(&disabled);
        }
        say(&match (disabled.switched_off, disabled.apps.is_empty()) {
            (_, true) => "no app is on, so there is nothing to switch off".to_owned(),
            (0, _) => format!("nothing more was on: {}", in_words(&disabled.apps)),
            (count, _) => format!("switched off: {count}; now {}", in_words(&disabled.apps)),
        });
        Ok(())
    }
}

/// What a start does in a child, for PID 1 never opens a database. Its lines are for the container's log.
fn settle(context: &Context, volume: &Volume) -> Result<()> {
    let lock = Lock::take(volume, "apps settle", context.inherited_lock(volume))?;
    let settled = in_place::apply_pending(volume, &lock)?;
    warn(&settled.notes);
    if settled.resumed {
        log::info!("apps are switched off, which had been cut off");
    }
    if let Some(release) = &settled.release {
        warn(&release.warnings);
        released(&release.steps).for_each(|line| log::info!("{}", output::printable(&line)));
    }
    Ok(())
}

fn show(listed: &Listed) {
    match (&listed.would_switch_off, listed.since) {
        (_, Some(since)) => {
            let asked = |app: &App| {
                listed.requested.all || [&app.id, &app.step].iter().any(|name| listed.requested.named.contains(*name))
            };
            let rows = listed.apps.iter().map(|app| {
                let next = if asked(app) { "released at the next start" } else { "off" };
                [&app.id, &app.step, &app.detail, next].map(output::printable)
            });
            output::table(["APP", "STEP", "WHERE", "STATE"], rows);
            say(&format!("in quarantine since {since:.0}: {}", in_words(&listed.apps)));
            if listed.pending {
                say("some of them may be on: switching them off was cut off, and the next start finishes it");
            }
        }
        (None, None) => {
            say("not in quarantine; what this server's apps are is unknown: name its profile with --profile")
        }
        (Some(steps), None) => {
            for look in steps {
                say(&match (&look.missing[..], look.absent) {
                    (_, true) => format!("{}: does not exist here", look.step),
                    ([], false) => format!("{} {}: {}", look.step, look.apps.len(), look.apps.join(", ")),
                    (missing, false) => format!("{}: {}", look.step, missing.join(", ")),
                });
            }
            say(match (steps.is_empty(), steps.iter().all(|look| look.apps.is_empty())) {
                (true, _) => "not in quarantine; the profile says that this server has no apps",
                (false, true) => "not in quarantine, and no app is on",
                (false, false) => "not in quarantine: `moorline apps disable --all` would switch these off",
            });
        }
    }
}

/// `push notifications: 2 of 3 are on again`, and what was left.
fn released(steps: &[ReleasedStep]) -> impl Iterator<Item = String> {
    steps.iter().flat_map(|step| {
        let left = step.left.iter().map(|left| {
            let still = if left.remembered { "; it can still be released" } else { "" };
            format!("left as it is: {}: {}{still}", left.id, left.why)
        });
        std::iter::once(format!("{}: {} of {} on again", step.step, step.released, step.of)).chain(left)
    })
}

fn warn(lines: &[String]) {
    lines.iter().for_each(|line| log::warn!("{}", output::printable(line)));
}

fn say(line: &str) {
    output::answer(&output::printable(line));
}

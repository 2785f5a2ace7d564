//! `moorline profile show|check`: prints a profile, or checks one, also against a volume.

use std::{ffi::OsString, process::ExitCode};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Context, output};
use engine::{
    backup,
    finds::{self, StoreFinds},
    metastore,
    quarantine::{self as apps, StepInspection},
    store::{ForeignDatabase, foreign},
};
use profile::{
    Apps, Choice, Profile as Described, Written, choice,
    step::{Action, Change, Moment, Step},
};
use volume::{
    Volume,
    error::{Code, Error, Result},
};

/// Print or check a profile
#[derive(Debug, Args)]
pub struct Profile {
    #[command(subcommand)]
    action: ProfileCommand,
}

#[derive(Debug, Subcommand)]
enum ProfileCommand {
    Show(Show),
    Check(Check),
}

/// Print the text of a profile, for example as the start of your own
#[derive(Debug, Args)]
struct Show {
    /// Name of a built-in profile, or a file
    #[arg(value_name = "NAME|FILE")]
    named: OsString,
    /// Print the result as a JSON object
    #[arg(long)]
    json: bool,
}

/// Check a profile; with --storage, also show the matches of each store and step on that volume. Changes nothing
#[derive(Debug, Args)]
struct Check {
    /// File, or name of a built-in profile
    #[arg(value_name = "FILE|NAME")]
    named: OsString,
    /// Print the result as a JSON object
    #[arg(long)]
    json: bool,
}

impl Profile {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        match self.action {
            ProfileCommand::Show(command) => command.run().map(|()| ExitCode::SUCCESS),
            ProfileCommand::Check(command) => command.run(context),
        }
    }
}

impl Show {
    fn run(self) -> Result<()> {
        let text = choice::text(&chosen(&self.named)?)?;
        let name = self.named.to_string_lossy();
        let shown = serde_json::json!({ "name": name, "text": text });
        output::result(self.json, &shown, |_| output::answer(text.trim_end()))
    }
}

/// The `--json` object of `profile check`.
#[derive(Debug, Serialize)]
struct Report {
    name: String,
    prefix: String,
    health: Option<String>,
    apps: Apps,
    steps: Vec<StepSummary>,
    volume: Option<OnVolume>,
    problems: Vec<serde_json::Value>,
}

#[derive(Debug, Serialize)]
struct StepSummary {
    name: String,
    kind: &'static str,
    at: Moment,
    optional: bool,
}

#[derive(Debug, Serialize)]
struct OnVolume {
    stores: Vec<StoreFinds>,
    foreign: Vec<ForeignDatabase>,
    steps: Vec<StepInspection>,
}

impl Check {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let written = chosen(&self.named)?.read()?.ok_or_else(unnamed)?;
        finds::check(&written)?;
        let (volume, problems) = self.inspect(&written, context)?;
        if self.json {
            let steps = written.steps.iter().map(summary).collect();
            let Written { name, prefix, health, apps, .. } = written;
            let health = health.map(|health| health.to_string());
            let problems = problems.iter().map(output::error_object).collect();
            output::object(&Report { name, prefix, health, apps, steps, volume, problems })?;
        } else {
            let verdict = if problems.is_empty() { "a valid profile" } else { "the profile has problems, see below" };
            output::line(&format!("{}: {verdict}", self.named.display()));
            print(&written);
            if let Some(volume) = &volume {
                print_matches(volume);
            } else if !written.steps.is_empty() {
                let rows =
                    written.steps.iter().map(|step| [step.name.clone(), target(step), effect(step)].map(printable));
                output::table(["STEP", "ACTS ON", "EFFECT"], rows);
            }
        }
        let codes: Vec<u8> = problems.iter().map(output::report).collect();
        Ok(codes.first().copied().map_or(ExitCode::SUCCESS, ExitCode::from))
    }

    /// With `--storage`, the matches on that volume; and all problems of the profile.
    fn inspect(&self, written: &Written, context: &Context) -> Result<(Option<OnVolume>, Vec<Error>)> {
        if context.storage_named {
            let volume = context.volume()?;
            let profile = written.clone().on(volume.root())?;
            let mut problems = finds::outside_state(&profile.scope, &profile.steps)?;
            let found = inspect_volume(&profile, &volume, &mut problems)?;
            return Ok((Some(found), problems));
        }
        let outside = written.state.as_ref().map(|scope| finds::outside_state(scope, &written.steps));
        Ok((None, outside.transpose()?.unwrap_or_default()))
    }
}

fn chosen(named: &OsString) -> Result<Choice> {
    match Choice::of(named)? {
        Choice::Default | Choice::None => Err(unnamed()),
        choice => Ok(choice),
    }
}

fn unnamed() -> Error {
    Error::usage("no profile is named").hint("name a file, or a profile that `moorline profiles` lists")
}

/// The matches of the stores and steps. Each step is inspected separately, so that one report contains all problems.
fn inspect_volume(profile: &Described, volume: &Volume, problems: &mut Vec<Error>) -> Result<OnVolume> {
    let survey = finds::survey(profile, volume.root())?;
    problems.extend(backup::refuse_missing(profile, &survey, metastore::is_there(volume)?, volume.root()).err());
    let mut steps = Vec::new();
    for step in &profile.steps {
        match apps::inspect(volume.root(), std::slice::from_ref(step)) {
            Ok(found) => {
                problems.extend(found.iter().filter_map(|found| problem_of(found, step, profile)));
                steps.extend(found);
            }
            Err(error) => problems.push(error),
        }
    }
    let foreign = foreign::databases(volume, profile, profile.captures.iter(), &survey)?;
    Ok(OnVolume { stores: finds::stores(profile, &survey)?, foreign, steps })
}

/// Warns about a step that finds nothing, because its table or column may be misspelt. Steps that act at release are
/// exempt, because a queue that is cleared at release is often empty.
fn problem_of(found: &StepInspection, step: &Step, profile: &Described) -> Option<Error> {
    if !found.missing.is_empty() && !found.optional && !found.absent {
        return Some(missing_target(found, profile));
    }
    if found.apps.is_empty() && !found.absent && step.at == Moment::Restore {
        log::warn!("the step {:?} finds nothing to switch off on this volume", found.step);
    }
    None
}

fn missing_target(found: &StepInspection, profile: &Described) -> Error {
    let name = profile.name.as_deref().unwrap_or("of the volume");
    let missing = found.missing.join("; ");
    let what = format!("the step {:?} of the profile {name} cannot act on this volume: {missing}", found.step);
    Error::new(Code::AppsUnknown, what)
        .hint("a restore would be refused: correct the step, or add optional = true if some servers do not have this")
}

fn print(written: &Written) {
    let apps = match written.apps {
        Apps::Unknown => {
            "unknown: a restore as a copy is refused until you add a [[quarantine]] or apps = \"none\"".to_owned()
        }
        Apps::None => "none".to_owned(),
        Apps::Listed => format!("switched off by {} steps", written.steps.len()),
    };
    let health = written.health.as_ref().map_or_else(|| "not set".to_owned(), ToString::to_string);
    let state = match &written.state {
        None => "the whole volume, except the files that .moorlineignore excludes",
        Some(_) => "the stores of [state]",
    };
    for (what, value) in
        [("name", &*written.name), ("prefix", &written.prefix), ("state", state), ("health", &health), ("apps", &apps)]
    {
        output::line(&format!("{what:<8} {value}"));
    }
}

fn print_matches(volume: &OnVolume) {
    let row = |store: &StoreFinds| {
        let counted = [(store.databases.len(), "database"), (store.files.len(), "file")];
        let counted = counted.iter().filter(|(count, _)| *count > 0);
        let counted: Vec<_> =
            counted.map(|(count, what)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" })).collect();
        let names = store.databases.iter().chain(&store.files).map(ToString::to_string).collect::<Vec<_>>();
        let found =
            if counted.is_empty() { "nothing".into() } else { format!("{}: {}", counted.join(" and "), first(&names)) };
        [store.store.to_owned(), store.glob.clone().unwrap_or_else(|| "**".to_owned()), found].map(printable)
    };
    output::table(["STORE", "GLOB", "FINDS"], volume.stores.iter().map(row));
    volume.foreign.iter().for_each(|found| output::line(&found.in_words()));
    if volume.steps.is_empty() {
        return;
    }
    let row = |step: &StepInspection| {
        let found = match (step.absent, step.missing.is_empty(), step.apps.len()) {
            (true, ..) => "does not apply here (its `when` is false)".to_owned(),
            (false, false, _) => step.missing.join("; "),
            (false, true, 0) => "nothing".to_owned(),
            (false, true, count) => format!("{count}: {}", first(&step.apps)),
        };
        let when = if step.at == Moment::Release { " (at release)" } else { "" };
        [format!("{}{when}", step.step), found].map(printable)
    };
    output::table(["STEP", "FINDS"], volume.steps.iter().map(row));
}

/// The first three names: enough to see whether a glob matches the intended files.
fn first(names: &[String]) -> String {
    let shown = names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 3 { format!("{shown}, …") } else { shown }
}

fn printable(text: String) -> String {
    output::printable(&text)
}

fn summary(step: &Step) -> StepSummary {
    let kind = match step.action {
        Action::Sqlite(_) => "sqlite",
        Action::Json(_) => "json",
        Action::File(_) => "file",
        Action::Env(_) => "env",
        Action::Args(_) => "args",
    };
    StepSummary { name: step.name.clone(), kind, at: step.at, optional: step.optional }
}

fn target(step: &Step) -> String {
    match &step.action {
        Action::Sqlite(rows) => format!("{}, table {}", rows.database, rows.table),
        Action::Json(nodes) if nodes.each.is_empty() => nodes.files.clone(),
        Action::Json(nodes) => format!("{}, {}", nodes.files, nodes.each),
        Action::File(files) => files.files.clone(),
        Action::Env(_) | Action::Args(_) => "the server".to_owned(),
    }
}

fn effect(step: &Step) -> String {
    let names = |keys: &mut dyn Iterator<Item = &String>| keys.cloned().collect::<Vec<_>>().join(", ");
    let effect = match &step.action {
        Action::Sqlite(rows) => match &rows.change {
            Change::Update { set, expr } => format!("sets {}", names(&mut set.keys().chain(expr.keys()))),
            Change::Delete { discard: true } => "deletes rows permanently".to_owned(),
            Change::Delete { discard: false } => "removes rows until release".to_owned(),
            Change::Insert(_) => "inserts a row".to_owned(),
        },
        Action::Json(nodes) => format!("sets {}", names(&mut nodes.set.keys())),
        Action::File(files) if files.content.is_some() => "replaces the file".to_owned(),
        Action::File(_) => "removes the file".to_owned(),
        Action::Env(variables) => format!("sets the variables {}", names(&mut variables.keys())),
        Action::Args(arguments) => format!("adds the arguments {}", arguments.join(" ")),
    };
    if step.at == Moment::Release { format!("{effect}, at release") } else { effect }
}

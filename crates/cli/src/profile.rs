//! `moorline profile show|check`: the text of a profile, and whether one makes sense, here.

use std::{ffi::OsString, process::ExitCode};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Context, output};
use engine::{
    backup,
    finds::{self, StoreFinds},
    metastore,
    quarantine::{self as apps, StepInspection},
};
use profile::{
    Apps, Choice, Profile as Described, Written, choice,
    step::{Action, Change, Moment, Step},
};
use volume::{
    Volume,
    error::{Code, Error, Result},
};

/// Print a profile, or check one
#[derive(Debug, Args)]
pub struct Profile {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Show(Show),
    Check(Check),
}

/// Print a profile as it is written, to start one's own from
#[derive(Debug, Args)]
struct Show {
    /// One that is built in, or a file
    #[arg(value_name = "NAME|FILE")]
    named: OsString,
    /// Print one object
    #[arg(long)]
    json: bool,
}

/// Say whether a profile makes sense; with --storage, also what each store and step finds there. Changes nothing
#[derive(Debug, Args)]
struct Check {
    /// A file, or one that is built in
    #[arg(value_name = "FILE|NAME")]
    named: OsString,
    /// Print one object
    #[arg(long)]
    json: bool,
}

impl Profile {
    pub(super) const fn json(&self) -> bool {
        match &self.what {
            What::Show(verb) => verb.json,
            What::Check(verb) => verb.json,
        }
    }

    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        match self.what {
            What::Show(verb) => verb.run(),
            What::Check(verb) => verb.run(context),
        }
    }
}

impl Show {
    fn run(self) -> Result<ExitCode> {
        let text = choice::text(&chosen(&self.named)?)?;
        if self.json {
            let name = self.named.to_string_lossy();
            output::object(&serde_json::json!({ "name": name, "text": text }))?;
        } else {
            output::answer(text.trim_end());
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What a check found, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Report {
    name: String,
    prefix: String,
    health: Option<String>,
    apps: Apps,
    steps: Vec<StepShown>,
    volume: Option<OnVolume>,
    problems: Vec<serde_json::Value>,
}

#[derive(Debug, Serialize)]
struct StepShown {
    name: String,
    kind: &'static str,
    at: Moment,
    optional: bool,
}

#[derive(Debug, Serialize)]
struct OnVolume {
    stores: Vec<StoreFinds>,
    steps: Vec<StepInspection>,
}

impl Check {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let written = chosen(&self.named)?.read()?.ok_or_else(unnamed)?;
        finds::check(&written)?;
        let (volume, problems) = self.look(&written, context)?;
        if self.json {
            let steps = written.steps.iter().map(shown).collect();
            let Written { name, prefix, health, apps, .. } = written;
            let health = health.map(|health| health.to_string());
            let problems = problems.iter().map(output::error_object).collect();
            output::object(&Report { name, prefix, health, apps, steps, volume, problems })?;
        } else {
            let verdict =
                if problems.is_empty() { "a valid profile" } else { "a profile that does not fit, see below" };
            output::answer(&output::printable(&format!("{}: {verdict}", self.named.display())));
            say(&written);
            if let Some(volume) = &volume {
                say_found(volume);
            } else if !written.steps.is_empty() {
                let rows =
                    written.steps.iter().map(|step| [step.name.clone(), acts_on(step), does(step)].map(printable));
                output::table(["STEP", "ACTS ON", "AND"], rows);
            }
        }
        let codes: Vec<u8> = problems.iter().map(output::report).collect();
        Ok(codes.first().copied().map_or(ExitCode::SUCCESS, ExitCode::from))
    }
}

impl Check {
    /// What is on the volume, where one was named, and all that keeps the profile from fitting.
    fn look(&self, written: &Written, context: &Context) -> Result<(Option<OnVolume>, Vec<Error>)> {
        if context.storage_named {
            let volume = context.volume()?;
            let profile = written.clone().on(volume.root())?;
            let mut problems = finds::outside_state(&profile.scope, &profile.steps)?;
            let found = look_at(&profile, &volume, &mut problems)?;
            return Ok((Some(found), problems));
        }
        let beside = written.state.as_ref().map(|scope| finds::outside_state(scope, &written.steps));
        Ok((None, beside.transpose()?.unwrap_or_default()))
    }
}

fn chosen(named: &OsString) -> Result<Choice> {
    match Choice::of(named)? {
        Choice::Default => Err(unnamed()),
        choice => Ok(choice),
    }
}

fn unnamed() -> Error {
    Error::usage("no profile was named").hint("name a file, or one of those that `moorline profiles` lists")
}

/// What its stores and steps find, each on its own, so that one that makes no sense hides no other.
fn look_at(profile: &Described, volume: &Volume, problems: &mut Vec<Error>) -> Result<OnVolume> {
    let survey = finds::survey(profile, volume.root())?;
    problems.extend(backup::refuse_missing(profile, &survey, metastore::is_there(volume)?, volume.root()).err());
    let mut steps = Vec::new();
    for step in &profile.steps {
        match apps::inspect(volume.root(), std::slice::from_ref(step)) {
            Ok(looks) => {
                problems.extend(looks.iter().filter_map(|look| judge(look, step, profile)));
                steps.extend(looks);
            }
            Err(error) => problems.push(error),
        }
    }
    Ok(OnVolume { stores: finds::stores(profile, &survey)?, steps })
}

/// A queue that is to be dropped at release is empty on most days; an app that is never found may be misspelt.
fn judge(look: &StepInspection, step: &Step, profile: &Described) -> Option<Error> {
    if !look.missing.is_empty() && !look.optional && !look.absent {
        return Some(lacks(look, profile));
    }
    if look.apps.is_empty() && !look.absent && step.at == Moment::Restore {
        log::warn!("the step {:?} finds nothing to act on here", look.step);
    }
    None
}

fn lacks(look: &StepInspection, profile: &Described) -> Error {
    let name = profile.name.as_deref().unwrap_or("of the volume");
    let missing = look.missing.join("; ");
    let what = format!("the step {:?} of the profile {name} lacks what it acts on: {missing}", look.step);
    Error::new(Code::AppsUnknown, what)
        .hint("a restore would be refused: mend the step, or say optional = true where a server may do without")
}

fn say(written: &Written) {
    let apps = match written.apps {
        Apps::Unknown => "unknown: without a [[quarantine]] or apps = \"none\" a copy is not restored".to_owned(),
        Apps::None => "none".to_owned(),
        Apps::Listed => format!("switched off by {} steps", written.steps.len()),
    };
    let health = written.health.as_ref().map_or_else(|| "not said".to_owned(), ToString::to_string);
    let state = match &written.state {
        None => "all of the volume, less what .moorlineignore leaves out",
        Some(_) => "what [state] names",
    };
    for (what, value) in
        [("name", &*written.name), ("prefix", &written.prefix), ("state", state), ("health", &health), ("apps", &apps)]
    {
        output::answer(&output::printable(&format!("{what:<8} {value}")));
    }
}

fn say_found(volume: &OnVolume) {
    let row = |store: &StoreFinds| {
        let counted = [(store.databases.len(), "database"), (store.files.len(), "file")];
        let counted = counted.iter().filter(|(count, _)| *count > 0);
        let counted: Vec<_> =
            counted.map(|(count, what)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" })).collect();
        let names = store.databases.iter().chain(&store.files).map(ToString::to_string).collect::<Vec<_>>();
        let found =
            if counted.is_empty() { "nothing".into() } else { format!("{}: {}", counted.join(" and "), some(&names)) };
        [store.store.to_owned(), store.glob.clone().unwrap_or_else(|| "**".to_owned()), found].map(printable)
    };
    output::table(["STORE", "GLOB", "FINDS"], volume.stores.iter().map(row));
    if volume.steps.is_empty() {
        return;
    }
    let row = |look: &StepInspection| {
        let found = match (look.absent, look.missing.is_empty(), look.apps.len()) {
            (true, ..) => "its `when` does not hold here".to_owned(),
            (false, false, _) => look.missing.join("; "),
            (false, true, 0) => "nothing".to_owned(),
            (false, true, count) => format!("{count}: {}", some(&look.apps)),
        };
        let when = if look.at == Moment::Release { " (at release)" } else { "" };
        [format!("{}{when}", look.step), found].map(printable)
    };
    output::table(["STEP", "FINDS"], volume.steps.iter().map(row));
}

/// A few of them are enough to see whether they are the right ones.
fn some(names: &[String]) -> String {
    let shown = names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 3 { format!("{shown}, …") } else { shown }
}

fn printable(text: String) -> String {
    output::printable(&text)
}

fn shown(step: &Step) -> StepShown {
    let kind = match step.action {
        Action::Sqlite(_) => "sqlite",
        Action::Json(_) => "json",
        Action::File(_) => "file",
        Action::Env(_) => "env",
        Action::Args(_) => "args",
    };
    StepShown { name: step.name.clone(), kind, at: step.at, optional: step.optional }
}

fn acts_on(step: &Step) -> String {
    match &step.action {
        Action::Sqlite(rows) => format!("{}, table {}", rows.database, rows.table),
        Action::Json(nodes) if nodes.each.is_empty() => nodes.files.clone(),
        Action::Json(nodes) => format!("{}, {}", nodes.files, nodes.each),
        Action::File(files) => files.files.clone(),
        Action::Env(_) | Action::Args(_) => "the server".to_owned(),
    }
}

fn does(step: &Step) -> String {
    let names = |keys: &mut dyn Iterator<Item = &String>| keys.cloned().collect::<Vec<_>>().join(", ");
    let does = match &step.action {
        Action::Sqlite(rows) => match &rows.change {
            Change::Update { set, expr } => format!("sets {}", names(&mut set.keys().chain(expr.keys()))),
            Change::Delete { discard: true } => "deletes rows for good".to_owned(),
            Change::Delete { discard: false } => "takes rows out".to_owned(),
            Change::Insert(_) => "puts a row in".to_owned(),
        },
        Action::Json(nodes) => format!("sets {}", names(&mut nodes.set.keys())),
        Action::File(files) if files.content.is_some() => "puts another file in its place".to_owned(),
        Action::File(_) => "takes the file away".to_owned(),
        Action::Env(variables) => format!("gives it {}", names(&mut variables.keys())),
        Action::Args(arguments) => format!("gives it {}", arguments.join(" ")),
    };
    if step.at == Moment::Release { format!("{does}, at release") } else { does }
}

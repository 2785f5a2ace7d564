//! `moorline profiles`: those that are built in.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::output;
use profile::{
    Apps,
    builtin::{self, BuiltIn, Mark},
};
use volume::error::Result;

/// List the profiles that are built in
///
/// `proven`: run against that version, and its apps were silent in quarantine. `read`: written from its public source.
#[derive(Debug, Args)]
pub struct Profiles {
    /// Print one object
    #[arg(long)]
    pub(super) json: bool,
}

/// One of them, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    title: String,
    mark: Mark,
    against: &'static str,
    apps: Apps,
    steps: Vec<String>,
}

impl Profiles {
    pub(super) fn run(self) -> Result<ExitCode> {
        let rows = builtin::all().iter().map(row).collect::<Result<Vec<_>>>()?;
        if self.json {
            output::object(&serde_json::json!({ "profiles": rows }))?;
        } else {
            let cells = rows
                .iter()
                .map(|row| [row.name.to_owned(), row.mark.to_string(), row.against.to_owned(), row.steps.join(", ")]);
            output::table(["NAME", "MARK", "AGAINST", "SWITCHES OFF"], cells);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(one: &BuiltIn) -> Result<Row> {
    let written = one.read()?;
    let (mark, against) = one.mark();
    let steps = written.steps.into_iter().map(|step| step.name).collect();
    Ok(Row { name: one.name, title: written.name, mark, against, apps: written.apps, steps })
}

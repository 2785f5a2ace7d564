//! `moorline profiles`: lists the built-in profiles.

use clap::Args;
use serde::Serialize;

use super::output;
use profile::{
    Apps,
    builtin::{self, BuiltIn, Mark},
};
use volume::error::Result;

/// List the built-in profiles
///
/// AGAINST is the server version that a profile was written for. `proven`: tested with that version, and its apps
/// stayed silent in quarantine. `read`: written from the server's public source. `unverified`: neither.
#[derive(Debug, Args)]
pub struct Profiles {
    /// Print the result as a JSON object
    #[arg(long)]
    json: bool,
}

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
    pub(super) fn run(self) -> Result<()> {
        let rows = builtin::all().iter().map(row).collect::<Result<Vec<_>>>()?;
        output::result(self.json, &serde_json::json!({ "profiles": rows }), |_| {
            let cells = rows
                .iter()
                .map(|row| [row.name.to_owned(), row.mark.to_string(), row.against.to_owned(), row.steps.join(", ")]);
            output::table(["NAME", "MARK", "AGAINST", "SWITCHES OFF"], cells);
        })
    }
}

fn row(profile: &BuiltIn) -> Result<Row> {
    let written = profile.read()?;
    let (mark, against) = profile.mark();
    let steps = written.steps.into_iter().map(|step| step.name).collect();
    Ok(Row { name: profile.name, title: written.name, mark, against, apps: written.apps, steps })
}

//! The part of `.moorline/quarantine.json` that a start reads: whether the engine has work to do, and which variables and
//! arguments the server gets while its apps are off.
//!
//! The engine owns the file (`engine::quarantine::QuarantineRecord`). This file reads the few members that every start
//! needs, so that a copy in quarantine starts without another program.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};

use crate::{
    Volume,
    error::{Code, Error, Result},
    presence,
};

/// The name of the record in `.moorline/`.
pub const FILE_NAME: &str = "quarantine.json";

/// The format that this version writes, and the only one that it reads.
pub const FORMAT: u32 = 1;

/// The part of the quarantine record that a start reads.
#[derive(Debug, Deserialize)]
pub struct QuarantineStatus {
    #[serde(default)]
    pending: bool,
    #[serde(default)]
    requested: Requested,
    steps: Vec<StepStatus>,
}

#[derive(Debug, Default, Deserialize)]
struct Requested {
    #[serde(default)]
    all: bool,
    #[serde(default)]
    named: Vec<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct StepStatus {
    step: Step,
    #[serde(default)]
    apps: Vec<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct Step {
    name: String,
    action: Action,
}

/// The two actions that change the server's start; the others change files on the volume.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Action {
    env: BTreeMap<String, String>,
    args: Vec<String>,
}

impl QuarantineStatus {
    /// Loads the volume's status; `None` if it is not in quarantine. A damaged record is an error and never "no quarantine".
    pub fn load(volume: &Volume) -> Result<Option<Self>> {
        let path = volume.own().join(FILE_NAME);
        let Some(bytes) = presence::read(&path)? else { return Ok(None) };
        check_format(&bytes, &path)?;
        serde_json::from_slice(&bytes).map(Some).map_err(|cause| damaged(&path, &cause))
    }

    /// Whether apps are still to be switched off, or a release was requested.
    #[must_use]
    pub fn needs_engine(&self) -> bool {
        self.pending || self.requested.all || !self.requested.named.is_empty()
    }

    /// `3 apps off (push notifications 2, rules 1)`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let steps: Vec<_> = self.steps.iter().map(|step| (step.step.name.as_str(), step.apps.len())).collect();
        in_words(&steps)
    }

    /// The variables that the server gets; a later step overrides an earlier one.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        self.in_force().flat_map(|action| action.env.clone()).collect()
    }

    /// The arguments that are appended to the server's own.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        self.in_force().flat_map(|action| action.args.clone()).collect()
    }

    fn in_force(&self) -> impl Iterator<Item = &Action> {
        self.steps.iter().filter(|step| !step.apps.is_empty()).map(|step| &step.step.action)
    }
}

/// Fails if the record has another format.
///
/// # Errors
/// `AppsUnknown` if the record is damaged or newer than this program.
pub fn check_format(bytes: &[u8], path: &std::path::Path) -> Result<()> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let version: Version = serde_json::from_slice(bytes).map_err(|cause| damaged(path, &cause))?;
    if version.format == FORMAT {
        return Ok(());
    }
    let what = format!("{} has format {}, and this moorline reads {FORMAT}", path.display(), version.format);
    Err(Error::new(Code::AppsUnknown, what).hint("use the moorline that wrote it, or a newer one"))
}

/// The error of a record that cannot be parsed.
#[must_use]
pub fn damaged(path: &std::path::Path, cause: &serde_json::Error) -> Error {
    Error::new(Code::AppsUnknown, format!("{} is damaged: {cause}", path.display())).hint(
        "it records which apps were on: `moorline extract --output=- BACKUP moorline/quarantine.json` prints it from a \
         backup that was taken in quarantine",
    )
}

/// `3 apps off (push notifications 2, rules 1)`, from names of steps and their numbers of apps. Steps with the same name
/// are added up, and steps without apps are omitted.
#[must_use]
pub fn in_words(steps: &[(&str, usize)]) -> String {
    let count: usize = steps.iter().map(|(_, count)| count).sum();
    let plural = if count == 1 { "app" } else { "apps" };
    format!("{count} {plural} off ({})", by_step(steps))
}

/// `push notifications 2, rules 1`.
#[must_use]
pub fn by_step(steps: &[(&str, usize)]) -> String {
    let mut merged: Vec<(&str, usize)> = Vec::new();
    for (name, count) in steps.iter().filter(|(_, count)| *count > 0) {
        match merged.iter_mut().find(|(step, _)| step == name) {
            Some((_, sum)) => *sum += count,
            None => merged.push((name, *count)),
        }
    }
    merged.iter().map(|(step, count)| format!("{step} {count}")).collect::<Vec<_>>().join(", ")
}

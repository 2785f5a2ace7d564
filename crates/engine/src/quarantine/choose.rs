//! Which apps a name means.

use super::{Chosen, QuarantineRecord};
use crate::prelude::*;

const NEAR: usize = 5;

/// Refuses names of no quarantined app (`NotFound`, with similar names), and ambiguous names.
pub fn refuse_unknown(record: &QuarantineRecord, chosen: &Chosen) -> Result<()> {
    let Chosen::Named(names) = chosen else { return Ok(()) };
    let is_app = |name: &&String| record.steps.iter().any(|remembered| remembered.answers_to(name));
    if let Some(unknown) = names.iter().find(|name| !is_app(name)) {
        return Err(no_such_app(record, unknown));
    }
    names.iter().try_for_each(|name| refuse_ambiguous(record, name))
}

/// An ambiguous name would release more than the user meant. The name of a step means all of its apps, so only ids of
/// other steps can conflict.
fn refuse_ambiguous(record: &QuarantineRecord, name: &str) -> Result<()> {
    let with_apps = record.steps.iter().filter(|remembered| !remembered.apps.is_empty());
    let is_step = with_apps.clone().any(|remembered| remembered.step.name == name);
    let others = with_apps.filter(|remembered| remembered.step.name != name);
    let ids: Vec<&str> = others
        .filter(|remembered| remembered.apps.iter().any(|kept| kept.id == name))
        .map(|remembered| &*remembered.step.name)
        .collect();
    let steps = match (is_step, &ids[..]) {
        (false, [] | [_]) | (true, []) => return Ok(()),
        (true, _) => format!("all of the step \"{name}\", and an app of \"{}\"", ids.join("\" and \"")),
        (false, _) => format!("an app of each of the steps \"{}\"", ids.join("\" and \"")),
    };
    Err(Error::usage(format!("\"{name}\" is ambiguous: it means {steps}; nothing was released"))
        .hint("release a whole step by its name, or everything with --all; or rename the steps in the profile"))
}

fn no_such_app(record: &QuarantineRecord, name: &str) -> Error {
    let error = Error::new(Code::NotFound, format!("no quarantined app is called \"{name}\""));
    let with_apps = record.steps.iter().filter(|remembered| !remembered.apps.is_empty());
    let steps: Vec<&str> = with_apps.clone().map(|remembered| &*remembered.step.name).collect();
    let ids = with_apps.flat_map(|remembered| remembered.apps.iter().map(|kept| &*kept.id));
    let mut near: Vec<&str> = steps.iter().copied().chain(ids).filter(|known| is_near(known, name)).collect();
    if near.is_empty() {
        near = steps;
    }
    near.dedup();
    match near.is_empty() {
        true => error.hint("no app is off: there is nothing to release"),
        false => {
            let more = if near.len() > NEAR { ", …" } else { "" };
            near.truncate(NEAR);
            error.hint(format!("did you mean: {}{more}? `moorline apps list` shows all", near.join(", ")))
        }
    }
}

fn is_near(known: &str, name: &str) -> bool {
    let (known, name) = (known.to_lowercase(), name.to_lowercase());
    known.contains(&name) || name.contains(&known) || strsim::damerau_levenshtein(&known, &name) <= 2
}

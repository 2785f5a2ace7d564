//! Which apps a person means.

use super::{
    Chosen, QuarantineRecord,
    record::{AppRecord, StepRecord},
};
use volume::error::{Code, Error, Result};

/// How many names an error lists.
const NEAR: usize = 5;

/// Which apps of which steps, in the order of the memory.
pub fn choose(memory: &QuarantineRecord, chosen: &Chosen) -> Result<Vec<Vec<bool>>> {
    refuse_unknown(memory, chosen)?;
    let is_chosen = |remembered: &StepRecord, kept: &AppRecord| match chosen {
        Chosen::All => true,
        Chosen::Named(names) => names.iter().any(|name| remembered.is_named(kept, name)),
    };
    let steps = memory.steps.iter();
    Ok(steps.map(|remembered| remembered.apps.iter().map(|kept| is_chosen(remembered, kept)).collect()).collect())
}

/// Refuses what is no app that is off, and what may mean one app or another.
///
/// # Errors
/// `NotFound`, naming those that are near; `Usage` for a name of two.
pub fn refuse_unknown(memory: &QuarantineRecord, chosen: &Chosen) -> Result<()> {
    let Chosen::Named(names) = chosen else { return Ok(()) };
    let is_app = |name: &&String| memory.steps.iter().any(|remembered| remembered.answers_to(name));
    if let Some(unknown) = names.iter().find(|name| !is_app(name)) {
        return Err(no_such_app(memory, unknown));
    }
    names.iter().try_for_each(|name| refuse_ambiguous(memory, name))
}

/// More would be on again than was meant. The name of a step is all of its apps; the rest is about ids.
fn refuse_ambiguous(memory: &QuarantineRecord, name: &str) -> Result<()> {
    let with_apps = memory.steps.iter().filter(|remembered| !remembered.apps.is_empty());
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
    Err(Error::usage(format!("\"{name}\" means {steps}; nothing was released"))
        .hint("release a whole step by its name, or all with --all; give the steps other names in the profile"))
}

fn no_such_app(memory: &QuarantineRecord, name: &str) -> Error {
    let error = Error::new(Code::NotFound, format!("no app that is off is called \"{name}\""));
    let with_apps = memory.steps.iter().filter(|remembered| !remembered.apps.is_empty());
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

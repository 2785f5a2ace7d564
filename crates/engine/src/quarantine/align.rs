//! Matches the current steps with those of an earlier quarantine.

use super::record::StepRecord;
use crate::prelude::*;

/// One entry per step in `steps`, in their order, with the apps that `before` recorded for it. Unmatched entries of
/// `before` come first, so that they are undone last, because these steps of another profile acted earlier. They are
/// kept as long as any of their apps is off, together with the old steps that act at release.
///
/// Two steps match if they are equal; otherwise if they have the same name and act on the same target.
pub fn align(steps: &[Step], mut before: Vec<StepRecord>) -> Vec<StepRecord> {
    let mut aligned: Vec<Option<StepRecord>> = steps.iter().map(|step| take(&mut before, |old| old == step)).collect();
    for (slot, step) in aligned.iter_mut().zip(steps) {
        if slot.is_none() {
            *slot = take(&mut before, |old| old.name == step.name && target(old) == target(step));
        }
    }
    let now = aligned.into_iter().zip(steps).map(|(known, step)| StepRecord {
        step: step.clone(),
        apps: known.map(|known| known.apps).unwrap_or_default(),
    });
    let now: Vec<_> = now.collect();
    if before.iter().all(|old| old.apps.is_empty()) {
        before.clear();
    }
    before.retain(|old| !old.apps.is_empty() || old.step.at == Moment::Release);
    before.into_iter().chain(now).collect()
}

fn take(before: &mut Vec<StepRecord>, is_it: impl Fn(&Step) -> bool) -> Option<StepRecord> {
    let at = before.iter().position(|old| is_it(&old.step))?;
    Some(before.remove(at))
}

fn target(step: &Step) -> [&str; 3] {
    match &step.action {
        Action::Sqlite(rows) => ["sqlite", &rows.database, &rows.table],
        Action::Json(nodes) => ["json", &nodes.files, &nodes.each],
        Action::File(files) => ["file", &files.files, ""],
        Action::Env(_) => ["env", "", ""],
        Action::Args(_) => ["args", "", ""],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quarantine::record::{AppRecord, Before};

    fn args(name: &str, argument: &str) -> Step {
        Step {
            name: name.to_owned(),
            at: profile::step::Moment::Restore,
            optional: false,
            action: Action::Args(vec![argument.to_owned()]),
        }
    }

    fn remembered(step: &Step, app: &str) -> StepRecord {
        StepRecord { step: step.clone(), apps: vec![AppRecord { id: app.to_owned(), was: Before::Given }] }
    }

    fn names(aligned: &[StepRecord]) -> Vec<(&str, &str)> {
        let app = |entry: &'_ StepRecord| entry.apps.first().map_or(String::new(), |kept| kept.id.clone());
        assert!(aligned.iter().all(|entry| entry.apps.len() < 2));
        aligned.iter().map(|entry| (&*entry.step.name, &*Box::leak(app(entry).into_boxed_str()))).collect()
    }

    #[test]
    fn a_step_keeps_its_apps_if_it_is_equal_or_has_the_same_name() {
        let old = [args("a", "1"), args("a", "2"), args("gone", "3"), args("b", "4")];
        let before = vec![
            remembered(&old[0], "first"),
            remembered(&old[1], "second"),
            remembered(&old[2], "third"),
            remembered(&old[3], "fourth"),
        ];
        let now = [args("b", "new"), args("a", "2"), args("c", "5")];
        let aligned = align(&now, before);
        let expected = [("a", "first"), ("gone", "third"), ("b", "fourth"), ("a", "second"), ("c", "")];
        assert_eq!(names(&aligned), expected);
    }
}

//! The weekly verification: every backup of this instance that is kept, read to its last byte, its databases checked.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde_json::Value;

use crate::Console;
use engine::backup::{self, Verifications};
use seqbac_header::Id;
use volume::{
    Instance,
    error::{Code, Result},
};

/// A backup to verify.
struct Kept {
    file: PathBuf,
    /// Unknown if its header is damaged.
    id: Option<Id>,
    /// Whether its databases had no fault when it was made.
    was_sound: bool,
}

/// Verifies all of them, and remembers what was found. The child tells of it.
pub(super) async fn run(console: &Console) -> Result<()> {
    let kept = kept(console)?;
    let files: Vec<&str> = kept.iter().filter_map(|one| one.file.to_str()).collect();
    let found = if files.is_empty() {
        Value::Null
    } else {
        let verb = [&["verify", "--full", "--json"], files.as_slice()].concat();
        console.jobs.verb(console, &verb).await?
    };
    let failed = failed(&found, &kept);
    Verifications { at: Some(Timestamp::now()), failed }.save(&console.volume)
}

/// The backups that are this instance's and sealed with its key, those that are too damaged to be listed included. What is
/// somebody else's is not ours to verify.
fn kept(console: &Console) -> Result<Vec<Kept>> {
    let Some(instance) = Instance::load(&console.volume)? else { return Ok(Vec::new()) };
    let listed = backup::list(&console.volume.backups(), Some(&console.key))?;
    let key = console.key.fingerprint();
    let damaged = backup::damaged(&listed, instance.id, key);
    let damaged = damaged.map(|one| Kept { file: one.skipped.file.clone(), id: one.id, was_sound: true });
    let ours = listed.backups.iter().filter(|one| one.instance_id == Some(instance.id) && one.key_fingerprint == key);
    let ours = ours.map(|one| Kept { file: one.file.clone(), id: Some(one.id), was_sound: one.verified == Some(true) });
    Ok(ours.chain(damaged).collect())
}

/// Those that are not what they were, each with why. One without an id is in the child's events only.
fn failed(found: &Value, kept: &[Kept]) -> BTreeMap<Id, String> {
    let reports = found.get("backups").and_then(Value::as_array).into_iter().flatten();
    let failed = reports.filter_map(|report| {
        let file = Path::new(report.get("file")?.as_str()?);
        let backup = kept.iter().find(|one| one.file == file)?;
        Some((backup.id?, fault(report, backup)?))
    });
    failed.collect()
}

fn fault(report: &Value, backup: &Kept) -> Option<String> {
    if let Some(error) = report.get("error") {
        // Any other says nothing of the backup: it was removed meanwhile, or there was no space to check it in.
        let of_the_file = u64::from(Code::NotABackup.exit())..=u64::from(Code::Unverified.exit());
        let is_fault = error.get("exit").and_then(Value::as_u64).is_some_and(|exit| of_the_file.contains(&exit));
        return is_fault.then(|| error.get("error").and_then(Value::as_str).unwrap_or("unknown").to_owned());
    }
    let finding = report.get("report")?.get("findings")?.get(0)?;
    // Faults that a database had when it was backed up are no news.
    let news = Some(finding).filter(|_| backup.was_sound)?;
    let part = |name| news.get(name).and_then(Value::as_str).unwrap_or_default();
    Some(format!("{} has a fault: {}", part("path"), part("finding")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Vec<Kept> {
        let backup = |number: u8, was_sound| Kept {
            file: format!("/b/seq_{number}.seqbac").into(),
            id: Some(Id([number; 16])),
            was_sound,
        };
        vec![backup(1, true), backup(2, true), backup(3, false), backup(4, true)]
    }

    #[test]
    fn what_is_not_what_it_was_has_failed() {
        let fault = serde_json::json!([{"path": "a.db", "finding": "page 3 is never used"}]);
        let found = serde_json::json!({"backups": [
            {"file": "/b/seq_1.seqbac", "report": {"findings": []}},
            {"file": "/b/seq_2.seqbac", "error": {"error": "segment 3 is damaged", "exit": 24}},
            {"file": "/b/seq_3.seqbac", "report": {"findings": fault}},
            {"file": "/b/seq_4.seqbac", "report": {"findings": fault}},
            {"file": "/b/other.seqbac", "error": {"error": "another", "exit": 12}},
        ]});
        let expected = [(2, "segment 3 is damaged"), (4, "a.db has a fault: page 3 is never used")];
        assert_eq!(failed(&found, &kept()), expected.map(|(id, why)| (Id([id; 16]), why.to_owned())).into());
        assert!(failed(&Value::Null, &kept()).is_empty());
    }

    #[test]
    fn what_could_not_be_looked_at_has_not_failed() {
        let error = |exit: Code| serde_json::json!({"error": "x", "exit": exit.exit()});
        let found = serde_json::json!({"backups": [
            {"file": "/b/seq_1.seqbac", "error": error(Code::TryAgain)},
            {"file": "/b/seq_2.seqbac", "error": error(Code::NotFound)},
        ]});
        assert!(failed(&found, &kept()).is_empty());
    }
}

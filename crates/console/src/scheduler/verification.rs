//! The weekly verification: reads all kept backups of this instance in full and checks their databases.

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

struct Kept {
    file: PathBuf,
    /// `None` if the header is damaged.
    id: Option<Id>,
    /// Whether the databases had no fault when the backup was taken.
    was_sound: bool,
}

/// Verifies all kept backups and stores the result. The child process records the events.
pub(super) async fn run(console: &Console) -> Result<()> {
    let kept = kept(console)?;
    let files: Vec<&str> = kept.iter().filter_map(|one| one.file.to_str()).collect();
    let found = if files.is_empty() {
        Value::Null
    } else {
        let command = [&["verify", "--full", "--json"], files.as_slice()].concat();
        console.jobs.command(console, &command).await?
    };
    let failed = failed(&found, &kept);
    Verifications { at: Some(Timestamp::now()), failed }.save(&console.volume)
}

/// The backups of this instance that its secret key opens, including files too damaged to be listed. Backups of other
/// instances are not verified.
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

/// The backups with new damage, and the reason of each. A backup without an id is reported by the child's events only.
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
        // Other codes do not mean damage: the backup may have been removed meanwhile, or the disk may be full.
        let of_the_file = u64::from(Code::NotABackup.exit())..=u64::from(Code::Unverified.exit());
        let is_fault = error.get("exit").and_then(Value::as_u64).is_some_and(|exit| of_the_file.contains(&exit));
        return is_fault.then(|| error.get("error").and_then(Value::as_str).unwrap_or("unknown").to_owned());
    }
    let finding = report.get("report")?.get("findings")?.get(0)?;
    // Faults that the database already had when it was backed up do not count.
    let new = Some(finding).filter(|_| backup.was_sound)?;
    let part = |name| new.get(name).and_then(Value::as_str).unwrap_or_default();
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
    fn damage_and_new_faults_are_failures() {
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
    fn a_backup_that_could_not_be_read_has_not_failed() {
        let error = |exit: Code| serde_json::json!({"error": "x", "exit": exit.exit()});
        let found = serde_json::json!({"backups": [
            {"file": "/b/seq_1.seqbac", "error": error(Code::TryAgain)},
            {"file": "/b/seq_2.seqbac", "error": error(Code::NotFound)},
        ]});
        assert!(failed(&found, &kept()).is_empty());
    }
}

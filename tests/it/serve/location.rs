//! The folder that was named for backups, and is not there any more: a mount that is missing.

use std::fs;

use serde_json::json;

use super::client::{Console, serve};
use crate::{fixture::names, support::TestVolume};

/// All that was written down.
fn events(volume: &TestVolume) -> String {
    let files = names(&volume.path(".moorline/events")).into_iter().filter(|name| name.ends_with(".clef"));
    files.map(|name| volume.read(format!(".moorline/events/{name}"))).collect()
}

#[test]
fn a_folder_of_backups_that_is_gone_is_said_everywhere_and_its_backup_fails_aloud() {
    let volume = TestVolume::in_use();
    let vault = volume.beside("vault");
    fs::create_dir(&vault).expect("a folder");
    let mut console = Console::of(serve(&volume));
    let location = console.ask("PUT", "/api/settings/setting-backuplocation").json(&json!({"Value": vault})).send();
    location.is(200);
    console.running.until("a backup is there", || names(&vault).iter().any(|name| name.ends_with(".seqbac")));
    console.stop();
    fs::rename(&vault, volume.beside("elsewhere")).expect("moved");
    let mut console = Console::of(serve(&volume));
    console.running.until("the backup fails", || events(&volume).contains("BackupFailed"));
    let health = console.get("/health");
    assert_eq!(health.status, 503, "{health}");
    let reasons = health.value()["Reasons"].to_string();
    assert!(reasons.contains("vault does not exist"), "{reasons}");
    let metrics = console.get("/metrics").is(200).text();
    assert!(metrics.contains("moorline_healthy 0\n"), "{metrics}");
    console.get("/api/backups").says(503, "vault does not exist");
    let page = console.get("/schedule").is(200).text();
    assert!(page.contains("vault does not exist"), "{page}");
}

//! Quarantine where the state is not as it usually is: a `-wal` left behind, read-only folders, another user.

use std::{os::unix::fs::PermissionsExt, process::Command};

use super::bell::{APPS, Bell, PROFILE};
use crate::fixture::names;

/// A server that is killed leaves its last transactions in the -wal.
#[test]
fn apps_that_are_in_a_wal_left_behind_are_switched_off() {
    let bell = Bell::with_state();
    bell.backup();
    let before = bell.state();
    let killed = "import sqlite3, os, sys\nc = sqlite3.connect(sys.argv[1])\nc.execute('pragma wal_autocheckpoint=0')\n\
                  c.execute(\"insert into alerts values (7, 'in the wal', 1, null)\")\nc.commit()\nos.kill(os.getpid(), 9)";
    let python = Command::new("python3").args(["-c", killed]).arg(bell.path("app.db")).status().expect("python runs");
    assert!(!python.success());
    assert!(std::fs::metadata(bell.path("app.db-wal")).expect("is there").len() > 0);
    let off = bell.moorline(&["apps", "disable", "--all", "--json"]).json();
    assert_eq!(off["switched_off"], APPS.len() + 1);
    bell.must_be_silent();
    bell.moorline(&["apps", "release", "--all"]).succeeds();
    bell.sql("DELETE FROM alerts WHERE id = 7");
    assert_eq!(bell.state(), before);
}

#[test]
fn a_copy_comes_without_anything_that_quarantine_worked_with() {
    let copy = Bell::with_state().copy();
    let mine = names(copy.data.root());
    assert_eq!(mine, [".moorline", "Backups", "Init", "app.db", "hooks.d", "hooks.json"]);
    assert_eq!(names(&copy.path("hooks.d")), ["mail.sh.quarantined", "page.sh.quarantined"]);
    let mode: String = copy.connection().query_row("PRAGMA journal_mode", [], |row| row.get(0)).expect("asks");
    assert_eq!(mode, "wal", "as the server left it");
}

/// It holds rows of the server's.
#[test]
fn what_is_remembered_is_for_nobody_else_to_read() {
    let copy = Bell::with_state().copy();
    let mode = |bell: &Bell| {
        let meta = std::fs::metadata(bell.path(".moorline/quarantine.json")).expect("is there");
        meta.permissions().mode() & 0o777
    };
    assert_eq!(mode(&copy), 0o600);
    copy.moorline(&["apps", "release", "alerts 1"]).succeeds();
    assert_eq!(mode(&copy), 0o600);
    let bell = Bell::with_state();
    bell.moorline(&["apps", "disable", "--all"]).succeeds();
    assert_eq!(mode(&bell), 0o600);
}

/// The copy's server reads what the volume has besides, and no step on the copy has seen it.
#[test]
fn apps_that_are_on_beside_the_copy_are_in_the_way_of_it() {
    let original = Bell::with_state();
    let backup = original.backup();
    let target = Bell::empty();
    target.profile_is(
        &PROFILE.replace(
            "sqlite = \"app.db\"\ntable = \"alerts\"",
            "sqlite = \"*.db\"\ntable = \"alerts\"\noptional = true",
        ),
    );
    let rows = "CREATE TABLE alerts (id INTEGER PRIMARY KEY, enabled); INSERT INTO alerts VALUES (1, 1)";
    rusqlite::Connection::open(target.path("mine.db")).expect("opens").execute_batch(rows).expect("made");
    target.restore(&original, &backup, &[]).fails(13, &["mine.db", "alerts", "nothing was changed"]);
    assert!(!target.path("app.db").exists());
    let off = "UPDATE alerts SET enabled = 0";
    rusqlite::Connection::open(target.path("mine.db")).expect("opens").execute_batch(off).expect("changed");
    target.restore(&original, &backup, &[]).succeeds();
    target.must_be_silent();
}

#[test]
fn what_cannot_be_put_back_is_kept_for_a_person() {
    let copy = Bell::with_state().copy();
    copy.sql("INSERT INTO jobs VALUES ('mail', 1, 'made in quarantine')");
    let said = copy.moorline(&["apps", "release", "--all"]);
    let kept = names(&copy.path(".moorline"));
    let kept = kept.iter().find(|name| name.starts_with("quarantine-")).expect("a copy of the memory");
    assert!(format!("{}{}", said.stdout, said.stderr).contains(kept), "{said:?}");
    let meta = std::fs::metadata(copy.path(".moorline").join(kept)).expect("is there");
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(copy.path(".moorline").join(kept)).expect("reads").contains("mail"));
}

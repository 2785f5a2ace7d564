//! Where backups are kept, when not on the volume.

use std::fs;

use super::state::{console, own_key};
use crate::fixture::{Data, KEY, Ran, argument, names};

fn mirror(data: &Data, location: &str) {
    data.file(".moorline/settings.json", &format!("{{\"BackupLocation\": \"{location}\", \"BackupsToKeep\": 2}}"));
}

#[test]
fn every_verb_finds_backups_where_the_settings_say_and_nowhere_else() {
    let (data, elsewhere) = (Data::with_state(), Data::empty());
    own_key(&data, KEY);
    mirror(&data, argument(elsewhere.root()));
    let scheduled = |count: usize| {
        for _ in 0..count {
            data.moorline(&["backup", "--scheduled"]).succeeds();
        }
    };
    scheduled(1);
    let backups = names(elsewhere.root());
    assert_eq!(backups.len(), 1, "{backups:?}");
    assert_eq!(names(&data.path("Backups")), [""; 0]);
    assert_eq!(data.moorline(&["list", "--json"]).json()["backups"].as_array().map(Vec::len), Some(1));
    data.moorline(&["verify"]).succeeds();
    data.database("app.db", "wal", &["newer"]);
    data.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    assert_eq!(data.rows("app.db"), ["one", "two", "three"]);

    let other = Data::empty();
    let named = |arguments: &[&str]| {
        let mut command = data.command(arguments);
        command.env("MOORLINE_BACKUP_LOCATION", other.root());
        Ran::of(command)
    };
    let path = named(&["backup"]).succeeds();
    assert!(path.starts_with(argument(other.root())), "{path}");
}

#[test]
fn a_folder_that_is_missing_is_said_and_no_other_is_taken() {
    let data = Data::with_state();
    for location in ["/nonexistent/mount", "/nonexistent/Backups"] {
        mirror(&data, location);
        for verb in [&["backup"][..], &["list"], &["verify"], &["status"], &["backup", "--if-older", "1h"]] {
            data.moorline(verb).fails(75, &[location, "is not there"]);
        }
        assert_eq!(names(&data.path("Backups")), [""; 0]);
    }
    mirror(&data, "relative");
    data.moorline(&["backup"]).fails(1, &["no absolute path", "settings.json"]);
    data.moorline(&["show-key", "--generate"]);
    fs::remove_file(data.path(".moorline/settings.json")).expect("removed");
    data.backup();
}

/// A disk that was cloned says where the original keeps its backups.
#[test]
fn a_copy_keeps_its_backups_on_its_own_volume() {
    let original = console();
    let backup = original.backup();
    let (clone, originals) = (console(), Data::empty());
    mirror(&clone, argument(originals.root()));
    clone.moorline(&["restore", "-y", "--secret-key", KEY, "--backup", argument(&backup)]).succeeds();
    let path = clone.backup();
    assert!(path.starts_with(clone.path("Backups")), "{}", path.display());
    assert_eq!(names(originals.root()), [""; 0]);
    clone.moorline(&["rollback", "-y"]).succeeds();
    let path = clone.backup();
    assert!(path.starts_with(originals.root()), "{}", path.display());
}

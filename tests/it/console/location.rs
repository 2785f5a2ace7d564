//! Where backups are kept, when not on the volume.

use std::fs;

use super::state::{console, own_key, with};
use crate::fixture::{Data, KEY, Ran, argument, names};

fn mirror(data: &Data, location: &str) {
    data.file(".moorline/settings.json", &format!("{{\"BackupLocation\": \"{location}\", \"BackupsToKeep\": 2}}"));
}

/// What the console's database says.
fn say(data: &Data, location: &str) {
    let set = "UPDATE settings SET value = json_quote(?1) WHERE name = 'BackupLocation'";
    with(data, |console| assert_eq!(console.execute(set, [location]).expect("makes sense"), 1));
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
            data.moorline(verb).fails(75, &[location, "does not exist"]);
        }
        assert_eq!(names(&data.path("Backups")), [""; 0]);
    }
    mirror(&data, "relative");
    data.moorline(&["backup"]).fails(1, &["not an absolute path", "settings.json"]);
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
    say(&clone, argument(originals.root()));
    mirror(&clone, argument(originals.root()));
    clone.moorline(&["restore", "-y", "--secret-key", KEY, "--backup", argument(&backup)]).succeeds();
    let path = clone.backup();
    assert!(path.starts_with(clone.path("Backups")), "{}", path.display());
    assert_eq!(names(originals.root()), [""; 0]);
    clone.moorline(&["rollback", "-y"]).succeeds();
    let path = clone.backup();
    assert!(path.starts_with(originals.root()), "{}", path.display());
}

/// The settings that verbs find are those of the console's database that is there, whichever way it came.
#[test]
fn where_backups_go_comes_and_goes_with_the_consoles_database() {
    let (originals, own) = (Data::empty(), Data::empty());
    let original = console();
    let backup = original.backup();
    say(&original, argument(originals.root()));
    let elsewhere = original.backup();
    let enable = |data: &Data, backup| {
        data.moorline(&["restore", "-y", "--enable-apps", "--secret-key", KEY, "--backup", argument(backup)])
            .succeeds();
    };
    let backs_up_to = |data: &Data, folder: &std::path::Path| {
        let path = data.backup();
        assert!(path.starts_with(folder), "{}", path.display());
    };
    // A replacement's first backup goes where its console says, before that has ever been started.
    let new = Data::empty();
    enable(&new, &elsewhere);
    backs_up_to(&new, originals.root());
    // Taken back, there is no console, and nobody says anything.
    new.moorline(&["rollback", "-y"]).succeeds();
    assert!(!new.path(".moorline/settings.json").exists());

    let volume = console();
    say(&volume, argument(own.root()));
    mirror(&volume, argument(own.root()));
    enable(&volume, &elsewhere);
    backs_up_to(&volume, originals.root());
    let there = names(originals.root());
    volume.moorline(&["rollback", "-y"]).succeeds();
    backs_up_to(&volume, own.root());
    volume.moorline(&["rollback", "-y"]).succeeds();
    backs_up_to(&volume, originals.root());
    volume.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(names(originals.root()).len(), there.len() + 1);
    // A console that was started meanwhile has written down what its database said.
    enable(&volume, &backup);
    mirror(&volume, "/mnt/originals");
    volume.moorline(&["rollback", "-y"]).succeeds();
    backs_up_to(&volume, own.root());
}

/// Several volumes may keep their backups in one folder, and make them in the same second.
#[test]
fn a_backup_finds_a_name_however_many_were_made_in_its_second() {
    let data = Data::with_state();
    let first = data.moorline(&["backup", "--scheduled"]).succeeds();
    let (prefix, _) = first.rsplit_once('_').expect("a prefix and a day");
    let now = jiff::Timestamp::now();
    for second in 0..100 {
        let taken = now + jiff::SignedDuration::from_secs(second);
        for format in ["%Y%m%d", "%Y%m%d-%H%M%SZ"] {
            fs::write(format!("{prefix}_{}.seqbac", taken.strftime(format)), "another's").expect("written");
        }
    }
    let taken = names(&data.path("Backups")).len();
    let second = data.moorline(&["backup", "--scheduled"]).succeeds();
    assert_eq!(names(&data.path("Backups")).len(), taken + 1, "none was replaced");
    data.moorline(&["verify", "--full", second.trim_end()]).succeeds();
}

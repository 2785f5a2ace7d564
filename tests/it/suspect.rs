//! A store that is suddenly empty: the backup is made, marked, and no older one goes because of it.

use rusqlite::Connection;

use crate::fixture::{Data, Ran, names};

/// In a second of its own: that is what tells the names of a day apart.
fn scheduled(data: &Data, more: &[&str]) -> Ran {
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let mut command = data.command(&[&["backup", "--scheduled"][..], more].concat());
    command.env("MOORLINE_BACKUPS_TO_KEEP", "1");
    Ran::of(command)
}

fn suspect(data: &Data) -> Vec<bool> {
    let listed = data.moorline(&["list", "--json"]).json();
    let backups = listed["backups"].as_array().expect("a list");
    backups.iter().map(|backup| backup["suspect"].as_bool().expect("known")).collect()
}

#[test]
fn an_emptied_database_keeps_the_backups_of_what_was_in_it() {
    let data = Data::with_state();
    scheduled(&data, &[]).succeeds();
    let app = Connection::open(data.path("app.db")).expect("opens");
    app.execute("DELETE FROM t", []).expect("emptied");
    for count in 2..4 {
        let ran = scheduled(&data, &[]);
        assert!(ran.stderr.contains("app.db") && ran.stderr.contains("moorline backup --not-suspect"), "{ran:#?}");
        ran.succeeds();
        assert_eq!(names(&data.path("Backups")).len(), count);
    }
    assert_eq!(suspect(&data), [true, true, false]);
    // As it was again: the good ones go with their time, and those between them.
    app.execute("INSERT INTO t (v) VALUES ('one')", []).expect("a row");
    scheduled(&data, &[]).succeeds();
    assert_eq!(suspect(&data), [false]);
}

#[test]
fn somebody_may_say_that_it_is_as_it_should_be() {
    let data = Data::with_state();
    scheduled(&data, &[]).succeeds();
    data.database("app.db", "wal", &[]);
    scheduled(&data, &[]).succeeds();
    data.moorline(&["backup", "--not-suspect"]).succeeds();
    assert_eq!(suspect(&data), [false, true, false]);
    let ran = scheduled(&data, &[]);
    assert!(!ran.stderr.contains("not-suspect"), "{ran:#?}");
    ran.succeeds();
    assert_eq!(suspect(&data), [false, false], "the immediate one, and the newest scheduled one");
}

#[test]
fn a_store_of_files_without_a_file_is_suspect_and_a_directory_is_no_file() {
    let data = Data::with_state();
    let profile =
        "name = \"p\"\napps = \"none\"\n[state]\nsqlite = [\"app.db\"]\nfiles = [\"conf\", \"config.json\"]\n";
    let beside = Data::empty();
    beside.file("p.toml", profile);
    let path = beside.path("p.toml");
    let named = ["--profile", crate::fixture::argument(&path)];
    scheduled(&data, &named).succeeds();
    std::fs::remove_dir_all(data.path("conf/deep")).expect("removed");
    let ran = scheduled(&data, &named);
    assert!(ran.stderr.contains("conf matched files in the last backup, but matches none now"), "{ran:#?}");
    ran.succeeds();
    assert_eq!(suspect(&data), [true, false]);
}

//! Progress: what is done, out of how much. Files count as databases do.

use std::{collections::BTreeMap, fs, process::Command};

use serde_json::Value;

use crate::fixture::{Data, Ran, argument};

/// What the pieces of work of a command have done at their end, and their total.
fn pieces(data: &Data, arguments: &[&str]) -> BTreeMap<String, (u64, u64)> {
    let lines = data.path("Backups/progress");
    let line = format!("exec 9> {}; MOORLINE_PROGRESS_FD=9 exec \"$0\" \"$@\"", lines.display());
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &line, env!("MOORLINE_PROGRAM")]).args(arguments);
    Ran::of({
        command.env("MOORLINE_STORAGE", data.root());
        command
    })
    .succeeds();
    let mut pieces = BTreeMap::new();
    for line in fs::read_to_string(&lines).expect("text").lines() {
        let line: Value = serde_json::from_str(line).expect("is JSON");
        let number = |name: &str| line[name].as_u64().expect("a number");
        assert!(number("done") <= number("total"), "{line}");
        pieces.insert(line["what"].as_str().expect("text").to_owned(), (number("done"), number("total")));
    }
    fs::remove_file(lines).expect("removes");
    pieces
}

#[test]
fn totals_cover_databases_and_files() {
    let data = Data::with_state();
    data.file("large.bin", &"x".repeat(3 << 20));
    fs::create_dir(data.path("Backups")).expect("a folder");
    let state = fs::metadata(data.path("app.db")).expect("is there").len() + (3 << 20);
    let target = data.path("Backups/one.seqbac");
    let (backup, out) = (argument(&target), data.path("Backups/out"));
    let commands: [(&[&str], &[&str]); 5] = [
        (&["backup", "--output", backup], &["backing up", "reading back"]),
        (&["verify", backup], &["reading back"]),
        (&["extract", backup, "--output", argument(&out)], &["extracting"]),
        (&["restore", "-y", "--enable-apps", "--backup", backup], &["reading back", "staging"]),
        (&["restore", "--dry-run", "--enable-apps", "--backup", backup], &["reading back", "staging"]),
    ];
    for (arguments, expected) in commands {
        let pieces = pieces(&data, arguments);
        for piece in expected {
            let (done, total) = pieces.get(*piece).unwrap_or_else(|| panic!("{arguments:?}: no {piece} in {pieces:?}"));
            assert_eq!(done, total, "{arguments:?}: {piece}");
            assert!(*total >= state, "{arguments:?}: {piece} has a total of {total}, and the state has {state}");
        }
    }
    let out = data.path("Backups/one-file");
    let one = pieces(&data, &["extract", backup, "conf/deep", "--output", argument(&out)]);
    assert_eq!(one["extracting"], (1, 1), "only what is extracted counts");
}

//! `profiles`, `profile show`, `profile check`, and the health check that a profile brings along.

use std::{fs, net::TcpListener};

use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    fixture::{Data, argument},
    support::TestVolume,
};

const FOR_ROWS: &str = "name = 'rows'\nprefix = 'rows'\n\
    [state]\nsqlite = ['app.db']\nfiles = ['*.json', 'none/**']\n\
    [health]\ntcp = '127.0.0.1:7'\n\
    [[quarantine]]\nname = 'rows that act'\nsqlite = 'app.db'\ntable = 't'\nwhere = \"v <> 'two'\"\nset = { v = 'off' }\n\
    [[quarantine]]\nname = 'a safe mode'\nargs = ['--safe']\n";

fn written(text: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let path = folder.path().join("p.toml");
    fs::write(&path, text).expect("writes");
    let path = argument(&path).to_owned();
    (folder, path)
}

#[test]
fn built_in_profiles_are_listed_with_what_they_were_tried_against() {
    let data = Data::empty();
    let listed = data.moorline(&["profiles", "--json"]).json();
    let rows = listed["profiles"].as_array().expect("a list");
    let synapse = rows.iter().find(|row| row["name"] == "synapse").expect("is built in");
    assert_eq!((&synapse["title"], &synapse["apps"]), (&json!("synapse"), &json!("listed")), "{synapse}");
    assert!(["proven", "read", "unverified"].iter().any(|mark| synapse["mark"] == *mark), "{synapse}");
    assert!(synapse["against"].as_str().is_some_and(|against| !against.is_empty()), "{synapse}");
    let table = data.moorline(&["profiles"]).succeeds();
    assert!(table.starts_with("NAME ") && table.lines().count() == rows.len() + 1, "{table}");
    assert!(rows.iter().all(|row| table.contains(row["name"].as_str().expect("text"))), "{table}");
}

#[test]
fn a_built_in_profile_is_shown_as_a_file_that_works_as_well() {
    let data = Data::empty();
    for row in data.moorline(&["profiles", "--json"]).json()["profiles"].as_array().expect("a list") {
        let name = row["name"].as_str().expect("text");
        let text = data.moorline(&["profile", "show", name]).succeeds();
        assert!(text.starts_with("# "), "{text}");
        let (_folder, file) = written(&text);
        let checked = data.moorline(&["profile", "check", &file]);
        assert_eq!(checked.code, Some(0), "{checked:#?}");
        assert_eq!(data.moorline(&["profile", "show", &file]).succeeds(), text);
        let shown = data.moorline(&["profile", "show", "--json", name]).json();
        assert_eq!((&shown["name"], shown["text"].as_str().map(str::trim_end)), (&json!(name), Some(text.trim_end())));
    }
    data.moorline(&["profile", "show", "sinapse"])
        .fails(2, &["no built-in profile is called", "did you mean synapse?"]);
}

#[test]
fn a_check_without_a_volume_says_what_the_profile_says() {
    let data = Data::empty();
    let (_folder, file) = written(FOR_ROWS);
    let told = data.moorline(&["profile", "check", &file]).succeeds();
    for said in
        [": a valid profile", "rows that act", "app.db, table t", "sets v", "a safe mode", "adds the arguments --safe"]
    {
        assert!(told.contains(said), "{said:?} is not in {told}");
    }
    let report = data.moorline(&["profile", "check", "--json", &file]).json();
    assert_eq!(
        report,
        json!({ "name": "rows", "prefix": "rows", "health": "tcp:127.0.0.1:7", "apps": "listed",
            "steps": [
                { "name": "rows that act", "kind": "sqlite", "at": "restore", "optional": false },
                { "name": "a safe mode", "kind": "args", "at": "restore", "optional": false }],
            "volume": null, "problems": [] })
    );
    let (_folder, bad) = written("name = 'x'\nprefix = 'A b'\n");
    let ran = data.moorline(&["profile", "check", "--json", &bad]).fails(2, &["p.toml, line 2: `prefix` is \"A b\""]);
    assert_eq!(ran.json()["exit"], 2);
    data.moorline(&["profile", "check", ""]).fails(2, &["no profile is named"]);
}

fn check(data: &Data, file: &str) -> crate::fixture::Ran {
    data.moorline(&["profile", "check", "--json", file, "--storage", argument(data.root())])
}

#[test]
fn a_check_on_a_volume_says_what_each_store_and_step_finds_and_changes_nothing() {
    let data = Data::with_state();
    let (_folder, file) = written(FOR_ROWS);
    let before = data.everything();
    let checked = check(&data, &file);
    assert_eq!(checked.code, Some(0), "{checked:#?}");
    let report = checked.json();
    assert_eq!(
        report["volume"]["stores"],
        json!([
            { "store": "sqlite", "glob": "app.db", "databases": ["app.db"], "files": [] },
            { "store": "files", "glob": "*.json", "databases": [], "files": ["config.json"] },
            { "store": "files", "glob": "none/**", "databases": [], "files": [] }])
    );
    let steps = report["volume"]["steps"].as_array().expect("a list");
    assert_eq!(steps[0]["apps"], json!(["rows that act 1", "rows that act 3"]));
    assert_eq!(data.everything(), before);
    let told = data.moorline(&["profile", "check", &file, "--storage", argument(data.root())]).succeeds();
    for said in ["1 database: app.db", "1 file: config.json", "  nothing", "2: rows that act 1, rows that act 3"] {
        assert!(told.contains(said), "{said:?} is not in {told}");
    }
}

#[test]
fn nodes_and_files_are_found_as_well_as_rows() {
    let data = Data::empty();
    data.file(
        "flows.json",
        "[{\"id\": \"a\", \"type\": \"tab\"}, {\"id\": \"b\", \"type\": \"tab\", \"disabled\": true}]",
    );
    data.file("hooks/x.sh", "#!/bin/sh\n");
    let (_folder, file) = written(
        "name = 'x'\n\
         [[quarantine]]\nname = 'tabs'\njson = 'flows.json'\neach = '/*'\nkey = 'id'\n\
         where = { disabled = [false, { absent = true }] }\nset = { disabled = true }\n\
         [[quarantine]]\nname = 'hooks'\nfile = 'hooks/*'\n\
         [[quarantine]]\nname = 'more hooks'\nfile = 'lib/hooks/*'\noptional = true\n",
    );
    let checked = check(&data, &file);
    assert_eq!(checked.code, Some(0), "{checked:#?}");
    let steps = checked.json()["volume"]["steps"].clone();
    assert_eq!((&steps[0]["apps"], &steps[1]["apps"]), (&json!(["tabs a"]), &json!(["hooks"])));
    assert_eq!(steps[2]["missing"], json!(["lib/hooks/* does not exist"]));
}

#[test]
fn a_step_on_what_is_no_part_of_the_state_is_told_though_it_is_there() {
    let data = Data::with_state();
    let state = "name = 'x'\n[state]\nsqlite = ['app.db']\nfiles = ['conf/**']\n";
    let json = "[[quarantine]]\nname = 's'\njson = 'config.json'\nset = { a = 2 }\n";
    let (_folder, beside) = written(&format!("{state}{json}"));
    let said = ["the step \"s\" acts on config.json, which is not part of the state", "add it to `files` in [state]"];
    let ran = data.moorline(&["profile", "check", &beside]).fails(2, &said);
    assert!(ran.stdout.contains("the profile has problems"), "{ran:#?}");
    assert_eq!(check(&data, &beside).fails(2, &said).json()["problems"].as_array().map(Vec::len), Some(1));
    data.moorline(&["backup", "--profile", &beside]).succeeds();
    let database = "[[quarantine]]\nname = 's'\nsqlite = 'other.db'\ntable = 't'\ndelete = true\n";
    let (_folder, other) = written(&format!("{state}{database}"));
    data.moorline(&["profile", "check", &other]).fails(2, &["acts on other.db", "add it to `sqlite`"]);
    let (_folder, ignored) = written(&format!("name = 'x'\n{json}"));
    data.moorline(&["profile", "check", &ignored]).succeeds();
    data.file(".moorlineignore", "*.json\n");
    check(&data, &ignored).fails(2, &["acts on config.json", ".moorlineignore"]);
    for fits in
        ["file = 'conf'", "file = 'conf/deep'", "file = 'none/*'", "file = 'none'\noptional = true", "args = ['x']"]
    {
        let (_folder, fits) = written(&format!("{state}[[quarantine]]\nname = 's'\n{fits}\n"));
        data.moorline(&["profile", "check", &fits]).succeeds();
    }
}

#[test]
fn a_check_on_a_volume_ends_as_a_backup_or_a_restore_would() {
    let data = Data::with_state();
    let (_folder, lacks_store) = written(&FOR_ROWS.replace("'app.db']", "'app.db', 'b.db']"));
    let ran = check(&data, &lacks_store).fails(10, &["b.db, which does not exist"]);
    assert_eq!(ran.json()["problems"][0]["code"], "NotFound");
    let (_folder, lacks_table) = written(&FOR_ROWS.replace("table = 't'", "table = 'hooks'"));
    let ran = check(&data, &lacks_table)
        .fails(13, &["the step \"rows that act\" of the profile rows cannot act on this volume", "no table hooks"]);
    assert_eq!(ran.json()["problems"].as_array().map(Vec::len), Some(1), "the other step is fine: {ran:#?}");
    let (_folder, may_lack) = written(&FOR_ROWS.replace("table = 't'", "table = 'hooks'\noptional = true"));
    assert_eq!(check(&data, &may_lack).code, Some(0));
    let (_folder, bad_sql) = written(&FOR_ROWS.replace("v <> 'two'", "no_such_column = 1"));
    let ran = check(&data, &bad_sql);
    assert!(
        ran.code != Some(0) && ran.stderr.contains("rows that act") && ran.stderr.contains("no_such_column"),
        "{ran:#?}"
    );
    Connection::open(data.path("app.db")).expect("opens").execute("DELETE FROM t", []).expect("empties");
    let (_folder, fine) = written(FOR_ROWS);
    let ran = check(&data, &fine);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert!(ran.stderr.contains("warning: the step \"rows that act\" finds nothing to switch off"), "{ran:#?}");
}

#[test]
fn health_is_as_the_profile_says_where_nobody_said_otherwise() {
    let volume = TestVolume::in_use();
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("has an address");
    fs::write(volume.beside("p.toml"), format!("name='p'\n[health]\ntcp='{address}'\n")).expect("writes");
    let health = |arguments: &[&str], variable: &str| {
        let start = volume.moorline(["health", "--json"]).args(arguments).not_pid_1();
        let end = start.env("MOORLINE_PROFILE", volume.beside("p.toml")).env("MOORLINE_HEALTH", variable).wait();
        let answer: serde_json::Value = serde_json::from_str(&end.out).expect("is JSON");
        (end.code, answer["check"].clone())
    };
    assert_eq!(health(&[], ""), (0, json!(format!("tcp:{address}"))));
    assert_eq!(health(&[], "tcp:127.0.0.1:1"), (1, json!("tcp:127.0.0.1:1")));
    assert_eq!(health(&["--health", "tcp:127.0.0.1:2"], ""), (1, json!("tcp:127.0.0.1:2")));
}

#[test]
fn scripts_behind_the_start_wait_for_the_health_that_the_profile_tells() {
    let volume = TestVolume::in_use();
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = listener.local_addr().expect("has an address").port();
    // Never healthy: nothing listens behind that path of the loopback, whatever the namespace.
    let text = format!("name='p'\n[health]\nhttp='http://127.0.0.1:{port}/'\n");
    fs::write(volume.beside("p.toml"), text).expect("writes");
    volume.script("ready.d/1", "touch \"$DATA_DIR/healthy\"");
    let answer = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let mut answers = ["HTTP/1.1 503 Not Yet\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"].into_iter();
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let Some(answer) = answers.next() else { return };
            let _ = stream.write_all(answer.as_bytes());
            if answers.len() == 0 {
                return;
            }
        }
    });
    let server = "while [ ! -e \"$MOORLINE_STORAGE/healthy\" ]; do sleep 0.02; done";
    let end =
        volume.run_sh(server).env("MOORLINE_SUPERVISE", "1").env("MOORLINE_PROFILE", volume.beside("p.toml")).wait();
    assert_eq!(end.code, 0, "{end}");
    answer.join().expect("it was asked twice");
}

#[test]
fn a_profile_that_makes_no_sense_starts_nothing_and_status_says_so() {
    let volume = TestVolume::in_use();
    fs::write(volume.beside("p.toml"), "name='p'\n[health]\ntpc='x'\n").expect("writes");
    volume.script("1", "echo ran");
    let end = volume.run(["/bin/echo", "up"]).env("MOORLINE_PROFILE", volume.beside("p.toml")).wait();
    assert_eq!((end.code, end.out.as_str()), (2, ""), "{end}");
    assert!(end.err.contains("line 3: `tpc` is not a key of [health]") && !end.err.contains("ran"), "{end}");
    let start = volume.moorline(["status", "--json"]).not_pid_1();
    let end = start.env("MOORLINE_PROFILE", volume.beside("p.toml")).wait();
    assert_eq!(end.code, 0, "{end}");
    assert!(end.err.contains("`tpc` is not a key"), "{end}");
}

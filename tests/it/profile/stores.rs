//! The stores of a profile: what they hold, and what a backup says where one is missing.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use tempfile::TempDir;

use crate::{
    fixture::{Data, Ran, argument, names},
    support::{TestVolume, quoted},
};

/// A volume and a profile for it.
struct Described {
    data: Data,
    folder: TempDir,
}

impl Described {
    fn by(state: &str) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        fs::write(folder.path().join("p.toml"), format!("name = 'my server'\napps = 'none'\n{state}")).expect("writes");
        Self { data: Data::with_state(), folder }
    }

    fn profile(&self) -> PathBuf {
        self.folder.path().join("p.toml")
    }

    fn moorline(&self, arguments: &[&str]) -> Ran {
        self.data.moorline(&[&["--profile", argument(&self.profile())], arguments].concat())
    }

    /// What a backup holds.
    fn members(&self) -> Vec<String> {
        let file = self.moorline(&["backup"]).succeeds();
        let seen = self.moorline(&["inspect", "--json", file.trim_end()]).json();
        let member = |member: &serde_json::Value| member["path"].as_str().expect("a path").to_owned();
        let members = seen["members"].as_array().expect("a list").iter().map(member);
        members.filter_map(|path| path.strip_prefix("state/").map(str::to_owned)).collect()
    }
}

#[test]
fn state_is_what_the_stores_name_and_no_ignore_file_changes_it() {
    let described = Described::by("[state]\nsqlite = ['app.db']\nfiles = ['conf/**']\nexclude = ['conf/empty']\n");
    described.data.file(".moorlineignore", "conf/\n*.db\n");
    assert_eq!(described.members(), ["app.db", "conf", "conf/deep", "conf/deep/b.txt", "conf/link"]);
}

#[test]
fn without_state_discovery_decides_and_its_ignore_file_applies() {
    let described = Described::by("");
    described.data.file(".moorlineignore", "conf/\n");
    assert_eq!(described.members(), ["app.db", ".moorlineignore", "config.json"]);
}

#[test]
fn a_database_that_is_named_and_missing_fails_the_backup_by_its_name() {
    let described = Described::by("[state]\nsqlite = ['app.db', 'sub/more.db', 'cache*.db']\nfiles = ['conf/**']\n");
    let said = described.data.path("sub/more.db").display().to_string();
    let ran = described.moorline(&["backup", "--json"]);
    let ran = ran.fails(10, &["the profile my server names the database ", &said, "which does not exist"]);
    assert_eq!(ran.json()["code"], "NotFound");
    assert_eq!(names(&described.data.path("Backups")), Vec::<String>::new());
    described.data.database("sub/more.db", "delete", &["x"]);
    assert!(described.members().contains(&"sub/more.db".to_owned()), "one found by a wildcard may be missing");
}

#[test]
fn a_named_database_that_is_a_link_or_a_folder_is_called_so() {
    let described = Described::by("[state]\nsqlite = ['other.db']\nfiles = ['conf/**']\n");
    symlink("app.db", described.data.path("other.db")).expect("a link");
    described
        .moorline(&["backup"])
        .fails(10, &["other.db, which is a link", "name the database that the link points to"]);
    fs::remove_file(described.data.path("other.db")).expect("goes");
    fs::create_dir(described.data.path("other.db")).expect("made");
    described.moorline(&["backup"]).fails(10, &["which is a directory with no database in it"]);
    described.data.database("other.db/inner.sqlite", "wal", &["x"]);
    assert!(described.members().contains(&"other.db/inner.sqlite".to_owned()));
}

#[test]
fn stores_that_match_nothing_fail_the_backup() {
    let described = Described::by("[state]\nsqlite = ['*.sqlite3']\nfiles = ['settings.y*ml']\n");
    let said = ["nothing on ", "matches a store of the profile my server", "it looks for *.sqlite3, settings.y*ml"];
    described.moorline(&["backup"]).fails(10, &said);
    assert_eq!(described.moorline(&["backup", "--if-older", "1s"]).succeeds(), "", "there is no state yet");
}

#[test]
fn a_database_that_is_none_fails_the_backup_and_not_the_restore_that_replaces_it() {
    let described = Described::by("[state]\nsqlite = ['app.db']\n");
    described.moorline(&["backup"]).succeeds();
    for sidecar in ["app.db-wal", "app.db-shm"] {
        drop(fs::remove_file(described.data.path(sidecar)));
    }
    described.data.file("app.db", "no longer a database at all");
    described.moorline(&["backup"]).fails(2, &["the profile my server names ", "app.db as a SQLite database"]);
    described.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    assert_eq!(described.data.rows("app.db"), ["one", "two", "three"]);
}

#[test]
fn a_store_that_is_missing_keeps_no_server_down() {
    let volume = TestVolume::in_use();
    volume.write("conf/a", "a");
    fs::write(volume.beside("p.toml"), "name='p'\n[state]\nsqlite=['app.db']\nfiles=['conf/**']\n").expect("writes");
    let start = volume.run(["/bin/echo", "up"]).env("MOORLINE_NO_BOOT_BACKUP", "0");
    let end = start.env("MOORLINE_PROFILE", volume.beside("p.toml")).wait();
    assert_eq!((end.code, end.out.as_str()), (0, "up\n"), "{end}");
    assert!(end.err.contains("app.db, which does not exist") && end.err.contains("the boot backup failed"), "{end}");
}

#[test]
fn a_folder_of_others_that_no_store_leads_into_is_no_obstacle() {
    let volume = TestVolume::new();
    volume.write("conf/a", "a");
    volume.write("private/of-root", "x");
    fs::write(volume.beside("p.toml"), "name='p'\n[state]\nfiles=['conf/**']\n").expect("writes");
    let prepare = format!(
        "chown -R 4711:0 {0}; chown -R 0:0 {0}/private; chmod 0700 {0}/private; chmod 0711 {1}",
        quoted(volume.root()),
        quoted(volume.beside(""))
    );
    let verb = |arguments: &[&str]| {
        let start = volume.moorline(arguments).not_pid_1().before(&prepare).with_user(4711);
        start.env("MOORLINE_PROFILE", volume.beside("p.toml")).wait()
    };
    let end = verb(&["backup"]);
    assert_eq!(end.code, 0, "{end}");
    volume.write("conf/a", "b");
    let end = verb(&["restore", "-y", "--from-latest"]);
    assert_eq!((end.code, volume.read("conf/a").as_str()), (0, "a"), "{end}");
}

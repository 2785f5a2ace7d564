//! A small server with an app of every kind: rows that are on and off, rows that are there or not, members of a JSON
//! file, files, and what it is started with.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rusqlite::Connection;
use tempfile::TempDir;
use volume::{Lock, Volume};

use crate::fixture::{Data, Ran, argument, names};

/// What its apps are.
pub const PROFILE: &str = r#"
name = "bell"
prefix = "bell"

[state]
sqlite = ["app.db", "more/*.db"]
files = ["hooks.json", "hooks.d/*.sh", "more/*.json"]

[[quarantine]]
name = "alerts"
sqlite = "app.db"
table = "alerts"
where = "enabled IS NOT 0"
set = { enabled = false }

[[quarantine]]
name = "jobs"
sqlite = "app.db"
table = "jobs"
delete = true

[[quarantine]]
name = "banner"
sqlite = "app.db"
table = "settings"
insert = { name = "banner", value = "a copy" }

[[quarantine]]
name = "webhooks"
json = "hooks.json"
each = "/hooks/*"
key = "id"
where = { active = true }
set = { active = false }

[[quarantine]]
name = "scripts"
file = "hooks.d/*.sh"

[[quarantine]]
name = "safe mode"
env = { BELL_SAFE = "1" }

[[quarantine]]
name = "quiet"
args = ["--quiet", "two words"]

[[quarantine]]
name = "outbox"
sqlite = "app.db"
table = "outbox"
delete = true
discard = true
at = "release"
"#;

/// The ids of all that is switched off in [`Bell::with_state`].
pub const APPS: [&str; 10] = [
    "alerts 1",
    "alerts 3",
    "alerts 4",
    "banner banner",
    "jobs mail,1",
    "jobs mail,2",
    "quiet",
    "safe mode",
    "scripts",
    "webhooks w1",
];

const TABLES: [&str; 4] = ["alerts", "jobs", "settings", "outbox"];

/// A volume of it, and its profile beside.
pub struct Bell {
    pub data: Data,
    beside: TempDir,
}

impl Bell {
    /// A volume without state.
    pub fn empty() -> Self {
        let beside = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let bell = Self { data: Data::empty(), beside };
        bell.profile_is(PROFILE);
        bell
    }

    /// One whose apps are on, but for two that are off.
    pub fn with_state() -> Self {
        let bell = Self::empty();
        bell.sql(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE alerts (id INTEGER PRIMARY KEY, name TEXT, enabled, hook BLOB);
             INSERT INTO alerts VALUES (1, 'disk', 1, x'00ff'), (2, 'off before', 0, NULL), (3, 'cpu', 'yes', ''),
                                       (4, 'night', NULL, 'é');
             CREATE TABLE jobs (queue TEXT, n INTEGER, payload BLOB, PRIMARY KEY (queue, n)) WITHOUT ROWID;
             INSERT INTO jobs VALUES ('mail', 1, x'0001ff'), ('mail', 2, NULL);
             CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT);
             INSERT INTO settings VALUES ('title', 'the original');
             CREATE TABLE outbox (id INTEGER PRIMARY KEY, text TEXT)",
        );
        bell.data.file("hooks.json", "{\"z\": 9007199254740993,\n \"hooks\": [{\"id\": \"w1\", \"active\": true, \"n\": 1.50}, {\"id\": \"w2\", \"active\": false}]}\n");
        bell.data.file("hooks.d/mail.sh", "#!/bin/sh\n: mail\n");
        bell.data.file("hooks.d/page.sh", "#!/bin/sh\n: page\n");
        fs::set_permissions(bell.path("hooks.d/page.sh"), fs::Permissions::from_mode(0o750)).expect("changed");
        bell
    }

    /// Another profile.
    pub fn profile_is(&self, text: &str) {
        fs::write(self.profile(), text).expect("written");
    }

    fn profile(&self) -> PathBuf {
        self.beside("bell.toml")
    }

    /// A path on the volume.
    pub fn path(&self, name: &str) -> PathBuf {
        self.data.path(name)
    }

    /// A command of the binary on this volume, which knows the profile.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.data.command(arguments);
        command.env("MOORLINE_PROFILE", self.profile()).env("MOORLINE_NO_BOOT_BACKUP", "1");
        command
    }

    pub fn moorline(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments))
    }

    pub fn backup(&self) -> PathBuf {
        PathBuf::from(self.moorline(&["backup"]).succeeds().trim_end())
    }

    /// Restores a backup of `original` onto this volume.
    pub fn restore(&self, original: &Self, backup: &Path, more: &[&str]) -> Ran {
        let key = original.data.key();
        let arguments = ["restore", "-y", "--secret-key", &key, "--backup", argument(backup)];
        self.moorline(&[&arguments, more].concat())
    }

    /// A copy of it on a volume of its own.
    pub fn copy(&self) -> Self {
        let copy = Self::empty();
        copy.restore(self, &self.backup(), &[]).succeeds();
        copy
    }

    /// The same volume once more, as the disk has it.
    pub fn duplicate(&self) -> Self {
        let other = Self::empty();
        fs::copy(self.profile(), other.profile()).expect("copied");
        let all = format!("{}/.", argument(self.data.root()));
        let copied = Command::new("cp").args(["-a", &all]).arg(other.data.root()).status();
        assert!(copied.expect("cp runs").success());
        other
    }

    /// The command, as the last arguments of another.
    pub fn command_under(&self, mut other: Command, arguments: &[&str]) -> Command {
        let command = self.command(arguments);
        other.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => other.env(name, value),
                None => other.env_remove(name),
            };
        }
        other
    }

    /// Asks for a release while a server runs.
    pub fn request(&self, name: &str) {
        let running = self.server();
        self.moorline(&["apps", "release", name]).succeeds();
        drop(running);
    }

    /// The lock of a server that runs.
    pub fn server(&self) -> Lock {
        Lock::take(&Volume::open(self.data.root()).expect("opens"), "run", None).expect("is free")
    }

    /// A path beside the volume.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.beside.path().join(name)
    }

    /// A start whose server says its environment and its arguments, and ends.
    pub fn start(&self) -> Ran {
        self.moorline(&["run", "--", "/bin/sh", "-c", "env; for word; do echo \"word: $word\"; done", "sh", "--own"])
    }

    pub fn connection(&self) -> Connection {
        Connection::open(self.path("app.db")).expect("opens")
    }

    pub fn sql(&self, statements: &str) {
        self.connection().execute_batch(statements).expect(statements);
    }

    /// What would act on the outside.
    pub fn fires(&self) -> BTreeSet<String> {
        let connection = self.connection();
        let mut fires = BTreeSet::new();
        for query in [
            "SELECT 'alert ' || id FROM alerts WHERE enabled IS NOT 0",
            "SELECT 'job ' || n FROM jobs",
            "SELECT 'mail ' || id FROM outbox",
        ] {
            let mut query = connection.prepare(query).expect("the table is there");
            fires.extend(
                query.query_map([], |row| row.get::<_, String>(0)).expect("runs").map(|row| row.expect("text")),
            );
        }
        let hooks: serde_json::Value = serde_json::from_str(&self.data.read("hooks.json")).expect("is JSON");
        let hooks = hooks["hooks"].as_array().expect("a list").iter().filter(|hook| hook["active"] == true);
        fires.extend(hooks.map(|hook| format!("hook {}", hook["id"].as_str().expect("text"))));
        fires.extend(names(&self.path("hooks.d")).into_iter().filter(|name| name.ends_with(".sh")));
        fires
    }

    /// All of its state, to the last byte of each row and file.
    pub fn state(&self) -> BTreeMap<String, String> {
        let connection = self.connection();
        let mut state = BTreeMap::new();
        for table in TABLES {
            let mut query = connection.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2")).expect("is there");
            let columns = query.column_count();
            let row = |row: &rusqlite::Row<'_>| {
                (0..columns).map(|at| row.get::<_, rusqlite::types::Value>(at)).collect::<Result<Vec<_>, _>>()
            };
            let rows: Result<Vec<_>, _> = query.query_map([], row).expect("runs").collect();
            state.insert(table.to_owned(), format!("{:?}", rows.expect("readable")));
        }
        for name in std::iter::once("hooks.json".to_owned())
            .chain(names(&self.path("hooks.d")).into_iter().map(|name| format!("hooks.d/{name}")))
        {
            let mode = fs::metadata(self.path(&name)).expect("is there").permissions().mode() & 0o7777;
            state.insert(name.clone(), format!("{mode:o} {}", self.data.read(&name)));
        }
        state
    }

    /// What is off, sorted; none where there is no quarantine.
    pub fn off(&self) -> Vec<String> {
        let listed = self.moorline(&["apps", "list", "--json"]).json();
        let apps = listed["apps"].as_array().expect("a list").iter();
        let mut ids: Vec<String> = apps.map(|app| app["id"].as_str().expect("text").to_owned()).collect();
        ids.sort();
        assert_eq!(listed["quarantined"], !ids.is_empty());
        ids
    }

    /// What is off, is off: nothing fires, and the server is told.
    #[track_caller]
    pub fn must_be_silent(&self) {
        assert_eq!(self.fires(), BTreeSet::new());
        assert!(self.has_memory());
    }

    pub fn has_memory(&self) -> bool {
        self.path(".moorline/quarantine.json").exists()
    }

    pub fn instance(&self) -> serde_json::Value {
        serde_json::from_str(&self.data.read(".moorline/instance.json")).expect("is JSON")
    }

    /// A member of it.
    pub fn memory(&self) -> serde_json::Value {
        serde_json::from_str(&self.data.read(".moorline/quarantine.json")).expect("is JSON")
    }
}

//! A volume with state on it, and the real binary run on it.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use rusqlite::Connection;
use tempfile::TempDir;

/// A secret key that is nobody's.
pub const KEY: &str = "8D2RNAbAgmV7ur8nQCLT7PlCWCk+kW488nSg3Narj/4=";

/// A volume of its own, gone when the test is over.
pub struct Data {
    folder: TempDir,
}

impl Data {
    pub fn empty() -> Self {
        Self { folder: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder") }
    }

    /// One with a database in WAL mode and some files.
    pub fn with_state() -> Self {
        let data = Self::empty();
        data.database("app.db", "wal", &["one", "two", "three"]);
        data.file("config.json", "{\"a\": 1}\n");
        data.file("conf/deep/b.txt", "b");
        fs::create_dir(data.path("conf/empty")).expect("made");
        fs::set_permissions(data.path("conf/deep/b.txt"), fs::Permissions::from_mode(0o640)).expect("changed");
        std::os::unix::fs::symlink("deep/b.txt", data.path("conf/link")).expect("a link");
        data
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn file(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("has a parent")).expect("made");
        fs::write(path, content).expect("written");
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|cause| panic!("{name}: {cause}"))
    }

    /// A database with these rows, closed.
    pub fn database(&self, name: &str, journal_mode: &str, rows: &[&str]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("has a parent")).expect("made");
        let connection = Connection::open(path).expect("opens");
        let set_up = format!(
            "PRAGMA journal_mode = {journal_mode}; CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, v TEXT); DELETE FROM t"
        );
        connection.execute_batch(&set_up).expect("a table");
        for row in rows {
            connection.execute("INSERT INTO t (v) VALUES (?1)", [row]).expect("a row");
        }
    }

    pub fn rows(&self, name: &str) -> Vec<String> {
        let connection = Connection::open(self.path(name)).expect("opens");
        let mut query = connection.prepare("SELECT v FROM t ORDER BY id").expect("the table is there");
        let rows = query.query_map([], |row| row.get(0)).expect("readable");
        rows.map(|row| row.expect("readable")).collect()
    }

    /// A command of the binary on this volume, with nothing of this process's settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("MOORLINE_PROGRAM"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MOORLINE_") || name.to_string_lossy().starts_with("SEQ_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).env("MOORLINE_STORAGE", self.root()).stdin(Stdio::null());
        command
    }

    pub fn moorline(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments))
    }

    /// Takes a backup; its path.
    pub fn backup(&self) -> PathBuf {
        PathBuf::from(self.moorline(&["backup"]).succeeds().trim_end())
    }

    pub fn key(&self) -> String {
        self.moorline(&["show-key"]).succeeds().trim_end().to_owned()
    }

    /// Everything that is the server's: each path with its kind, mode, owner and content. Databases by their rows,
    /// and without their sidecars.
    pub fn state(&self) -> BTreeMap<PathBuf, String> {
        let mut state = BTreeMap::new();
        self.add_to(&mut state, Path::new(""));
        state
    }

    fn add_to(&self, state: &mut BTreeMap<PathBuf, String>, below: &Path) {
        for entry in fs::read_dir(self.root().join(below)).expect("a folder") {
            let path = below.join(entry.expect("an entry").file_name());
            let name = path.to_string_lossy().into_owned();
            if [".moorline", "Init", "Backups"].contains(&name.as_str())
                || name.ends_with(".db-wal")
                || name.ends_with(".db-shm")
            {
                continue;
            }
            let full = self.root().join(&path);
            let meta = full.symlink_metadata().expect("is there");
            let what = if meta.is_dir() {
                self.add_to(state, &path);
                "directory".to_owned()
            } else if meta.is_symlink() {
                format!("-> {}", fs::read_link(&full).expect("a link").display())
            } else if name.ends_with(".db") {
                format!("{:?}", self.rows(&name))
            } else {
                String::from_utf8_lossy(&fs::read(&full).expect("readable")).into_owned()
            };
            let mode = if meta.is_symlink() { 0 } else { meta.mode() & 0o7777 };
            state.insert(path, format!("{mode:o} {}:{} {what}", meta.uid(), meta.gid()));
        }
    }

    /// Everything at all on the volume, for what must not have been touched.
    pub fn everything(&self) -> BTreeMap<PathBuf, (u32, i64, String)> {
        let mut all = BTreeMap::new();
        let mut folders = vec![self.root().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let meta = path.symlink_metadata().expect("is there");
                let content = if meta.is_file() {
                    blake3::hash(&fs::read(&path).expect("readable")).to_string()
                } else {
                    String::new()
                };
                if meta.is_dir() {
                    folders.push(path.clone());
                }
                // Locks are taken by whoever looks.
                if path.extension().is_some_and(|ending| ending == "lock") || path.ends_with(".moorline/lock") {
                    continue;
                }
                // That something was tried is told, also where it failed.
                if path.components().any(|part| part.as_os_str() == "events")
                    && path.starts_with(self.path(".moorline"))
                {
                    continue;
                }
                all.insert(path, (meta.mode(), if meta.is_file() { meta.mtime() } else { 0 }, content));
            }
        }
        all
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(mut command: Command) -> Self {
        Self::from(command.output().expect("starts"))
    }

    /// Its stdout; it must have exited 0.
    #[track_caller]
    pub fn succeeds(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.stdout
    }

    /// It must have exited with this code and said all of this on stderr.
    #[track_caller]
    pub fn fails(self, code: i32, said: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for text in said {
            assert!(self.stderr.contains(text), "{text:?} is not in {self:#?}");
        }
        assert!(!self.stderr.contains("os error"), "a bare errno: {self:#?}");
        self
    }

    /// Its stdout as an object.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|cause| panic!("{cause}: {self:#?}"))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// A path as an argument.
pub fn argument(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Names in a folder, sorted; none where it is missing.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Runs a shell script in a mount namespace of its own, with these arguments.
pub fn in_mount_namespace(script: &str, arguments: &[&OsStr]) -> Ran {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "/bin/sh", "-euc", script, "sh"]).args(arguments);
    Ran::of(command)
}

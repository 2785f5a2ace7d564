//! Folders, databases and captures for the tests of this folder.

use engine::store::Matcher;
use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use engine::store::{
    Spool, Survey,
    sqlite::{DatabaseFacts, Snapshot, open_all},
    survey,
};
use profile::Scope;
use rusqlite::Connection;
use tempfile::TempDir;

/// A storage root, and a folder beside it for what the test makes of it.
pub struct Volume {
    dir: TempDir,
}

impl Volume {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("lets others in");
        for name in ["data", "spool", "out"] {
            fs::create_dir(dir.path().join(name)).expect("a folder");
        }
        Self { dir }
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub fn out(&self, name: &str) -> PathBuf {
        self.dir.path().join("out").join(name)
    }

    pub fn spool(&self) -> Spool {
        Spool::at(&self.dir.path().join("spool"))
    }

    pub fn spooled(&self) -> Vec<PathBuf> {
        names(&self.dir.path().join("spool"))
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("makes folders");
        fs::write(path, content).expect("writes");
    }

    pub fn survey(&self) -> Survey {
        self.survey_of(&Scope::everything())
    }

    pub fn survey_of(&self, scope: &Scope) -> Survey {
        survey(&self.root(), &Matcher::of(scope).expect("compiles")).expect("surveys")
    }

    /// A database of accounts that hold 1000 each.
    pub fn bank(&self, name: &str, journal_mode: &str, page_size: u32, accounts: u32) -> Connection {
        let bank = Connection::open(self.path(name)).expect("opens");
        bank.execute_batch(&format!(
            "PRAGMA page_size = {page_size}; PRAGMA journal_mode = {journal_mode}; PRAGMA application_id = 7;
             PRAGMA user_version = 42; CREATE TABLE account(id INTEGER PRIMARY KEY, money INTEGER NOT NULL, pad BLOB);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {accounts})
             INSERT INTO account SELECT i, 1000, randomblob(100) FROM n;"
        ))
        .expect("fills");
        bank
    }

    pub fn snapshots(&self) -> Vec<Snapshot> {
        open_all(&self.root(), &self.survey().databases, &self.spool(), Duration::from_secs(30)).expect("opens")
    }

    /// The one database of the volume, as an image in `out`, and its facts.
    pub fn capture(&self) -> (PathBuf, DatabaseFacts) {
        let mut snapshots = self.snapshots();
        assert_eq!(snapshots.len(), 1, "one database");
        let facts = snapshots[0].facts(true).expect("facts");
        let image = self.out("image.db");
        write_image(&mut snapshots[0], &image);
        (image, facts)
    }
}

pub fn write_image(snapshot: &mut Snapshot, to: &Path) {
    let bytes = snapshot.facts(false).expect("facts").bytes;
    let mut file = File::create(to).expect("creates");
    let copied = io::copy(&mut snapshot.read().expect("reads"), &mut file).expect("copies");
    assert_eq!(copied, bytes, "the image is as long as was said");
}

pub fn sum(path: &Path) -> i64 {
    let image = Connection::open(path).expect("opens");
    image.query_row("SELECT sum(money) FROM account", [], |row| row.get(0)).expect("sums")
}

pub fn integrity(path: &Path) -> String {
    let image = Connection::open(path).expect("opens");
    image.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("checks")
}

pub fn names(dir: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = fs::read_dir(dir).expect("lists").map(|entry| entry.expect("an entry").path()).collect();
    names.sort();
    names
}

/// Another process, and another build of SQLite.
pub fn python(script: &str, arguments: &[&OsStr]) {
    let status = Command::new("python3").args(["-c", script]).args(arguments).status().expect("python3 runs");
    assert!(status.success(), "{script}");
}

/// Does something as a user without privileges; as ourselves where we are one.
pub fn as_nobody<T: Send>(something: impl FnOnce() -> T + Send) -> T {
    let switch = || {
        if nix::unistd::geteuid().is_root() {
            // SAFETY: takes numbers. The system call itself changes this thread alone, where libc's function would
            // change them all.
            let result = unsafe { nix::libc::syscall(nix::libc::SYS_setresuid, -1, 65534, -1) };
            assert_eq!(result, 0, "becomes nobody");
        }
        something()
    };
    thread::scope(|scope| scope.spawn(switch).join()).expect("ends")
}

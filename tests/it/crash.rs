//! kill -9 at random moments: of the scripts' run, of the restore in it, and of the restarts that finish it.
//!
//! The volume holds one state, and a backup of an older one; `quick-rollback.sh` is in `Init/`. However often and
//! wherever the container is killed, a server that starts finds the older state whole, and in the end the script is
//! done, once, and what it replaced comes back with one command.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rusqlite::Connection;
use tempfile::TempDir;

const KILLS: u32 = 200;
/// More than this on one volume, and it is left alone to finish.
const KILLS_A_VOLUME: u32 = 6;

#[test]
fn killed_at_200_random_moments_it_is_restored_once_and_whole() {
    let template = Template::new();
    let undisturbed = template.fresh();
    let started = Instant::now();
    assert!(undisturbed.start().wait().success(), "{}", undisturbed.log());
    let whole_run = started.elapsed();
    undisturbed.must_be_restored_once(&template);

    let (mut kills, mut volumes, mut with_server_up) = (0, 0, 0);
    while kills < KILLS {
        let volume = template.fresh();
        volumes += 1;
        for _ in 0..KILLS_A_VOLUME {
            let container = volume.start();
            thread::sleep(whole_run.mul_f64(random_fraction()));
            if !container.kill() {
                break;
            }
            kills += 1;
            if volume.server_was_up() {
                with_server_up += 1;
                assert_eq!(State::of(&volume.data()), template.older, "{}", volume.log());
            }
        }
        assert!(volume.start().wait().success(), "{}", volume.log());
        volume.must_be_restored_once(&template);
    }
    println!(
        "{kills} kills on {volumes} volumes, {with_server_up} after the server's start; a run takes {whole_run:?}"
    );
}

/// Two states and a backup of the older one, made once.
struct Template {
    folder: TempDir,
    older: State,
    newer: State,
}

impl Template {
    fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let data = folder.path().join("data");
        write_state(&data, "older", &["a.json", "conf/b.json", "conf/deep/c.json", "only-in-older/d.json"]);
        let older = State::of(&data);
        moorline(&data, &["backup"]);
        fs::remove_dir_all(data.join("only-in-older")).expect("removed");
        write_state(&data, "newer", &["a.json", "conf/b.json", "conf/deep/c.json", "only-in-newer/e.json"]);
        let newer = State::of(&data);
        assert_ne!(older, newer);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("init-examples/quick-rollback.sh");
        fs::copy(script, data.join("Init/quick-rollback.sh")).expect("dropped");
        Self { folder, older, newer }
    }

    /// A copy of it, to be killed.
    fn fresh(&self) -> Scene {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let copied = Command::new("cp").arg("-a").arg(self.folder.path().join("data")).arg(folder.path()).status();
        assert!(copied.expect("cp runs").success());
        Scene { folder }
    }
}

/// One volume, and the containers that are started on it one after the other.
struct Scene {
    folder: TempDir,
}

impl Scene {
    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn marker(&self) -> PathBuf {
        self.folder.path().join("server-was-up")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn server_was_up(&self) -> bool {
        self.marker().exists()
    }

    /// moorline as PID 1 of a namespace. The server says that it is up, and ends.
    fn start(&self) -> Container {
        let _ = fs::remove_file(self.marker());
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log")).expect("a log");
        let mut unshare = Command::new("unshare");
        unshare.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
        if !nix::unistd::geteuid().is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        unshare.arg(env!("CARGO_BIN_EXE_moorline")).arg("--storage").arg(self.data()).args(["run", "--"]);
        unshare.args(["/bin/sh", "-c", "echo up > \"$0\""]).arg(self.marker());
        let unshare = unshare.stdin(Stdio::null()).stdout(log.try_clone().expect("a copy")).stderr(log).spawn();
        Container { unshare: unshare.expect("unshare runs") }
    }

    fn must_be_restored_once(&self, template: &Template) {
        let data = self.data();
        assert!(self.server_was_up(), "the server never started: {}", self.log());
        assert_eq!(State::of(&data), template.older, "{}", self.log());
        let scripts: Vec<_> = names(&data.join("Init")).into_iter().filter(|name| !name.ends_with(".log")).collect();
        assert_eq!(scripts, ["quick-rollback.sh.done"], "{}", self.log());
        assert_eq!(restores(&data), ["done"], "{}", self.log());
        moorline(&data, &["rollback", "-y"]);
        assert_eq!(State::of(&data), template.newer, "rolled back: {}", self.log());
    }
}

/// A PID namespace, by the process that waits for it.
struct Container {
    unshare: Child,
}

impl Container {
    fn wait(mut self) -> ExitStatus {
        self.unshare.wait().expect("can be waited for")
    }

    /// Kills PID 1, and with it everything in the namespace, before it returns. False where it had ended by itself.
    fn kill(mut self) -> bool {
        let children = format!("/proc/{0}/task/{0}/children", self.unshare.id());
        let first = loop {
            if self.unshare.try_wait().expect("can be waited for").is_some() {
                return false;
            }
            let children = fs::read_to_string(&children).unwrap_or_default();
            if let Some(pid) = children.split_whitespace().next().and_then(|pid| pid.parse().ok()) {
                break Pid::from_raw(pid);
            }
            // unshare has not forked yet.
            thread::sleep(Duration::from_micros(200));
        };
        let killed = kill(first, Signal::SIGKILL).is_ok();
        // unshare reaps PID 1, which the kernel lets go only when the last of its namespace is gone.
        let status = self.unshare.wait().expect("can be waited for");
        killed && !status.success()
    }
}

/// Everything that a backup holds: what every file says, and what the database says.
#[derive(Debug, PartialEq, Eq)]
struct State {
    files: BTreeMap<PathBuf, Vec<u8>>,
    rows: Vec<(i64, String)>,
}

impl State {
    fn of(data: &Path) -> Self {
        let mut files = BTreeMap::new();
        read_files(data, Path::new(""), &mut files);
        let connection = Connection::open(data.join("app.db")).expect("the database opens");
        let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("checked");
        assert_eq!(check, "ok");
        let mut query = connection.prepare("SELECT id, generation FROM t ORDER BY id").expect("the table is there");
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("readable");
        Self { files, rows: rows.map(|row| row.expect("readable")).collect() }
    }
}

fn read_files(data: &Path, below: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(data.join(below)).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = below.join(entry.file_name());
        let name = path.to_string_lossy().into_owned();
        if [".moorline", "Init", "Backups"].contains(&name.as_str()) || name.starts_with("app.db") {
            continue;
        }
        if entry.path().is_dir() {
            read_files(data, &path, files);
        } else {
            files.insert(path, fs::read(entry.path()).expect("readable"));
        }
    }
}

/// A database of half a mebibyte in WAL mode, and files, all of one generation.
fn write_state(data: &Path, generation: &str, files: &[&str]) {
    for file in files {
        let path = data.join(file);
        fs::create_dir_all(path.parent().expect("has a parent")).expect("made");
        fs::write(path, format!("{{ \"generation\": \"{generation}\", \"file\": \"{file}\" }}\n")).expect("written");
    }
    let connection = Connection::open(data.join("app.db")).expect("opens");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, generation TEXT NOT NULL, bulk BLOB NOT NULL);
             DELETE FROM t",
        )
        .expect("a table");
    for id in 0..32 {
        connection.execute("INSERT INTO t VALUES (?1, ?2, randomblob(16384))", (id, generation)).expect("a row");
    }
}

/// The states of the restore sets that there are.
fn restores(data: &Path) -> Vec<String> {
    let sets = data.join(".moorline/restores");
    let state = |name: String| {
        let journal = fs::read(sets.join(&name).join("journal.json")).expect("a set has a journal");
        let journal: serde_json::Value = serde_json::from_slice(&journal).expect("the journal is JSON");
        journal["state"].as_str().expect("the journal has a state").to_owned()
    };
    names(&sets).into_iter().map(state).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name().to_string_lossy().into();
    let mut names: Vec<String> = fs::read_dir(folder).expect("a folder").map(name).collect();
    names.sort();
    names
}

fn moorline(data: &Path, arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_moorline")).arg("--storage").arg(data).args(arguments).output();
    let output = output.expect("moorline starts");
    assert!(output.status.success(), "moorline {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn random_fraction() -> f64 {
    f64::from(getrandom::u32().expect("random numbers")) / f64::from(u32::MAX)
}

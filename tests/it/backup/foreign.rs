//! Databases of other engines than SQLite: recognised by signature, and doubtful if they are copied while they are in use.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{
    fixture::{Data, Ran, argument},
    support::TestVolume,
};

/// The engines and places that a command reports as in use or not.
fn found(data: &Data, in_use: bool) -> Vec<(String, String)> {
    let status = data.moorline(&["status", "--json"]).json();
    let all = status["foreign"].as_array().expect("a list").iter().filter(|one| one["in_use"].is_null() != in_use);
    let text = |value: &Value| value.as_str().unwrap_or("the storage root").to_owned();
    all.map(|one| (text(&one["engine"]), text(&one["path"]))).collect()
}

fn bytes(data: &Data, name: &str, content: &[u8]) {
    let path = data.path(name);
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    fs::write(path, content).expect("written");
}

/// 16 bytes of a page header, then a magic number and a version.
fn page(flags_at: usize, flags: u16, magic: u32, version: u32) -> Vec<u8> {
    let mut page = vec![0; 4096];
    page[flags_at..flags_at + 2].copy_from_slice(&flags.to_le_bytes());
    page[16..20].copy_from_slice(&magic.to_le_bytes());
    page[20..24].copy_from_slice(&version.to_le_bytes());
    page
}

fn cluster(data: &Data, at: &str) {
    data.file(&format!("{at}PG_VERSION"), "15\n");
    data.file(&format!("{at}global/pg_control"), "control");
    data.file(&format!("{at}base/1/PG_VERSION"), "15\n");
}

#[test]
fn each_engine_is_recognised_by_its_signature() {
    let data = Data::empty();
    cluster(&data, "pg/");
    bytes(&data, "maria/ibdata1", &vec![0; 1 << 20]);
    data.file("maria/aria_log_control", "");
    bytes(&data, "my/ibdata1", &vec![0; 1 << 20]);
    data.file("my/#innodb_redo/#ib_redo6", "");
    data.file("redis/dump.rdb", "REDIS0011\u{fa}\tredis-ver\u{5}7.0.15");
    data.file("aof/appendonlydir/appendonly.aof.manifest", "file appendonly.aof.1.base.rdb seq 1 type b\n");
    data.file("mongo/WiredTiger", "WiredTiger\nWiredTiger 10.0.2: (November 30, 2021)\n");
    data.file("mongo/WiredTiger.wt", "");
    data.file("mongo/mongod.lock", "");
    data.file("rocks/CURRENT", "MANIFEST-000005\n");
    data.file("rocks/MANIFEST-000005", "");
    data.file("rocks/OPTIONS-000007", "");
    data.file("level/CURRENT", "MANIFEST-000002\n");
    data.file("level/MANIFEST-000002", "");
    bytes(&data, "lmdb/data.mdb", &page(10, 8, 0xBEEF_C0DE, 1));
    bytes(&data, "etcd/member/snap/db", &page(8, 4, 0xED0C_DAED, 2));
    let mut duck = vec![7; 4096];
    duck[8..20].copy_from_slice(b"DUCK\x40\0\0\0\0\0\0\0");
    bytes(&data, "x.duckdb", &duck);
    bytes(&data, "signal.db", &[9; 4096]);
    bytes(&data, "signal.db-wal", b"\x37\x7f\x06\x82\0\x2d\xe2\x18\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    bytes(&data, "influx/data/db/autogen/1/000000001-000000001.tsm", b"\x16\xd1\x16\xd1\x01rest");
    bytes(&data, "influx/data/db/autogen/1/000000002-000000001.tsm", b"\x16\xd1\x16\xd1\x01rest");
    bytes(&data, "es/0/index/segments_4", b"\x3f\xd7\x6c\x17\x08segments\0\0\0\x0a");
    let mut all = found(&data, false);
    all.sort();
    let expected = [
        ("DuckDB", "x.duckdb"),
        ("Elasticsearch/Lucene", "es/0/index"),
        ("InfluxDB", "influx/data/db/autogen/1"),
        ("LMDB", "lmdb/data.mdb"),
        ("LevelDB", "level"),
        ("MariaDB", "maria"),
        ("MongoDB", "mongo"),
        ("MySQL", "my"),
        ("PostgreSQL", "pg"),
        ("Redis", "aof/appendonlydir"),
        ("Redis", "redis/dump.rdb"),
        ("RocksDB", "rocks"),
        ("SQLCipher", "signal.db"),
        ("bbolt", "etcd/member/snap/db"),
    ];
    assert_eq!(all, expected.map(|(engine, path)| (engine.to_owned(), path.to_owned())));
}

#[test]
fn names_without_content_and_content_without_names_are_no_databases() {
    let data = Data::with_state();
    data.file("a/PG_VERSION", "15\n");
    data.file("b/PG_VERSION", "my notes\n");
    data.file("b/global/pg_control", "x");
    fs::create_dir(data.path("b/base")).expect("made");
    data.file("c/ibdata1", "hello");
    data.file("c/ib_logfile0", "hello");
    data.file("d/dump.rdb", "a Ruby debugger's dump");
    data.file("d/REDIS.md", "REDIS0011 is the magic");
    data.file("d/package.manifest", "file package.tar\n");
    data.file("e/WiredTiger", "notes about storage engines");
    data.file("f/CURRENT", "MANIFEST-000002\n");
    data.file("g/CURRENT", "1.2.3");
    data.file("g/MANIFEST-000002", "");
    data.file("h/data.mdb", "text of more than twenty-four bytes, without a magic number");
    data.file("h/LOCK", "");
    data.file("i/duck.txt", "hello my DUCK, which is a bird and not a database");
    data.file("j/segments_4", "text");
    data.file("j/x.tsm", "a time series in text");
    data.file("k/notes", &"x".repeat(600));
    data.file("k/notes-wal", "write-ahead list");
    data.file("app.db.old-wal", "nothing beside it");
    assert_eq!(found(&data, false), []);
    let listed = data.moorline(&["backup", "--json"]).json();
    assert_eq!(listed["soundness"], "sound");
}

#[test]
fn a_running_server_makes_copies_doubtful_unless_the_profile_accepts_them() {
    let volume = TestVolume::in_use().settle();
    volume.write("cache/db/CURRENT", "MANIFEST-000002\n");
    volume.write("cache/db/MANIFEST-000002", "");
    let mut server = volume.run_sh("echo up >&2; exec sleep 1000").start();
    server.until_log_has("up");
    let backup = |profile: &str| {
        volume.write("../profile.toml", profile);
        volume.moorline(["backup"]).not_pid_1().env("MOORLINE_PROFILE", volume.beside("profile.toml")).wait()
    };
    let name = "name = \"x\"\napps = \"none\"\n";
    let live = backup(name);
    assert_eq!(live.code, 29, "{live}");
    assert!(live.err.contains("cache/db is a LevelDB database in use (`run` runs the server)"), "{live}");
    for pattern in ["cache", "cache/**", "cache/db"] {
        let accepted = backup(&format!("{name}[[database]]\npath = \"{pattern}\"\nlive = \"accept\"\n"));
        assert_eq!(accepted.code, 0, "{accepted}");
        assert!(accepted.err.contains("which the profile accepts"), "{accepted}");
    }
    let other = backup(&format!("{name}[[database]]\npath = \"other\"\nlive = \"accept\"\n"));
    assert_eq!(other.code, 29, "{other}");
    let wrong = backup(&format!("{name}[[database]]\npath = \"other\"\nlive = \"yes\"\n"));
    assert_eq!(wrong.code, 2, "{wrong}");
    server.kill();
}

#[test]
fn the_pid_file_of_an_unseen_postgresql_is_a_doubt_except_before_a_start() {
    let data = Data::empty();
    cluster(&data, "");
    data.file("postmaster.pid", "4194303\n/var/lib/postgresql\n");
    let ran = data.moorline(&["backup", "--json"]);
    assert_eq!(ran.code, Some(29), "{ran:#?}");
    let reason = ran.json()["reasons"][0].as_str().expect("a reason").to_owned();
    assert!(reason.contains("the storage root is a PostgreSQL cluster in use (postmaster.pid exists"), "{reason}");
    // The console's page, the event and the metrics have the same reason.
    let events = fs::read_dir(data.path(".moorline/events")).expect("events").map(|one| one.expect("one").path());
    let events: String = events.map(|path| fs::read_to_string(path).expect("read")).collect();
    let event = events.lines().find(|line| line.contains("BackupUnverified")).expect("an event");
    assert!(event.contains("\"@l\":\"Warning\"") && event.contains("PostgreSQL"), "{event}");

    let volume = TestVolume::new();
    for (name, text) in [("pg/PG_VERSION", "15\n"), ("pg/global/pg_control", "x"), ("pg/base/1/PG_VERSION", "15\n")] {
        volume.write(name, text);
    }
    volume.write("pg/postmaster.pid", "1\n/data/pg\n");
    let end = volume.run(["/bin/true"]).without("MOORLINE_NO_BOOT_BACKUP").wait();
    assert!(end.err.contains("pg is a PostgreSQL cluster that no server uses"), "{end}");
    assert!(end.err.contains("backup complete: "), "{end}");
}

/// A server of the engine, ended with the test.
struct Server(Child);

impl Server {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts"))
    }

    fn stop(mut self) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.0.id() as i32), nix::sys::signal::Signal::SIGINT)
            .expect("runs");
        self.0.wait().expect("ends");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..3000 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("never: {what}");
}

/// The copy is doubtful in every place that shows it.
fn is_doubtful(data: &Data, words: &str) {
    let ran = data.moorline(&["backup", "--json"]);
    assert_eq!(ran.code, Some(29), "{ran:#?}");
    let taken = ran.json();
    let has_reason = |value: &Value| {
        value["soundness"] == "doubtful" && value["reasons"].to_string().contains(words) && value["verified"] == false
    };
    assert!(has_reason(&taken), "{taken}");
    let file = taken["file"].as_str().expect("a path");
    let listed = data.moorline(&["list", "--json"]).json();
    assert!(has_reason(&listed["backups"][0]), "{listed}");
    assert!(has_reason(&data.moorline(&["inspect", "--json", file]).json()));
    let verified = data.moorline(&["verify", "--json", file]);
    assert_eq!(verified.code, Some(29), "{verified:#?}");
    assert!(has_reason(&verified.json()["backups"][0]) && verified.stderr.contains(words), "{verified:#?}");
    assert!(data.moorline(&["inspect", file]).succeeds().contains(words));
}

/// A sound copy, restored on a new volume.
fn restored(data: &Data) -> Data {
    let backup = data.backup();
    let copy = Data::empty();
    fs::set_permissions(copy.root(), fs::Permissions::from_mode(0o755)).expect("changed");
    let key = format!("--secret-key={}", data.key());
    let backup = format!("--backup={}", argument(&backup));
    let ran: Ran = copy.moorline(&["restore", "-y", "--enable-apps", &key, &backup]);
    ran.succeeds();
    copy
}

/// The newest PostgreSQL of Debian.
fn postgres(program: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed by scripts/test");
    let newest = versions.map(|version| version.expect("a version").path()).max().expect("a version");
    newest.join("bin").join(program)
}

/// As PostgreSQL's user, because it refuses root.
fn as_postgres(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program).args(arguments);
    command.current_dir("/").env("LC_ALL", "C");
    command
}

fn start_postgres(data: &Data) -> Server {
    let pg = data.path("pg");
    let sockets = format!("unix_socket_directories={}", pg.display());
    let options = ["-D", argument(&pg), "-c", "listen_addresses=", "-c", &sockets];
    let server = Server::start(&mut as_postgres(&postgres("postgres"), &options));
    let ready = || as_postgres(&postgres("pg_isready"), &["-q", "-h", argument(&pg)]).status().expect("runs").success();
    until("PostgreSQL is up", ready);
    server
}

#[test]
fn a_live_postgresql_is_doubtful_everywhere_and_a_stopped_one_starts_from_its_copy() {
    let data = Data::empty();
    fs::set_permissions(data.root(), fs::Permissions::from_mode(0o777)).expect("changed");
    let pg = data.path("pg");
    let init = as_postgres(&postgres("initdb"), &["-A", "trust", "-N", "-D", argument(&pg)]).output().expect("runs");
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    let server = start_postgres(&data);
    is_doubtful(&data, "pg is a PostgreSQL cluster in use");
    server.stop();
    let copy = restored(&data);
    start_postgres(&copy).stop();
}

#[test]
fn a_live_redis_is_doubtful_everywhere_and_a_stopped_one_starts_from_its_copy() {
    let data = Data::empty();
    fs::create_dir(data.path("redis")).expect("made");
    let start = |data: &Data| {
        let folder = data.path("redis");
        let socket = folder.join("socket");
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--appendonly", "yes", "--unixsocket", argument(&socket)]);
        let server = Server::start(command.args(["--dir", argument(&folder)]));
        let ask = move |words: &[&str]| {
            let asked = Command::new("redis-cli").args(["-s", argument(&socket)]).args(words).output().expect("runs");
            String::from_utf8_lossy(&asked.stdout).trim().to_owned()
        };
        until("Redis is up", || ask(&["ping"]) == "PONG");
        (server, ask)
    };
    let (server, ask) = start(&data);
    assert_eq!(ask(&["set", "a", "1"]), "OK");
    assert_eq!(ask(&["save"]), "OK");
    is_doubtful(&data, "redis/appendonlydir is a Redis database in use");
    is_doubtful(&data, "redis/dump.rdb is a Redis database in use");
    server.stop();
    let copy = restored(&data);
    let (server, ask) = start(&copy);
    assert_eq!(ask(&["get", "a"]), "1");
    server.stop();
}

#[test]
fn locks_show_whether_embedded_databases_are_in_use() {
    const SCRIPT: &str = "import sys, lmdb, plyvel, duckdb
d = sys.argv[1]
a, b = lmdb.open(d + '/lmdb'), lmdb.open(d + '/one.lmdb', subdir=False)
for e in a, b:
    with e.begin(write=True) as t: t.put(b'a', b'b')
l = plyvel.DB(d + '/level', create_if_missing=True)
l.put(b'a', b'b')
k = duckdb.connect(d + '/x.duckdb')
k.execute('create table t(a int)')
k.execute('checkpoint')
print('up', flush=True)
sys.stdin.read()";
    let data = Data::empty();
    let python = std::env::var_os("MOORLINE_TEST_PYTHON").expect("scripts/test sets it");
    let mut command = Command::new(python);
    let mut child = command
        .args(["-c", SCRIPT, argument(data.root())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("reads");
    let all = [("LevelDB", "level"), ("LMDB", "lmdb/data.mdb"), ("LMDB", "one.lmdb"), ("DuckDB", "x.duckdb")];
    let all = all.map(|(engine, path)| (engine.to_owned(), path.to_owned()));
    let (live, stopped) = (found(&data, true), found(&data, false));
    drop(child.stdin.take());
    child.wait().expect("ends");
    assert_eq!((live.as_slice(), stopped.as_slice()), (&all[..], &[][..]));
    assert_eq!((found(&data, true).as_slice(), found(&data, false).as_slice()), (&[][..], &all[..]));
}

#[test]
fn a_lock_of_flock_shows_that_bbolt_is_in_use() {
    let data = Data::empty();
    bytes(&data, "raft.db", &page(8, 4, 0xED0C_DAED, 2));
    let file = File::open(data.path("raft.db")).expect("opens");
    let lock = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusive).expect("locks");
    is_doubtful(&data, "raft.db is a bbolt database in use (a process holds a lock on raft.db)");
    drop(lock);
    assert_eq!(data.moorline(&["backup", "--json"]).json()["soundness"], "sound");
}

//! Database servers of Debian, each with a writer that keeps a sum.

use std::{
    ffi::OsStr,
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::{Pid, User},
};
use tempfile::TempDir;

use crate::support::{KEY, Running, Start, TestVolume};

/// Accounts, and what is in each at first.
const ACCOUNTS: u32 = 2000;
const EACH: u32 = 1000;

/// How to make, start, fill, write to and check one kind of server. Lines of shell have `$R` (the storage root), `$P` (the
/// port) and `$S` (a folder for its socket).
pub struct Engine {
    pub profile: &'static str,
    pub user: &'static str,
    /// Makes a data directory, as the user.
    prepare: &'static str,
    server: &'static [&'static str],
    /// More arguments of the server.
    more: &'static [&'static str],
    /// Ends with 0 when the server answers.
    ready: &'static str,
    fill: &'static str,
    writer: &'static str,
    /// Prints the sum, and nothing else, if all is right.
    sum: &'static str,
    check: &'static str,
    /// Ends with 0 if the apps are off: the settings say so, and what they would do is not done.
    silent: &'static str,
    /// Ends with 0 once the apps have acted; empty for an engine that has none.
    pub acts: &'static str,
    /// Whether moorline is process 1 of a namespace; otherwise a backup can see the server's processes.
    pub is_pid_1: bool,
}

pub const POSTGRESQL: Engine = Engine {
    profile: "postgresql",
    user: "postgres",
    prepare: "/usr/lib/postgresql/15/bin/initdb -D $R/pgdata -A trust --no-sync",
    server: &[
        "/usr/lib/postgresql/15/bin/postgres",
        "-D",
        "$R/pgdata",
        "-p",
        "$P",
        "-c",
        "unix_socket_directories=$S",
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "max_wal_size=64MB",
        "-c",
        "archive_mode=on",
        "-c",
        "archive_command=touch $S/archived",
    ],
    more: &[],
    ready: "psql -U postgres -c 'SELECT 1'",
    fill: "psql -U postgres -c 'CREATE TABLE account (id int PRIMARY KEY, v bigint)' -c \"INSERT INTO account SELECT n, $EACH FROM \
           generate_series(1, $ACCOUNTS) n\" -c CHECKPOINT",
    writer: "printf '\\\\set x random(1,%s)\\n\\\\set y random(1,%s)\\nBEGIN; UPDATE account SET v=v-1 WHERE id=:x; UPDATE account SET \
             v=v+1 WHERE id=:y; COMMIT;\\n' $ACCOUNTS $ACCOUNTS > $S/w.sql; pgbench -U postgres -n -c 2 -T 3600 -f $S/w.sql postgres",
    sum: "psql -U postgres -Atc 'SELECT sum(v) FROM account'",
    check: "/usr/lib/postgresql/15/bin/pg_amcheck -U postgres --install-missing --heapallindexed postgres",
    silent: "test \"$(psql -U postgres -Atc 'SHOW archive_mode' -c 'SHOW max_logical_replication_workers' | tr '\\n' ' ')\" = 'off 0 ' && \
             psql -U postgres -c 'SELECT pg_switch_wal()' && sleep 1 && test ! -e $S/archived",
    acts: "psql -U postgres -c 'SELECT pg_switch_wal()'; test -e $S/archived",
    is_pid_1: true,
};

pub const MARIADB: Engine = Engine {
    profile: "mariadb",
    user: "mysql",
    prepare: "mariadb-install-db --no-defaults --datadir=$R/mysql --auth-root-socket-user=mysql --skip-test-db",
    server: &[
        "/usr/sbin/mariadbd",
        "--no-defaults",
        "--datadir=$R/mysql",
        "--socket=$S/mysqld.sock",
        "--port=$P",
        "--bind-address=127.0.0.1",
        "--event-scheduler=ON",
        "--pid-file=$R/mysql/x.pid",
        "--innodb-log-file-size=8M",
    ],
    more: &[],
    ready: "mariadb -S $S/mysqld.sock -u root -e 'SELECT 1'",
    fill: "mariadb -S $S/mysqld.sock -u root -e \"CREATE DATABASE bank; CREATE TABLE bank.account (id int PRIMARY KEY, v bigint) ENGINE=InnoDB; USE bank; INSERT \
           INTO account SELECT seq, $EACH FROM seq_1_to_$ACCOUNTS; CREATE TABLE tick (n int) ENGINE=InnoDB; CREATE EVENT tick ON SCHEDULE EVERY 1 SECOND DO INSERT \
           INTO tick VALUES (1)\"",
    writer: "awk -v n=$ACCOUNTS 'BEGIN { srand(); for (;;) { x = int(rand()*n)+1; y = int(rand()*n)+1; print \"START TRANSACTION; UPDATE \
             bank.account SET v=v-1 WHERE id=\" x \"; UPDATE bank.account SET v=v+1 WHERE id=\" y \"; COMMIT;\" } }' | mariadb -S $S/mysqld.sock -u root",
    sum: "mariadb -S $S/mysqld.sock -u root -NBe 'SELECT SUM(v) FROM bank.account'",
    check: "mariadb-check -S $S/mysqld.sock -u root --all-databases --extended",
    silent: "count() { mariadb -S $S/mysqld.sock -u root -NBe 'SELECT COUNT(*) FROM bank.tick'; }; first=$(count) && sleep 2.5 && test \
             \"$(count)\" = \"$first\"",
    acts: "count() { mariadb -S $S/mysqld.sock -u root -NBe 'SELECT COUNT(*) FROM bank.tick'; }; first=$(count) && sleep 2.5 && test \
           \"$(count)\" -gt \"$first\"",
    is_pid_1: true,
};

pub const REDIS: Engine = Engine {
    profile: "redis",
    user: "redis",
    prepare: "true",
    server: &["/usr/bin/redis-server", "--dir", "$R", "--port", "$P", "--bind", "127.0.0.1", "--daemonize", "no"],
    more: &["--save", "1 1"],
    ready: "redis-cli -p $P -e ping",
    fill: "i=1; while [ $i -le $ACCOUNTS ]; do echo \"SET a:$i $EACH\"; i=$((i+1)); done | redis-cli -p $P -e",
    writer: "awk -v n=$ACCOUNTS 'BEGIN { srand(); for (;;) { print \"EVAL \\\"redis.call(\\047decr\\047,KEYS[1]) \
             redis.call(\\047incr\\047,KEYS[2])\\\" 2 a:\" int(rand()*n)+1 \" a:\" int(rand()*n)+1 } }' | redis-cli -p $P",
    sum: "redis-cli -p $P -e EVAL \"local s=0; for i=1,$ACCOUNTS do s=s+redis.call('get','a:'..i) end return s\" 0",
    check: "test \"$(redis-cli -p $P -e dbsize)\" = $ACCOUNTS",
    silent: "true",
    acts: "",
    is_pid_1: true,
};

pub const REDIS_AOF: Engine =
    Engine { more: &["--appendonly", "yes", "--auto-aof-rewrite-min-size", "100kb"], ..REDIS };

/// A bank in a database of LMDB or DuckDB, with the profile of the same name in docs/servers.md.
pub fn bank(engine: &'static str) -> Engine {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/it/capture/bank.py");
    let python = std::env::var("MOORLINE_TEST_PYTHON").expect("scripts/set-up.sh sets MOORLINE_TEST_PYTHON");
    let leak = |text: String| &*text.leak();
    let ask = |command: &str| leak(format!("{python} {script} {command} $P"));
    let folder = if engine == "lmdb" { "$R/env" } else { "$R/db" };
    Engine {
        profile: documented(engine),
        user: "root",
        prepare: "true",
        server: vec![leak(python.clone()), script, engine, folder, "$P"].leak(),
        more: &[],
        ready: ask("ping"),
        fill: ask("fill"),
        writer: ask("write"),
        sum: ask("sum"),
        check: "true",
        silent: "true",
        acts: "",
        is_pid_1: engine == "lmdb",
    }
}

/// The path of the profile with this name in docs/servers.md.
fn documented(name: &str) -> &'static str {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/servers.md")).expect("reads");
    let is_other = |line: &str| !line.is_empty() && !line.starts_with("    ");
    let is_start = |line: &&str| line.split_whitespace().eq(["name", "=", &format!("{name:?}")]);
    let lines: Vec<&str> = text.lines().skip_while(|line| !is_start(line)).take_while(|line| !is_other(line)).collect();
    assert!(!lines.is_empty(), "docs/servers.md has no profile {name}");
    let path = format!("{}/documented-{name}-{}.toml", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    std::fs::write(&path, lines.join("\n")).expect("writes");
    path.leak()
}

/// User and group ids of a name.
pub fn user_of(name: &str) -> (u32, u32) {
    let user = User::from_name(name).expect("reads").expect("the user exists");
    (user.uid.as_raw(), user.gid.as_raw())
}

impl Engine {
    /// With the profile of this name in docs/servers.md.
    pub fn with(self, profile: &str) -> Self {
        Self { profile: documented(profile), ..self }
    }

    /// An empty volume that belongs to the engine's user.
    pub fn volume(&self) -> TestVolume {
        let volume = TestVolume::new();
        let (uid, gid) = user_of(self.user);
        chown(volume.root(), Some(uid), Some(gid)).expect("changes the owner");
        volume
    }

    pub fn prepare(&self, volume: &TestVolume) {
        let place = Place { root: volume.root(), port: 5432, socket: PathBuf::new() };
        place.shell(self.prepare, Some(self.user));
    }

    pub fn moorline<'a, S: AsRef<OsStr>>(
        &self,
        volume: &'a TestVolume,
        words: impl IntoIterator<Item = S>,
    ) -> Start<'a> {
        let start = volume.moorline(words).env("MOORLINE_PROFILE", self.profile).env("MOORLINE_SECRETKEY", KEY);
        start.env("TMPDIR", "/tmp")
    }
}

/// Where a server keeps its data and listens.
struct Place {
    root: PathBuf,
    port: u16,
    socket: PathBuf,
}

impl Place {
    fn fill_in(&self, text: &str) -> String {
        let values = [
            ("$R", self.root.display().to_string()),
            ("$P", self.port.to_string()),
            ("$S", self.socket.display().to_string()),
            ("$ACCOUNTS", ACCOUNTS.to_string()),
            ("$EACH", EACH.to_string()),
        ];
        // The longest names first: `$S` begins no other.
        values.iter().rev().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    /// The variables that clients and capture commands find the server by.
    fn variables(&self) -> Vec<(&'static str, String)> {
        let port = self.port.to_string();
        vec![
            ("PGHOST", "127.0.0.1".to_owned()),
            ("PGPORT", port.clone()),
            ("MYSQL_UNIX_PORT", self.socket.join("mysqld.sock").display().to_string()),
            ("REDIS_PORT", port),
        ]
    }

    fn command(&self, line: &str, user: Option<&str>) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &self.fill_in(line)]).envs(self.variables()).stdin(Stdio::null()).current_dir("/");
        if let Some((uid, gid)) = user.map(user_of) {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// What a line of shell prints, if it ends with 0.
    fn answer(&self, line: &str, user: Option<&str>) -> Result<String, String> {
        let done = self.command(line, user).output().expect("starts");
        let [out, err] = [&done.stdout, &done.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        if done.status.success() {
            Ok(out.trim().to_owned())
        } else {
            Err(format!("{line}: {}: {out}{err}", done.status))
        }
    }

    fn shell(&self, line: &str, user: Option<&str>) -> String {
        self.answer(line, user).unwrap_or_else(|why| panic!("{why}"))
    }
}

/// A server that runs under moorline.
pub struct Server<'a> {
    engine: &'a Engine,
    volume: &'a TestVolume,
    place: Place,
    running: Running,
    _socket: TempDir,
}

impl<'a> Server<'a> {
    pub fn start(engine: &'a Engine, volume: &'a TestVolume) -> Self {
        // Short, because the path of a socket is.
        let socket = tempfile::tempdir_in("/tmp").expect("a folder");
        let (uid, gid) = user_of(engine.user);
        chown(socket.path(), Some(uid), Some(gid)).expect("changes the owner");
        let port = TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("an address").port();
        let place = Place { root: volume.root(), port, socket: socket.path().to_owned() };
        let words: Vec<String> = engine.server.iter().chain(engine.more).map(|word| place.fill_in(word)).collect();
        let start = engine.moorline(volume, ["run", "--supervise", "--user", engine.user, "--"]).args(words);
        let start = place.variables().into_iter().fold(start, |start, (name, value)| start.env(name, value));
        let mut running = if engine.is_pid_1 { start } else { start.not_pid_1() }.start();
        running.until("the server answers", || place.answer(engine.ready, None).is_ok());
        Self { engine, volume, place, running, _socket: socket }
    }

    /// moorline beside the server, with the variables that the capture command needs.
    pub fn moorline<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Start<'a> {
        let start = self.engine.moorline(self.volume, words);
        self.place.variables().into_iter().fold(start, |start, (name, value)| start.env(name, value))
    }

    pub fn fill(&self) {
        self.place.shell(self.engine.fill, None);
        assert_eq!(self.place.shell(self.engine.sum, None), (ACCOUNTS * EACH).to_string());
    }

    /// Moves amounts between accounts until it is dropped.
    pub fn writer(&self) -> Writer {
        let mut command = self.place.command(self.engine.writer, None);
        Writer(command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().expect("starts"))
    }

    /// What a line of shell prints, as the engine's user.
    pub fn shell(&self, line: &str) -> String {
        self.place.shell(line, Some(self.engine.user))
    }

    pub fn check(&self) {
        self.place.shell(self.engine.check, None);
        assert_eq!(self.place.shell(self.engine.sum, None), (ACCOUNTS * EACH).to_string());
    }

    /// The apps are off.
    pub fn is_silent(&self) {
        self.place.shell(self.engine.silent, None);
    }

    /// The apps are on, and act.
    pub fn acts(&mut self) {
        let (place, acts) = (&self.place, self.engine.acts);
        self.running.until("the apps act", || place.answer(acts, None).is_ok());
    }

    pub fn stop(mut self) {
        // Postgres waits for clients at SIGTERM; all have gone.
        self.running.signal(Signal::SIGTERM);
        self.running.wait();
    }
}

/// A writer beside a server.
pub struct Writer(Child);

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

//! The locks of SQLite: ours stay while we need them, and those of others are seen.

use std::{
    fs,
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use engine::store::{
    files::Files,
    sqlite::{in_use, open_all},
};

use super::support::{Volume, sum, write_image};

/// Another process with the database open: it does what it is told, line by line.
struct Server(Child);

impl Server {
    fn on(database: &Path) -> Self {
        let script = "import sqlite3, sys\n\
            db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)\n\
            for line in sys.stdin:\n\
            \x20 try: db.execute(line).fetchall(); print('.', end='', flush=True)\n\
            \x20 except sqlite3.OperationalError: print('!', end='', flush=True)";
        let mut server = Command::new("python3");
        server.args(["-c", script]).arg(database).stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(server.spawn().expect("python3 runs"))
    }

    /// Whether SQLite let it.
    fn can(&mut self, sql: &str) -> bool {
        writeln!(self.0.stdin.as_mut().expect("a pipe"), "{sql}").expect("writes");
        let mut answer = [0];
        self.0.stdout.as_mut().expect("a pipe").read_exact(&mut answer).expect("answers");
        answer == *b"."
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

/// Were a lock of ours lost, a writer in WAL mode could begin its log anew under our transaction, and the last to close
/// the database could take the log away.
#[test]
fn reading_files_between_databases_drops_no_lock() {
    let volume = Volume::new();
    drop(volume.bank("bank.db", "wal", 4096, 2000));
    fs::create_dir(volume.path("d")).expect("a folder");
    fs::hard_link(volume.path("bank.db"), volume.path("d/second name.db")).expect("links");
    for name in ["a", "bank.db.txt", "bank.db-wal.txt", "z"] {
        volume.write(name, "an ordinary file");
    }
    let mut server = Server::on(&volume.path("bank.db"));
    assert!(server.can("UPDATE account SET money = 1000"), "so that -wal and -shm are there");
    let survey = volume.survey();
    let mut snapshots = volume.snapshots();
    let mut files = Files::new(&volume.root(), &survey, true).expect("opens");
    for found in survey.files.iter().filter(|found| found.target.is_none()) {
        if found.path.to_string() != "d" {
            files.capture(found).expect("reads").expect("is there");
        }
    }
    assert!(server.can("UPDATE account SET money = money - id, pad = randomblob(300)"));
    assert!(server.can("PRAGMA wal_checkpoint(TRUNCATE)"));
    assert!(server.can("UPDATE account SET money = 0, pad = randomblob(300)"));
    assert!(!server.can("PRAGMA journal_mode = DELETE"), "our lock keeps the log in its place");
    let image = volume.out("image.db");
    write_image(&mut snapshots[0], &image);
    assert_eq!(sum(&image), 2_000_000);
    // What all this is about, and that this test would notice it:
    drop(fs::File::open(volume.path("bank.db")).expect("opens"));
    assert!(server.can("PRAGMA journal_mode = DELETE"), "closing any descriptor has dropped our lock");
}

#[test]
fn a_database_that_another_process_has_open_is_in_use() {
    let volume = Volume::new();
    drop(volume.bank("wal.db", "wal", 4096, 10));
    drop(volume.bank("old.db", "delete", 4096, 10));
    let (wal, old) = (volume.path("wal.db"), volume.path("old.db"));
    let used = |path: &Path| in_use(path).expect("looks");
    assert_eq!((used(&wal), used(&old)), (None, None));

    let mut server = Server::on(&wal);
    let holder = format!("process {} (python3", server.0.id());
    assert!(server.can("SELECT count(*) FROM account"));
    assert!(used(&wal).is_some_and(|who| who.starts_with(&holder)), "{:?}", used(&wal));
    drop(server);
    assert_eq!(used(&wal), None);

    let mut server = Server::on(&old);
    for (sql, shows) in
        [("BEGIN", false), ("SELECT id FROM account", true), ("COMMIT", false), ("BEGIN IMMEDIATE", true)]
    {
        assert!(server.can(sql));
        assert_eq!(used(&old).is_some(), shows, "{sql}");
    }
    drop(server);
    assert_eq!(used(&old), None);
}

#[test]
fn looking_for_locks_changes_nothing() {
    let volume = Volume::new();
    drop(volume.bank("x.db", "wal", 4096, 10));
    let before = fs::read(volume.path("x.db")).expect("reads");
    assert_eq!(in_use(&volume.path("x.db")).expect("looks"), None);
    assert_eq!(in_use(&volume.path("not there.db")).expect("looks"), None);
    assert_eq!(fs::read(volume.path("x.db")).expect("reads"), before);
    assert_eq!(super::support::names(&volume.root()), [volume.path("x.db")]);
}

#[test]
fn a_lock_that_is_let_go_in_time_is_waited_for() {
    let volume = Volume::new();
    drop(volume.bank("x.db", "delete", 4096, 10));
    let mut server = Server::on(&volume.path("x.db"));
    let databases = volume.survey().databases;
    assert!(server.can("BEGIN EXCLUSIVE"));
    std::thread::scope(|scope| {
        let open = scope.spawn(|| open_all(&volume.root(), &databases, &volume.spool(), Duration::from_secs(30)));
        assert!(server.can("COMMIT"));
        assert_eq!(open.join().expect("ends").expect("opens").len(), 1);
    });
}

#[test]
fn no_database_is_held_while_another_is_waited_for() {
    let volume = Volume::new();
    for name in ["a.db", "b.db"] {
        drop(volume.bank(name, "delete", 4096, 10));
    }
    let databases = volume.survey().databases;
    let (mut first, mut second) = (Server::on(&volume.path("a.db")), Server::on(&volume.path("b.db")));
    assert!(second.can("BEGIN EXCLUSIVE"));
    std::thread::scope(|scope| {
        let open = scope
            .spawn(|| open_all(&volume.root(), &databases, &volume.spool(), Duration::from_secs(30)).expect("opens"));
        // Its writer gets through again and again, however often we try.
        for _ in 0..20 {
            while !first.can("UPDATE account SET money = money + 1") {}
        }
        assert!(second.can("COMMIT"));
        assert_eq!(open.join().expect("ends").len(), 2);
    });
}

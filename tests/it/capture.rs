//! Capture commands: live copies by the engine's own program, from real servers under load, with the built-in profiles.

mod engines;
mod forms;
mod guard;

use std::{env, fs, os::unix::fs::PermissionsExt, path::Path};

use nix::sys::signal::Signal;

use self::engines::{Engine, Server, user_of};
use super::support::{KEY, Running, TestVolume};
use engine::store::{Scratch, Spool};
use process::User;
use seqbac_header::RelPath;

/// Backups of each engine. `MOORLINE_TEST_CAPTURES=20` takes more.
fn rounds() -> u32 {
    env::var("MOORLINE_TEST_CAPTURES").map_or(2, |text| text.parse().expect("a number"))
}

/// Backups beside a writer, each restored over the one before: the server starts, and what it holds is right. Then the
/// same with the server stopped, and at last a copy whose apps stay off.
fn every_backup_is_right(engine: &Engine) {
    let (volume, copy) = (engine.volume(), engine.volume());
    engine.prepare(&volume);
    let server = Server::start(engine, &volume);
    server.fill();
    let status = server.moorline(["status"]).not_pid_1().wait();
    assert!(engine.profile == "redis" || status.out.contains("the capture "), "{status}");
    let writer = server.writer();
    let mut backups: Vec<_> = (0..rounds()).map(|number| volume.beside(&format!("{number}.seqbac"))).collect();
    for backup in &backups {
        let end = server.moorline(["backup", "--json", "-o"]).args([backup]).not_pid_1().wait();
        assert!(end.code == 0 && end.out.contains("\"soundness\": \"sound\""), "{end}");
    }
    drop(writer);
    server.stop();
    backups.push(volume.beside("stopped.seqbac"));
    let end = engine.moorline(&volume, ["backup", "--json", "-o"]).args([&backups[backups.len() - 1]]).wait();
    assert!(end.code == 0 && end.out.contains("\"soundness\": \"sound\""), "{end}");
    for backup in &backups {
        restore(engine, &copy, backup, &["--enable-apps"]);
        let server = Server::start(engine, &copy);
        server.check();
        server.stop();
    }
    restore(engine, &copy, &backups[0], &[]);
    let server = Server::start(engine, &copy);
    server.check();
    server.is_silent();
    server.stop();
    if engine.acts.is_empty() {
        return;
    }
    let end = engine.moorline(&copy, ["apps", "release", "--all"]).wait();
    assert_eq!(end.code, 0, "{end}");
    let mut server = Server::start(engine, &copy);
    server.acts();
    server.stop();
}

fn restore(engine: &Engine, copy: &TestVolume, backup: &Path, options: &[&str]) {
    let arguments = ["restore", "-y", "--secret-key", KEY, "--backup"].map(std::ffi::OsStr::new);
    let end = engine.moorline(copy, arguments).args([backup]).args(options).wait();
    assert_eq!(end.code, 0, "{end}");
}

#[test]
fn postgresql_under_load() {
    every_backup_is_right(&engines::POSTGRESQL);
}

#[test]
fn mariadb_under_load() {
    every_backup_is_right(&engines::MARIADB);
}

#[test]
fn redis_under_load() {
    every_backup_is_right(&engines::REDIS);
}

#[test]
fn redis_with_an_append_only_file_under_load() {
    every_backup_is_right(&engines::REDIS_AOF);
}

#[test]
fn a_tablespace_of_postgresql_is_in_the_backup() {
    let engine = &engines::POSTGRESQL;
    let volume = engine.volume();
    engine.prepare(&volume);
    let server = Server::start(engine, &volume);
    let space = |folder: &str, name: &str| {
        server.shell(&format!(
            "mkdir -p {folder} && psql -U postgres -c \"CREATE TABLESPACE {name} LOCATION '{folder}'\""
        ));
    };
    space("$R/tablespaces/one", "one");
    server.shell("psql -U postgres -c 'CREATE TABLE t TABLESPACE one AS SELECT generate_series(1, 1000) n'");
    let backup = volume.beside("b.seqbac");
    let end = server.moorline(["backup", "--json", "-o"]).args([&backup]).not_pid_1().wait();
    assert!(end.code == 0 && end.out.contains("\"soundness\": \"sound\""), "{end}");
    let elsewhere = tempfile::tempdir_in("/tmp").expect("a folder");
    let (uid, gid) = user_of("postgres");
    std::os::unix::fs::chown(elsewhere.path(), Some(uid), Some(gid)).expect("changes the owner");
    space(&elsewhere.path().join("two").display().to_string(), "two");
    let end = server.moorline(["backup", "-o"]).args([volume.beside("c.seqbac")]).not_pid_1().wait();
    assert!(end.code != 0 && end.err.contains("is not in"), "{end}");
    server.shell("psql -U postgres -c 'DROP TABLE t'");
    server.stop();
    restore(engine, &volume, &backup, &["--enable-apps"]);
    let server = Server::start(engine, &volume);
    assert_eq!(server.shell("psql -U postgres -Atc 'SELECT sum(n) FROM t'"), "500500");
    let links = server.shell("readlink $R/pgdata/pg_tblspc/*");
    assert_eq!(links, volume.path("tablespaces/one").display().to_string());
    server.stop();
}

#[test]
fn postgresql_as_a_tar_under_load() {
    every_backup_is_right(&engines::POSTGRESQL.with("postgresql-tar"));
}

#[test]
fn mariadb_as_a_stream_that_a_restore_prepares_under_load() {
    every_backup_is_right(&engines::MARIADB.with("mariadb-stream"));
}

#[test]
fn lmdb_under_load() {
    every_backup_is_right(&engines::bank("lmdb"));
}

#[test]
fn duckdb_under_load() {
    every_backup_is_right(&engines::bank("duckdb"));
}

/// A profile whose capture is this line of shell, which replaces `db/`.
fn profile(volume: &TestVolume, line: &str, more: &str) -> String {
    profile_with(volume, &dir(line, more))
}

/// A capture that fills a folder with this line of shell, which replaces `db/`.
fn dir(line: &str, more: &str) -> String {
    format!("replaces = \"db/\"\ndir = [\"/bin/sh\", \"-ec\", '''{line}''', \"sh\", \"{{dir}}\"]\n{more}")
}

/// A profile with this capture, which has these keys besides its name.
fn profile_with(volume: &TestVolume, capture: &str) -> String {
    let text = format!(
        "name = \"x\"\napps = \"none\"\n[state]\nfiles = [\"db/\", \"other\"]\nexclude = [\"db/pid\"]\n[[capture]]\nname = \"x\"\n\
         {capture}\n"
    );
    let path = volume.beside("x.toml");
    fs::write(&path, text).expect("writes");
    path.display().to_string()
}

/// A server on the volume that holds its lock.
fn serving(volume: &TestVolume) -> Running {
    let mut server = volume.run(["/bin/sleep", "60"]).env("MOORLINE_SECRETKEY", KEY).start();
    let lock = volume.path(".moorline/lock");
    server
        .until("the server holds the lock", || fs::read_to_string(&lock).unwrap_or_default().contains("\"server\":\""));
    server
}

/// A volume with a server, and how a backup with this capture ends.
fn backup_with(capture: &str, check: impl Fn(&TestVolume, super::support::End)) {
    let volume = TestVolume::new();
    volume.write("db/live", "live");
    volume.write("db/pid", "1");
    volume.write("other", "other");
    volume.write("y/live", "live");
    backup_on(volume, capture, check);
}

fn backup_on(volume: TestVolume, capture: &str, check: impl Fn(&TestVolume, super::support::End)) {
    let profile = profile_with(&volume, capture);
    let mut server = serving(&volume);
    let backup = volume.moorline(["backup", "--profile", &profile, "-o"]).args([volume.beside("b.seqbac")]);
    let backup = backup.env("MOORLINE_SECRETKEY", KEY).env("TMPDIR", "/tmp").not_pid_1();
    let end = backup.wait();
    server.signal(Signal::SIGKILL);
    server.wait();
    check(&volume, end);
}

fn backup_of(line: &str, more: &str, check: impl Fn(&TestVolume, super::support::End)) {
    backup_with(&dir(line, more), check);
}

fn is_refused(line: &str, more: &str, why: &str) {
    is_refused_with(&dir(line, more), why);
}

fn is_refused_with(capture: &str, why: &str) {
    backup_with(capture, |volume, end| {
        assert!(end.code != 0 && end.err.contains(why), "{capture}: {end}");
        assert!(!volume.beside("b.seqbac").exists(), "{capture}");
        let names =
            fs::read_dir(volume.beside("")).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        assert!(!names.into_iter().any(|name| name.to_string_lossy().starts_with("moorline-capture")), "{capture}");
    });
}

#[test]
fn a_command_that_fails_or_writes_no_whole_copy_leaves_no_backup() {
    is_refused("echo half > $1/a; echo no route to server >&2; exit 3", "", "exit code 3: no route to server");
    is_refused("true", "", "wrote nothing");
    is_refused("echo x > $1/a", "contains = [\"PG_VERSION\"]", "did not write PG_VERSION");
    is_refused("sleep 30", "timeout = \"1s\"", "took longer than 1s");
    is_refused("kill -9 $$", "", "signal 9");
    is_refused("echo x > $1/a", "as = \"nobody-of-this-name\"", "nobody-of-this-name");
}

#[test]
fn a_program_that_is_not_in_the_image_says_where_to_take_the_backup() {
    let line = "name = \"y\"\nreplaces = \"y/\"\ndir = [\"/no/such/program\", \"{dir}\"]";
    is_refused("echo x > $1/a", &format!("[[capture]]\n{line}"), "/no/such/program is not in this image");
}

#[test]
fn a_copied_file_keeps_the_mode_of_the_live_one() {
    backup_of("umask 0; echo copied > $1/live; echo new > $1/new", "", |volume, end| {
        assert_eq!(end.code, 0, "{end}");
        let copy = TestVolume::new();
        let profile = volume.beside("x.toml").display().to_string();
        let backup = volume.beside("b.seqbac").display().to_string();
        let end =
            copy.moorline(["restore", "-y", "--profile", &profile, "--secret-key", KEY, "--backup", &backup]).wait();
        assert_eq!(end.code, 0, "{end}");
        let mode = |volume: &TestVolume, name| {
            fs::metadata(volume.path(name)).expect("is there").permissions().mode() & 0o7777
        };
        assert_eq!(copy.read("db/live"), "copied\n");
        assert_eq!((mode(&copy, "db/live"), mode(&copy, "db/new")), (mode(volume, "db/live"), 0o666));
    });
}

#[test]
fn the_copy_takes_the_place_of_the_live_files_and_of_what_the_profile_excludes() {
    let line = "mkdir $1/empty; echo copied > $1/copy; chmod 640 $1/copy; ln -s copy $1/link; env > $1/env";
    backup_of(line, "env = { OF_PROFILE = \"1\" }", |volume, end| {
        assert_eq!(end.code, 0, "{end}");
        let copy = TestVolume::new();
        copy.write("db/pid", "stale");
        copy.write("db/old", "stale");
        let profile = volume.beside("x.toml").display().to_string();
        let backup = volume.beside("b.seqbac").display().to_string();
        let words = ["restore", "-y", "--profile", &profile, "--secret-key", KEY, "--backup", &backup];
        let end = copy.moorline(words).wait();
        assert_eq!(end.code, 0, "{end}");
        let mut names: Vec<_> = fs::read_dir(copy.path("db"))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["copy", "empty", "env", "link"]);
        assert_eq!(
            (copy.read("db/copy"), copy.read("db/link"), copy.read("other")),
            ("copied\n".into(), "copied\n".into(), "other".into())
        );
        let variables = copy.read("db/env");
        assert!(
            variables.contains("OF_PROFILE=1") && !variables.contains("MOORLINE_") && !variables.contains(KEY),
            "{variables}"
        );
        let end = copy.moorline(["rollback", "-y"]).wait();
        assert_eq!((end.code, copy.read("db/old"), copy.read("db/pid")), (0, "stale".into(), "stale".into()), "{end}");
    });
}

/// A profile may know several layouts, and a server may keep several databases.
#[test]
fn each_capture_runs_whose_folder_exists() {
    let [second, absent] = ["db2", "db3"].map(|folder| {
        format!("[[capture]]\nname = \"{folder}\"\nreplaces = \"{folder}/\"\ndir = [\"/bin/sh\", \"-c\", \"echo {folder} > $1/copy\", \"sh\", \"{{dir}}\"]\n")
    });
    let volume = TestVolume::new();
    for name in ["db/live", "db2/live", "other"] {
        volume.write(name, "live");
    }
    let profile = profile(&volume, "echo db > $1/copy", &(second + &absent));
    let mut server = serving(&volume);
    let backup = volume.beside("b.seqbac");
    let command = |words: &[&str]| {
        volume.moorline(words).env("MOORLINE_PROFILE", &profile).env("MOORLINE_SECRETKEY", KEY).not_pid_1()
    };
    let status = command(&["profile", "check", &profile]).wait();
    let end = command(&["backup", "-o"]).args([&backup]).wait();
    server.signal(Signal::SIGKILL);
    server.wait();
    assert_eq!((status.code, end.code), (0, 0), "{status}{end}");
    for (name, text) in [("db/copy", "db\n"), ("db2/copy", "db2\n"), ("other", "live")] {
        let end = command(&["extract"]).args([&backup]).args(["-o", "-", name]).wait();
        assert_eq!((end.code, end.out.as_str()), (0, text), "{name}: {end}");
    }
    let end = command(&["inspect"]).args([&backup]).wait();
    assert!(!end.out.contains("live") && !end.out.contains("db3"), "{end}");
}

/// The server's user may write to the folder as long as it exists.
#[test]
fn a_copy_that_is_changed_behind_the_command_is_refused() {
    let place = tempfile::tempdir_in("/tmp").expect("a folder");
    let spool = Spool::of(vec![place.path().to_owned()]);
    let (one, user) = (RelPath::new("one").expect("a path"), User::find("0:0").expect("root"));
    let mut scratch = Scratch::create(&spool, "x-", &user).expect("creates");
    let path = scratch.path().join("one");
    fs::write(&path, "whole").expect("writes");
    let size = scratch.entries().expect("lists")[0].size;
    scratch.open(&one, size).expect("opens");
    fs::write(&path, "half").expect("writes");
    assert!(scratch.open(&one, size).expect_err("is shorter").message().contains("was changed"));
    fs::remove_file(&path).expect("removes");
    std::os::unix::fs::symlink("/etc/hosts", &path).expect("a link");
    scratch.open(&one, size).expect_err("is a link");
    let folder = scratch.path().to_owned();
    // What a killed process leaves behind.
    std::mem::forget(scratch);
    Scratch::clear(&spool, "x-");
    assert!(!folder.exists());
}

#[test]
fn while_no_server_runs_the_files_themselves_are_backed_up() {
    let volume = TestVolume::new();
    volume.write("db/live", "live");
    let profile = profile(&volume, "exit 1", "");
    let backup = volume.beside("b.seqbac");
    let end = volume.moorline(["backup", "--profile", &profile, "-o"]).args([&backup]).wait();
    assert_eq!(end.code, 0, "{end}");
    let end = volume.moorline(["extract"]).args([&backup]).args(["-o", "-", "db/live"]).wait();
    assert_eq!((end.code, end.out.as_str()), (0, "live"), "{end}");
}

#[test]
fn a_profile_that_others_can_change_runs_nothing_as_root() {
    let volume = TestVolume::new();
    volume.write("db/live", "live");
    let profile = profile(&volume, "id > /tmp/never", "as = \"root\"");
    std::os::unix::fs::chown(&profile, Some(user_of("nobody").0), None).expect("changes the owner");
    let mut server = serving(&volume);
    let backup = volume.moorline(["backup", "--profile", &profile]).env("MOORLINE_SECRETKEY", KEY);
    let end = backup.not_pid_1().wait();
    server.signal(Signal::SIGKILL);
    server.wait();
    assert!(end.code == 2 && end.err.contains("would run as root"), "{end}");
}

/// The first backups of a volume, while its first start is still at work.
#[test]
fn backups_that_begin_at_once_on_a_new_volume_belong_to_one_instance() {
    for _ in 0..5 {
        let volume = TestVolume::in_use();
        let files: Vec<_> = (0..4).map(|number| volume.beside(&format!("{number}.seqbac"))).collect();
        let start =
            |file| volume.moorline(["backup", "-o"]).args([file]).env("MOORLINE_SECRETKEY", KEY).not_pid_1().start();
        let running: Vec<_> = files.iter().map(start).collect();
        for backup in running {
            let end = backup.wait();
            let is_second = end.code == 75 && end.err.contains("another backup");
            assert!(end.code == 0 || is_second, "{end}");
        }
    }
}

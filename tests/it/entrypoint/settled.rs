//! A settled volume: nothing to recover, run, switch off, create or back up. A start on it calls no engine, and whatever
//! is left to be done is still noticed.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::support::{End, MOORLINE, Start, TestVolume, quoted};

fn settled() -> TestVolume {
    TestVolume::in_use().settle()
}

/// A start without settings, whose calls of the engine are recorded.
fn plain<'a>(volume: &'a TestVolume, flags: &[&str], line: &str) -> Start<'a> {
    let server = ["--", "/bin/sh", "-c", line];
    volume
        .moorline(["run"].iter().chain(flags).chain(&server))
        .program(volume.recorded())
        .without("MOORLINE_SEQINIT")
        .without("MOORLINE_NO_BOOT_BACKUP")
}

/// The log without the line that says what starts.
fn after_the_first_line(end: &End) -> &str {
    end.err.split_once('\n').map_or("", |(_, rest)| rest)
}

fn backups(volume: &TestVolume) -> usize {
    let entries = fs::read_dir(volume.path("Backups")).expect("a folder").flatten();
    entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')).count()
}

#[test]
fn a_start_with_nothing_to_do_calls_no_engine() {
    for flags in [&[][..], &["--supervise"]] {
        let volume = settled();
        let end = plain(&volume, flags, "echo up; exit 9").wait();
        assert_eq!((end.code, end.out.as_str(), after_the_first_line(&end)), (9, "up\n", ""), "{end}");
        assert_eq!(volume.engine_calls(), [""; 0], "{flags:?}");
    }
}

#[test]
fn a_start_of_a_volume_without_state_calls_no_engine() {
    let volume = TestVolume::new();
    for _ in 0..2 {
        let end = plain(&volume, &[], "echo up").wait();
        assert_eq!((end.code, end.out.as_str()), (0, "up\n"), "{end}");
        assert_eq!(volume.engine_calls(), [""; 0], "{end}");
    }
}

#[test]
fn the_record_of_calls_sees_the_first_start() {
    let volume = TestVolume::in_use();
    let end = plain(&volume, &[], "echo up").wait();
    assert_eq!((end.code, end.out.as_str()), (0, "up\n"), "{end}");
    assert_eq!(volume.engine_calls(), ["backup --if-older 24h --scheduled"], "{end}");
}

type Prepare = fn(&TestVolume);
type IsDone = fn(&TestVolume, &End) -> bool;

#[test]
fn whatever_is_to_be_done_is_done() {
    let to_do: [(&str, Prepare, IsDone); 9] = [
        ("a script", |volume| volume.script("a.sh", "echo ran"), |_, end| end.err.contains("ran")),
        (
            "a script at every start",
            |volume| volume.write("Init/start.d/a.sh", "echo ran"),
            |_, end| end.err.contains("ran"),
        ),
        ("a script that is being written", |volume| volume.script("a.sh~", "echo"), |_, end| end.err.contains("a.sh~")),
        (
            "another key",
            |volume| volume.write(".moorline/secret.key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"),
            |_, end| end.code == 12 && end.err.contains("fingerprint"),
        ),
        (
            "no backup",
            |volume| fs::remove_dir_all(volume.path("Backups")).expect("removes"),
            |volume, _| backups(volume) == 1,
        ),
        (
            "a damaged ledger",
            |volume| volume.write(".moorline/init.json", "{\"scripts\":["),
            |_, end| end.err.contains("damaged"),
        ),
        (
            "a damaged instance",
            |volume| {
                let text = volume.read(".moorline/instance.json");
                volume.write(".moorline/instance.json", text.trim_end().trim_end_matches('}'));
            },
            |_, end| end.err.contains("damaged"),
        ),
        (
            "a backup that nobody lists",
            |volume| {
                for entry in fs::read_dir(volume.path("Backups")).expect("a folder") {
                    let entry = entry.expect("an entry");
                    let hidden = format!(".{}", entry.file_name().to_string_lossy());
                    fs::rename(entry.path(), entry.path().with_file_name(hidden)).expect("renames");
                }
            },
            |volume, _| backups(volume) == 1,
        ),
        (
            "no folder for restores",
            |volume| fs::remove_dir(volume.path(".moorline/restores")).expect("removes"),
            |volume, _| volume.has(".moorline/restores"),
        ),
    ];
    for (what, make, is_done) in to_do {
        let volume = settled();
        make(&volume);
        let end = plain(&volume, &[], "echo up").wait();
        assert!(is_done(&volume, &end), "{what}: {end}");
    }
}

#[test]
fn what_is_done_with_is_not_done_again() {
    let volume = settled();
    volume.script("a.sh", "echo once");
    assert!(plain(&volume, &[], "true").wait().err.contains("once"));
    volume.engine_calls();
    let again = plain(&volume, &[], "echo up").wait();
    assert_eq!((again.out.as_str(), after_the_first_line(&again)), ("up\n", ""), "{again}");
    assert_eq!(volume.engine_calls(), [""; 0], "{again}");
    // Renamed back it runs again.
    fs::rename(volume.path("Init/a.sh.done"), volume.path("Init/a.sh")).expect("renames");
    assert!(plain(&volume, &[], "true").wait().err.contains("once"));
}

#[test]
fn a_closed_stdin_is_not_taken_for_a_file_of_ours() {
    let volume = settled();
    let line = "exec 0<&- 1>&- 2>&-\nexec \"$@\"";
    let look = "ls -l /proc/self/fd > \"$MOORLINE_STORAGE/found\"; echo to stdout; echo to stderr >&2";
    let arguments = ["-c", line, "sh", MOORLINE, "run", "--", "/bin/sh", "-c", look];
    let mut start = Command::new("/bin/sh");
    let start = start.args(arguments).env_clear().env("MOORLINE_STORAGE", volume.root()).env("PATH", "/usr/bin:/bin");
    assert!(start.status().expect("starts").success());
    assert!(!volume.read(".moorline/lock").contains("to std"), "{}", volume.read(".moorline/lock"));
}

#[test]
fn a_long_ledger_is_read_to_its_end() {
    let volume = settled();
    for number in 0..9 {
        volume.script(format!("{number}.sh"), "echo ran");
    }
    plain(&volume, &[], "true").wait();
    assert!(volume.read(".moorline/init.json").len() > 2048);
    volume.engine_calls();
    let end = plain(&volume, &[], "true").wait();
    assert!(!end.err.contains("ran"), "{end}");
    assert_eq!(volume.engine_calls(), [""; 0], "{end}");
    // The server starts: no script can fail on an empty volume any more, the last one neither.
    let ledger = volume.read(".moorline/init.json");
    let at = ledger.rfind("\"empty_volume\": false").expect("is there");
    volume.write(".moorline/init.json", ledger[..at].to_owned() + &ledger[at..].replacen("false", "true", 1));
    plain(&volume, &[], "true").wait();
    assert!(!volume.read(".moorline/init.json").contains("\"empty_volume\": true"), "{ledger}");
}

#[test]
fn a_volume_in_use_is_refused() {
    let volume = settled();
    let mut first = plain(&volume, &[], "touch \"$MOORLINE_STORAGE/started\"; exec sleep 30").start();
    first.until("it holds the volume", || volume.has("started"));
    let second = plain(&volume, &[], "echo up").env("MOORLINE_LOCK_WAIT", "0").wait();
    assert_eq!(second.code, 75, "{second}");
    assert!(second.err.contains("`run`"), "{second}");
    assert_eq!(volume.engine_calls(), [""; 0], "{second}");
    first.kill();
}

#[test]
fn nothing_is_waited_for_that_only_looks_like_a_backup() {
    let volume = settled();
    let backup = fs::read_dir(volume.path("Backups")).expect("a folder").next().expect("one").expect("an entry").path();
    fs::rename(&backup, volume.beside("backup")).expect("renames");
    let made = Command::new("mkfifo").arg(&backup).status().expect("starts");
    assert!(made.success());
    let end = plain(&volume, &[], "echo up").wait();
    assert_eq!((end.code, end.out.as_str()), (0, "up\n"), "{end}");
    assert_eq!(volume.engine_calls(), ["backup --if-older 24h --scheduled"], "{end}");
}

#[test]
fn the_program_is_the_first_on_the_path_that_can_be_executed() {
    for flags in [&[][..], &["--supervise"]] {
        let volume = settled();
        let (first, second) = (volume.beside("first"), volume.beside("second"));
        fs::create_dir_all(first.join("server")).expect("a folder");
        fs::create_dir(&second).expect("a folder");
        std::os::unix::fs::symlink("/bin/echo", second.join("server")).expect("a link");
        let path = format!("{}:/{}:{}:/bin", first.display(), "x".repeat(200), second.display());
        let server = ["--", "server", "up"];
        let start = volume.moorline(["run"].iter().chain(flags).chain(&server)).without("PATH").env("PATH", path);
        let end = start.without("MOORLINE_SEQINIT").without("MOORLINE_NO_BOOT_BACKUP").wait();
        assert_eq!((end.code, end.out.as_str()), (0, "up\n"), "{end}");
    }
}

#[test]
fn no_backup_is_taken_where_none_is_wanted_or_there_is_nothing_to_back_up() {
    let empty = TestVolume::new().settle();
    assert!(!empty.has("Backups") || backups(&empty) == 0);
    plain(&empty, &[], "true").wait();
    assert_eq!(backups(&empty), 0);
    empty.write("state", "");
    plain(&empty, &[], "true").wait();
    assert_eq!(backups(&empty), 1, "a first backup is due");
    let unwanted = settled();
    fs::remove_dir_all(unwanted.path("Backups")).expect("removes");
    fs::create_dir(unwanted.path("Backups")).expect("a folder");
    plain(&unwanted, &[], "true").env("MOORLINE_NO_BOOT_BACKUP", "1").wait();
    assert_eq!(unwanted.engine_calls(), [""; 0]);
    assert_eq!(backups(&unwanted), 0);
}

#[test]
fn a_profile_of_the_image_that_makes_no_sense_is_said_at_every_start() {
    let volume = settled();
    let image = format!(
        "cd {}; mkdir etc; mount -t tmpfs none etc; cp -a /etc/. etc; mkdir -p etc/moorline; \
         echo 'garbage = [' > etc/moorline/profile.toml; mount --bind etc /etc",
        quoted(volume.beside(""))
    );
    let end = plain(&volume, &[], "echo up").before(&image).wait();
    assert_eq!((end.code, end.out.as_str()), (2, ""), "{end}");
    assert!(end.err.contains("/etc/moorline/profile.toml"), "{end}");
}

/// The holder of the lock is written for a second, and meanwhile somebody asks for the end.
#[test]
fn a_stop_while_it_looks_keeps_the_server_from_being_started() {
    for flags in [&[][..], &["--supervise"]] {
        let volume = settled();
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64"]);
        command.args(["-e", "inject=pwrite64:delay_enter=1000000:when=1"]);
        command.args(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "setsid", MOORLINE, "run"]);
        command.args(flags).args(["--", "/bin/sh", "-c", "touch \"$MOORLINE_STORAGE/started\"; exec sleep 1"]);
        command.env_clear().env("MOORLINE_STORAGE", volume.root()).env("PATH", "/usr/sbin:/usr/bin:/bin");
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("strace starts");
        let pid_1 = loop {
            if let Some(found) = holder_of(&volume) {
                break found;
            }
            assert!(child.try_wait().expect("can be waited for").is_none(), "it has ended");
            thread::sleep(Duration::from_millis(5));
        };
        kill(pid_1, Signal::SIGTERM).expect("is there");
        let end = child.wait_with_output().expect("ends");
        let said = String::from_utf8_lossy(&end.stderr);
        assert!(said.contains("stopped by SIGTERM before the server started"), "{flags:?}: {said}");
        assert!(!volume.has("started"), "{flags:?}: {said}");
    }
}

/// moorline as it has the lock open: called by its id out here.
fn holder_of(volume: &TestVolume) -> Option<Pid> {
    let lock = volume.path(".moorline/lock");
    let processes = fs::read_dir("/proc").expect("is mounted").flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find_map(|pid: i32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
        let has = open.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|target| target == lock);
        has.then(|| Pid::from_raw(pid))
    })
}

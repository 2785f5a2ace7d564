//! A start with nothing to do is over before Rust's runtime is there, and nobody can tell but by the time it takes.

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

use crate::support::{MOORLINE, Start, TestVolume, quoted};

fn settled() -> TestVolume {
    TestVolume::fresh().settle()
}

/// A start with no setting, on a volume that may be settled.
fn plain<'a>(volume: &'a TestVolume, flags: &[&str], line: &str) -> Start<'a> {
    let server = ["--", "/bin/sh", "-c", line];
    volume
        .moorline(["run"].iter().chain(flags).chain(&server))
        .without("MOORLINE_SEQINIT")
        .without("MOORLINE_NO_BOOT_BACKUP")
}

/// What a server can see of how it was started.
const LOOK: &str = "echo $0 $#; env | grep -v '^\\(_\\|PWD\\|SHLVL\\|MOORLINE_LOCK_WAIT\\)=' | sort; pwd; ls /proc/self/fd; \
                    grep -E '^(Sig[BIP]|Shd|NSpid|PPid)' /proc/self/status; cat /proc/$$/stat | cut -d' ' -f5,6,7; exit 9";

#[test]
fn the_server_finds_what_it_finds_after_the_long_way() {
    for flags in [&[][..], &["--supervise"]] {
        let volume = settled();
        let quiet = plain(&volume, flags, LOOK).wait();
        assert!(volume.was_quiet(), "{quiet}");
        let long = plain(&volume, flags, LOOK).env("MOORLINE_LOCK_WAIT", "30").wait();
        assert!(!volume.was_quiet(), "{long}");
        assert_eq!((quiet.code, &quiet.out, &quiet.err), (long.code, &long.out, &long.err), "{quiet} {long}");
        assert_eq!(quiet.code, 9, "{quiet}");
    }
}

type Prepare = fn(&TestVolume);

#[test]
fn whatever_is_to_be_done_is_done() {
    let to_do: [(&str, Prepare, &str); 9] = [
        ("a script", |volume| volume.script("a.sh", "echo ran"), "ran"),
        ("a script at every start", |volume| volume.write("Init/start.d/a.sh", "echo ran"), "ran"),
        ("a script that is being written", |volume| volume.script("a.sh~", "echo"), "a.sh~"),
        (
            "another key",
            |volume| volume.write(".moorline/secret.key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"),
            "fingerprint",
        ),
        ("no backup", |volume| fs::remove_dir_all(volume.path("Backups")).expect("removes"), "backup"),
        ("a damaged ledger", |volume| volume.write(".moorline/init.json", "{\"scripts\":["), "damaged"),
        (
            "a damaged instance",
            |volume| {
                let text = volume.read(".moorline/instance.json");
                volume.write(".moorline/instance.json", text.trim_end().trim_end_matches('}'));
            },
            "damaged",
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
            "",
        ),
        ("no folder for restores", |volume| fs::remove_dir(volume.path(".moorline/restores")).expect("removes"), ""),
    ];
    for (what, make, said) in to_do {
        let volume = settled();
        make(&volume);
        let end = plain(&volume, &[], "echo up").wait();
        assert!(!volume.was_quiet(), "{what}: {end}");
        assert!(format!("{}{}", end.out, end.err).contains(said), "{what}: {end}");
    }
}

#[test]
fn what_is_done_with_is_no_reason_for_the_long_way() {
    let volume = settled();
    volume.script("a.sh", "echo once");
    assert!(plain(&volume, &[], "true").wait().err.contains("once"));
    let again = plain(&volume, &[], "echo up").wait();
    assert_eq!((again.out.as_str(), volume.was_quiet()), ("up\n", true), "{again}");
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
    assert!(!volume.was_quiet());
    assert!(!volume.read(".moorline/lock").contains("to std"), "{}", volume.read(".moorline/lock"));
}

#[test]
fn a_long_ledger_is_read_to_its_end() {
    let volume = settled();
    for number in 0..9 {
        volume.script(format!("{number}.sh"), "true");
    }
    plain(&volume, &[], "true").wait();
    assert!(volume.read(".moorline/init.json").len() > 2048);
    plain(&volume, &[], "true").wait();
    assert!(volume.was_quiet());
    let unfinished =
        volume.read(".moorline/init.json").replacen("\"empty_volume\": false", "\"empty_volume\": true", 9);
    let at = unfinished.rfind("\"empty_volume\": true").expect("is there");
    let last = unfinished[..at].replace("\"empty_volume\": true", "\"empty_volume\": false") + &unfinished[at..];
    volume.write(".moorline/init.json", last);
    plain(&volume, &[], "true").wait();
    assert!(!volume.was_quiet(), "the last entry is not done with");
}

#[test]
fn a_key_that_was_written_again_is_checked_once() {
    let volume = settled();
    let key = volume.read(".moorline/secret.key");
    volume.write(".moorline/secret.key", key);
    assert!(!{
        plain(&volume, &[], "true").wait();
        volume.was_quiet()
    });
    plain(&volume, &[], "true").wait();
    assert!(volume.was_quiet(), "it is known to be the one that was recorded");
}

#[test]
fn a_volume_in_use_is_refused_as_ever() {
    let volume = settled();
    let mut first = plain(&volume, &[], "exec sleep 30").start();
    first.until("it holds the volume", || volume.was_quiet());
    let second = plain(&volume, &[], "echo up").env("MOORLINE_LOCK_WAIT", "0").wait();
    assert_eq!(second.code, 75, "{second}");
    assert!(second.err.contains("`run`"), "{second}");
    first.kill();
}

#[test]
fn a_program_that_is_not_there_is_explained_as_ever() {
    for flags in [&[][..], &["--supervise"]] {
        for program in ["/nowhere/at-all", "nowhere-on-the-path", "/etc", "/etc/passwd"] {
            let volume = settled();
            let arguments: Vec<&str> = ["run"].iter().chain(flags).chain(&["--", program]).copied().collect();
            let start = || volume.moorline(&arguments).without("MOORLINE_SEQINIT").without("MOORLINE_NO_BOOT_BACKUP");
            let quiet = start().wait();
            let long = start().env("MOORLINE_LOCK_WAIT", "30").wait();
            assert_eq!((quiet.code, &quiet.err), (long.code, &long.err), "{quiet} {long}");
        }
    }
}

#[test]
fn nothing_is_waited_for_that_only_looks_like_a_backup() {
    let volume = settled();
    let backup = fs::read_dir(volume.path("Backups")).expect("a folder").next().expect("one").expect("an entry").path();
    fs::rename(&backup, volume.beside("backup")).expect("renames");
    let made = Command::new("mkfifo").arg(&backup).status().expect("starts");
    assert!(made.success());
    let end = plain(&volume, &[], "echo up").wait();
    assert_eq!((end.code, volume.was_quiet()), (0, false), "{end}");
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
        assert_eq!((end.code, end.out.as_str(), volume.was_quiet()), (0, "up\n", true), "{end}");
    }
}

#[test]
fn no_backup_is_needed_where_none_is_wanted_or_there_is_nothing_to_back_up() {
    let empty = TestVolume::new().settle();
    assert!(!empty.has("Backups") || fs::read_dir(empty.path("Backups")).expect("a folder").next().is_none());
    plain(&empty, &[], "true").wait();
    assert!(empty.was_quiet());
    empty.write("state", "");
    plain(&empty, &[], "true").wait();
    assert!(!empty.was_quiet(), "a first backup is due");
    let unwanted = settled();
    fs::remove_dir_all(unwanted.path("Backups")).expect("removes");
    fs::create_dir(unwanted.path("Backups")).expect("a folder");
    plain(&unwanted, &[], "true").env("MOORLINE_NO_BOOT_BACKUP", "1").wait();
    assert!(unwanted.was_quiet());
    assert!(fs::read_dir(unwanted.path("Backups")).expect("a folder").next().is_none());
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
        assert!(said.contains("stopped by SIGTERM before the server was started"), "{flags:?}: {said}");
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

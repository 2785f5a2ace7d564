//! The console: beside a server that is looked after, or the server itself.

use std::{fs, thread, time::Duration};

use nix::{
    libc,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{children, status};
use crate::support::{KEY, Running, Start, TestVolume};

/// Lines of shell that are the server of a container with a console.
fn server<'a>(volume: &'a TestVolume, flags: &[&str], line: &str) -> Start<'a> {
    super::supervise_sh(volume, flags, line).without("MOORLINE_NO_SERVE")
}

const WAITS: &str = "trap 'exit 7' TERM; touch \"$MOORLINE_STORAGE/up\"; while :; do sleep 0.02; done";

fn command_line(pid: i32) -> String {
    String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()).replace('\0', " ")
}

fn is_console(pid: i32) -> bool {
    command_line(pid).contains(" serve --as companion")
}

/// The console that PID 1 has started.
fn console_of(container: &mut Running) -> Pid {
    let pid_1 = container.pid();
    let mut found = None;
    container.until("a console is there", || {
        found = children(pid_1).into_iter().map(|(id, ..)| id).find(|id| is_console(*id));
        found.is_some()
    });
    Pid::from_raw(found.expect("was found"))
}

/// Fields of `/proc/PID/stat` behind the name, the state being the first.
fn stat(pid: Pid) -> Vec<i64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("is there");
    let (_, rest) = text.rsplit_once(')').expect("has a name");
    rest.split_whitespace().skip(1).map(|number| number.parse().unwrap_or_default()).collect()
}

#[test]
fn it_stands_beside_the_server_and_behind_it() {
    let volume = TestVolume::in_use();
    {
        let mut container = server(&volume, &[], WAITS).start();
        let console = console_of(&mut container);
        container.until("the server is up", || volume.has("up"));
        let pid_1 = container.pid();
        let of_pid_1 = stat(pid_1);
        container.until("it has been executed", || status(console, "Name") != "moorline");
        let own = stat(console);
        // Its group and session; and how nice it is.
        assert_eq!((own[1], own[2]), (i64::from(console.as_raw()), i64::from(console.as_raw())));
        assert_eq!(own[15], of_pid_1[15] + 10);
        // SAFETY: takes numbers.
        let idle = unsafe { libc::syscall(libc::SYS_ioprio_get, 1, console.as_raw()) };
        assert_eq!(idle, 3 << 13);
        let open: Vec<_> = fs::read_dir(format!("/proc/{console}/fd"))
            .expect("is there")
            .filter_map(|entry| fs::read_link(entry.expect("an entry").path()).ok())
            .collect();
        assert!(!open.contains(&volume.path(".moorline/lock")), "it has the volume's lock: {open:?}");
        let link = |path: &str| fs::read_link(format!("/proc/{console}/{path}")).expect("a link");
        assert_eq!((link("cwd"), link("fd/0")), ("/".into(), "/dev/null".into()));
        assert_eq!(link("fd/1"), link("fd/2"));
        assert_eq!(
            (status(console, "SigBlk").as_str(), status(console, "Uid")),
            ("0000000000000000", status(pid_1, "Uid"))
        );
        container.signal(Signal::SIGTERM);
        let end = container.wait();
        assert_eq!(end.code, 7, "{end}");
        fs::remove_file(volume.path("up")).expect("is there");
    }
}

#[test]
fn it_is_given_the_key_and_the_server_is_not() {
    let volume = TestVolume::in_use();
    let line = "env > \"$MOORLINE_STORAGE/env\"; touch \"$MOORLINE_STORAGE/up\"; exec sleep 100";
    let mut container = server(&volume, &["--user", "1234:0"], line)
        .env("MOORLINE_SECRETKEY", KEY)
        .env("MOORLINE_ACCEPT_NEW_KEY", "1")
        .env("MOORLINE_FIRSTRUN_ADMINPASSWORD", "known to the console")
        .before("chmod 0777 \"$MOORLINE_STORAGE\"")
        .start();
    let console = console_of(&mut container);
    let environment = || fs::read_to_string(format!("/proc/{console}/environ")).unwrap_or_default();
    container.until("it has its environment", || environment().contains(KEY));
    assert!(environment().contains("known to the console") && !environment().contains("MOORLINE_LOCK_FD"));
    let of_server = volume.read("env");
    assert!(!of_server.contains(KEY) && !of_server.contains("known to the console"), "{of_server}");
    assert_eq!(status(console, "Uid"), "0\t0\t0\t0", "whoever the server is, it is moorline");
    container.signal(Signal::SIGTERM);
    assert_eq!(container.wait().code, 143);
}

#[test]
fn its_end_is_not_the_servers_and_it_comes_back() {
    let volume = TestVolume::in_use();
    let mut container = server(&volume, &[], WAITS).start();
    let first = console_of(&mut container);
    kill(first, Signal::SIGKILL).expect("is there");
    container.until_log_has("the console exited with code 137; restarting it in 2s");
    let second = console_of(&mut container);
    assert_ne!(first, second);
    container.signal(Signal::SIGTERM);
    let end = container.wait();
    assert_eq!((end.code, end.err.matches("the console exited").count()), (7, 1), "{end}");
    assert!(!std::path::Path::new(&format!("/proc/{second}")).exists());
}

#[test]
fn pid_1_stays_small_and_asleep_beside_it_also_after_a_crash() {
    let volume = TestVolume::in_use();
    let mut container = server(&volume, &[], WAITS).start();
    let pid_1 = container.pid();
    for _ in 0..2 {
        let console = console_of(&mut container);
        container.until("it sleeps", || status(pid_1, "State").starts_with('S'));
        let switches = status(pid_1, "voluntary_ctxt_switches");
        thread::sleep(Duration::from_millis(1500));
        assert_eq!(status(pid_1, "voluntary_ctxt_switches"), switches);
        let resident: u64 = status(pid_1, "VmRSS").trim_end_matches(" kB").parse().expect("a number");
        // What a start touches is given back. An unoptimised program is about three times the size of a release.
        assert!(resident < 1536, "{resident} kB");
        kill(console, Signal::SIGKILL).expect("is there");
        container.until("it is gone", || !is_console(console.as_raw()));
    }
    container.signal(Signal::SIGTERM);
    assert_eq!(container.wait().code, 7);
}

#[test]
fn it_stops_while_the_server_still_does() {
    let volume = TestVolume::in_use();
    // The server ends when it sees that the console has.
    let line = "trap 'while grep -qs companio[n] /proc/[0-9]*/cmdline; do sleep 0.02; done; exit 7' TERM; \
                touch \"$MOORLINE_STORAGE/up\"; while :; do sleep 0.02; done";
    let mut container = server(&volume, &["--stop-grace", "50s"], line).start();
    container.until("it is up", || volume.has("up"));
    console_of(&mut container);
    container.signal(Signal::SIGTERM);
    let end = container.wait();
    assert_eq!((end.code, end.err.contains("killed")), (7, false), "{end}");
}

#[test]
fn it_ends_with_a_server_that_ends_by_itself() {
    let volume = TestVolume::in_use();
    let line = "while ! grep -qs companio[n] /proc/[0-9]*/cmdline; do sleep 0.02; done; exit 9";
    let end = server(&volume, &[], line).wait();
    assert_eq!((end.code, end.err.contains("left running")), (9, false), "{end}");
    assert!(!end.err.contains("killed") && !end.err.contains("the console exited"), "{end}");
}

#[test]
fn a_server_that_ends_at_once_has_none_and_nobody_has_one_who_wants_none() {
    let volume = TestVolume::in_use();
    let end = server(&volume, &[], "exit 3").env("MOORLINE_LOG", "info").wait();
    assert_eq!((end.code, end.err.contains("console")), (3, false), "{end}");
    let starts = [
        server(&volume, &["--no-serve"], WAITS),
        server(&volume, &[], WAITS).env("MOORLINE_NO_SERVE", "1"),
        server(&volume, &[], WAITS).env("MOORLINE_NO_SERVE", "true"),
    ];
    for start in starts {
        let mut container = start.start();
        container.until("it is up", || volume.has("up"));
        let pid_1 = container.pid();
        thread::sleep(Duration::from_millis(1500));
        let there = children(pid_1);
        assert_eq!(there.len(), 1, "{there:?}");
        container.signal(Signal::SIGTERM);
        assert_eq!(container.wait().code, 7);
        fs::remove_file(volume.path("up")).expect("is there");
    }
}

#[test]
fn where_moorline_replaces_itself_nothing_runs_beside_the_server() {
    let volume = TestVolume::in_use();
    let mut container =
        volume.run_sh("touch \"$MOORLINE_STORAGE/up\"; exec sleep 100").without("MOORLINE_NO_SERVE").start();
    container.until("it is up", || volume.has("up"));
    let pid_1 = container.pid();
    thread::sleep(Duration::from_millis(1500));
    assert!(children(pid_1).is_empty());
    container.kill();
}

#[test]
fn without_a_command_it_is_the_server_itself() {
    for flags in [&["run"][..], &["run", "--supervise"], &["run", "--user", "1234"]] {
        let volume = TestVolume::in_use();
        volume.script("a.sh", "true");
        let start = volume.moorline(flags).without("MOORLINE_NO_SERVE").env("MOORLINE_SECRETKEY", KEY);
        let mut container = start.env("MOORLINE_ACCEPT_NEW_KEY", "1").start();
        let pid_1 = container.pid();
        let supervised = flags.contains(&"--supervise");
        let mut server = pid_1;
        container.until("the console is the server", || {
            if supervised {
                server = children(pid_1).first().map_or(pid_1, |(id, ..)| Pid::from_raw(*id));
            }
            command_line(server.as_raw()).contains(" serve --as server")
        });
        assert!(volume.has("Init/a.sh.done"), "the scripts come first");
        let handles_term = || u64::from_str_radix(&status(server, "SigCgt"), 16).is_ok_and(|mask| mask & 0x4000 != 0);
        container.until("it handles SIGTERM", handles_term);
        let environment = fs::read_to_string(format!("/proc/{server}/environ")).expect("readable");
        assert!(environment.contains(KEY) && !environment.contains("MOORLINE_LOCK_FD"));
        assert!(environment.contains("MOORLINE_INSTANCE="));
        assert_eq!(status(server, "Uid"), "0\t0\t0\t0");
        let second = volume.run(["/bin/true"]).env("MOORLINE_LOCK_WAIT", "0").wait();
        assert_eq!(second.code, 75, "it holds the volume: {second}");
        thread::sleep(Duration::from_millis(if supervised { 1500 } else { 0 }));
        assert_eq!(children(pid_1).len(), usize::from(supervised), "{:?}", children(pid_1));
        container.signal(Signal::SIGTERM);
        let end = container.wait();
        assert!([0, 143].contains(&end.code), "{end}");
    }
}

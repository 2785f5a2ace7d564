//! What the server is given: its signals, its group, its directory, its descriptors, its variables.

use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};

use crate::{
    supervise::{supervise, supervise_sh},
    support::{MOORLINE, TestVolume, quoted},
};

const SIGNALS: &str = "/bin/grep -E '^(SigBlk|SigIgn|ShdPnd|SigPnd)' /proc/self/status";

#[test]
fn mask_and_dispositions_are_those_that_moorline_was_given() {
    for parent in [
        "env --default-signal",
        "env --default-signal --ignore-signal=TTOU,INT,CHLD,HUP,PIPE --block-signal=TTIN,TERM,RTMIN+3",
        "env --default-signal=PIPE --ignore-signal=CHLD --block-signal=CHLD,TSTP",
    ] {
        let direct = Command::new("/bin/sh").args(["-c", &format!("exec {parent} {SIGNALS}")]).output().expect("runs");
        let direct = String::from_utf8(direct.stdout).expect("is text");
        assert_eq!(direct.lines().count(), 4, "{direct}");
        let volume = TestVolume::in_use();
        let server = ["grep", "-E", "^(SigBlk|SigIgn|ShdPnd|SigPnd)", "/proc/self/status"];
        for start in [supervise(&volume, &[], server), supervise(&volume, &["--signal-group"], server).not_pid_1()] {
            let end = start.before(&format!("exec {parent} \"$@\"")).wait();
            assert_eq!((end.code, &end.out), (0, &direct), "{parent}: {end}");
        }
    }
}

#[test]
fn the_server_leads_a_group_and_keeps_its_directory() {
    let volume = TestVolume::in_use();
    // moorline leaves the directory once the server is there, which the server may see happen.
    let look = "pwd; until [ \"$(readlink /proc/1/cwd)\" = / ]; do sleep 0.01; done; echo /; cat /proc/self/stat";
    let end = supervise(&volume, &[], ["/bin/sh", "-c", look]).before("cd /usr").wait();
    let lines: Vec<&str> = end.out.lines().collect();
    assert_eq!(lines[..2], ["/usr", "/"], "{end}");
    let fields: Vec<&str> = lines[2].split(' ').collect();
    // The shell executes its last command, or waits for it: its group is the shell's.
    assert!(fields[4] == fields[3] || fields[4] == fields[0], "{end}");
    assert_ne!(fields[4], "1", "{end}");
}

#[test]
fn a_server_that_signals_its_group_does_not_mean_moorline() {
    let volume = TestVolume::in_use();
    let end = supervise_sh(&volume, &["--stop-grace", "1s"], "trap 'exit 6' TERM; kill -TERM 0; sleep 100").wait();
    assert_eq!(end.code, 6, "{end}");
}

#[test]
fn a_program_is_found_and_explained_from_the_directory_that_it_was_named_in() {
    let volume = TestVolume::in_use();
    volume.write("here", "no program");
    let end = supervise(&volume, &[], ["./here"]).before("cd \"$MOORLINE_STORAGE\"").wait();
    assert_eq!((end.code, end.err.contains("./here has no execute permission")), (126, true), "{end}");
}

#[test]
fn the_server_gets_no_descriptor_but_the_lock_and_both_hold_it() {
    let volume = TestVolume::in_use();
    let open = volume.path("app.conf");
    let descriptors = (3..40).map(|number| format!("/proc/self/fd/{number}"));
    let end = supervise(&volume, &[], ["/bin/readlink".to_owned()].into_iter().chain(descriptors))
        .before(&format!("exec 7<{0} 9<{0}", quoted(open)))
        .wait();
    assert_eq!(end.out, format!("{}\n", volume.path(".moorline/lock").display()), "{end}");
}

#[test]
fn two_containers_on_one_volume_run_one_server() {
    let volume = TestVolume::in_use();
    let mut first = supervise_sh(&volume, &[], "touch \"$MOORLINE_STORAGE/up\"; exec sleep 100").start();
    first.until("it is up", || volume.has("up"));
    let second = supervise(&volume, &[], ["/bin/echo", "server"]).env("MOORLINE_LOCK_WAIT", "0").wait();
    assert_eq!((second.code, second.out.as_str()), (75, ""), "{second}");
    first.signal(Signal::SIGTERM);
    assert_eq!(first.wait().code, 143);
    let third = supervise(&volume, &[], ["/bin/echo", "server"]).env("MOORLINE_LOCK_WAIT", "0").wait();
    assert_eq!((third.code, third.out.as_str()), (0, "server\n"), "{third}");
}

#[test]
fn sockets_that_were_opened_for_moorline_are_handed_to_the_server_by_its_own_number() {
    let volume = TestVolume::in_use();
    volume.write("socket", "");
    let start = |listen_pid: &str| {
        supervise_sh(
            &volume,
            &[],
            "readlink /proc/$$/fd/3; echo $LISTEN_FDS $LISTEN_PID $$ $NOTIFY_SOCKET $LISTEN_PIDFDID",
        )
        .before(&format!("exec 3<{}", quoted(volume.path("socket"))))
        .env("LISTEN_FDS", "1")
        .env("LISTEN_PID", listen_pid)
        .env("LISTEN_PIDFDID", "5")
        .env("NOTIFY_SOCKET", "@x")
        .wait()
    };
    let end = start("1");
    let (socket, rest) = end.out.split_once('\n').expect("two lines");
    assert_eq!(Some(socket), volume.path("socket").to_str(), "{end}");
    let words: Vec<&str> = rest.split_whitespace().collect();
    assert_eq!((words[0], words[1], words[3], words.len()), ("1", words[2], "@x", 4), "{end}");
    // They are somebody else's.
    let end = start("777");
    assert!(!end.out.contains("/socket") && end.out.contains("1 777 "), "{end}");
}

#[test]
fn a_socket_that_the_server_closes_is_closed() {
    let volume = TestVolume::in_use();
    let fifo = volume.beside("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    // Whoever reads the pipe hears its end while the server runs on. More are promised than there are.
    let line = "exec 3>&-; touch \"$MOORLINE_STORAGE/closed\"; while [ ! -e \"$MOORLINE_STORAGE/read\" ]; do sleep 0.02; done; exit 4";
    let before = format!("(cat <{0}; touch \"$MOORLINE_STORAGE/read\") 3>&- & exec 3>{0}", quoted(fifo));
    let container = supervise_sh(&volume, &[], line).before(&before).not_pid_1();
    let container = container.before(&format!("{before}; export LISTEN_PID=$$")).env("LISTEN_FDS", "9");
    let end = container.wait();
    assert_eq!(end.code, 4, "{end}");
}

#[test]
fn secrets_and_inner_variables_do_not_reach_the_server() {
    let volume = TestVolume::in_use();
    let end = supervise(&volume, &[], ["/usr/bin/env"]).env("MOORLINE_SECRETKEY", crate::support::KEY).wait();
    assert!(end.out.contains("MOORLINE_STORAGE=") && !end.out.contains("SECRETKEY"), "{end}");
    assert!(!end.out.contains("MOORLINE_LOCK_FD") && !end.out.contains("MOORLINE_ARGS_FD"), "{end}");
}

#[test]
fn the_end_of_the_parent_is_a_signal_where_that_is_asked_for() {
    for supervise in ["0", "1"] {
        let volume = TestVolume::in_use();
        let server = "trap 'touch \"$MOORLINE_STORAGE/stopped\"; exit' USR2; touch \"$MOORLINE_STORAGE/up\"; while :; do sleep 0.02; done";
        let line = format!("{} run --parent-death-signal USR2 -- /bin/bash -c \"$0\" & wait", quoted(MOORLINE));
        let mut parent = Command::new("/bin/sh")
            .args(["-c", &line, server])
            .env("MOORLINE_STORAGE", volume.root())
            .env("MOORLINE_NO_BOOT_BACKUP", "1")
            .env("MOORLINE_SUPERVISE", supervise)
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let until = |name: &str| {
            let limit = std::time::Instant::now() + std::time::Duration::from_secs(30);
            while !volume.has(name) {
                assert!(std::time::Instant::now() < limit, "never: {name}");
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        };
        until("up");
        kill(nix::unistd::Pid::from_raw(parent.id() as i32), Signal::SIGKILL).expect("is there");
        parent.wait().expect("ends");
        until("stopped");
    }
}

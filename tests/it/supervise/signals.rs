//! Every signal that can be is sent on: as it is, rewritten, to the server or to its group.

use std::{
    os::unix::process::CommandExt,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use nix::{libc, sys::signal::Signal};

use crate::{
    supervise::{send, supervise_sh},
    support::{MOORLINE, Running, TestVolume},
};

/// Says each signal that it gets, by number; `$1` is what it says it with.
const HEARER: &str = r#"
for n in $(seq 1 64); do case $n in 9|17|19|32|33|4|5|6|7|8|11|31) ;; *) trap "echo $n >> '$MOORLINE_STORAGE/heard'" $n ;; esac; done
touch "$MOORLINE_STORAGE/up"
while :; do sleep 100 & wait $!; kill $!; done 2>/dev/null"#;

/// All but KILL and STOP, SIGCHLD, those of a fault, the three of a terminal, and 32 and 33, which no C library lets a
/// shell trap.
fn passed_on() -> Vec<i32> {
    (1..=64).filter(|n| ![9, 19, 17, 4, 5, 6, 7, 8, 11, 31, 20, 21, 22, 32, 33].contains(n)).collect()
}

fn hears(volume: &TestVolume, container: &mut Running, sent: i32, heard: &str) {
    send(container, sent);
    container.until(&format!("{sent} is heard as {heard:?}"), || {
        let text = if volume.has("heard") { volume.read("heard") } else { String::new() };
        text.lines().last() == Some(heard)
    });
}

#[test]
fn every_signal_that_can_be_is_sent_on() {
    for group in [&[][..], &["--signal-group"]] {
        let volume = TestVolume::in_use();
        let mut container = supervise_sh(&volume, group, HEARER).start();
        container.until("it is up", || volume.has("up"));
        for signal in passed_on() {
            hears(&volume, &mut container, signal, &signal.to_string());
        }
        for signal in [17, 20, 21, 22] {
            send(&mut container, signal);
        }
        hears(&volume, &mut container, 10, "10");
        let heard: Vec<i32> = volume.read("heard").lines().map(|line| line.parse().expect("a number")).collect();
        assert_eq!(heard, [passed_on(), vec![10]].concat());
    }
}

#[test]
fn signals_that_the_c_libraries_hide_are_sent_on_too() {
    let volume = TestVolume::in_use();
    for signal in [32, 33] {
        let mut command = Command::new(MOORLINE);
        command.args(["run", "--supervise", "--no-boot-backup", "--"]);
        command.args(["/bin/sh", "-c", "touch \"$MOORLINE_STORAGE/up$0\"; exec sleep 100", &signal.to_string()]);
        // SAFETY: system calls only. A parent of C leaves them ignored, and hides that; all zeroes is the default.
        unsafe {
            command.env("MOORLINE_STORAGE", volume.root()).pre_exec(move || {
                let default = [0_u64; 4];
                let nothing = std::ptr::null::<u64>();
                libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), nothing, 8);
                Ok(())
            });
        }
        let mut moorline = command.spawn().expect("starts");
        let limit = Instant::now() + Duration::from_secs(30);
        while !volume.has(format!("up{signal}")) {
            assert!(Instant::now() < limit, "it does not start");
            thread::sleep(Duration::from_millis(5));
        }
        // SAFETY: takes numbers.
        unsafe { libc::kill(moorline.id() as i32, signal) };
        assert_eq!(moorline.wait().expect("ends").code(), Some(128 + signal));
    }
}

#[test]
fn signals_are_rewritten_swapped_and_dropped() {
    let rules = "1=31,TERM=QUIT,SIGQUIT=15,USR1=0,TSTP=RTMIN+3,RTMAX=WINCH,2=2";
    for by_flag in [true, false] {
        let volume = TestVolume::in_use();
        let hearer = HEARER.replace("|31)", ")");
        let flags = ["--rewrite", "1=31", "--rewrite", rules];
        let container = supervise_sh(&volume, if by_flag { &flags } else { &[] }, &hearer);
        let mut container = if by_flag { container } else { container.env("MOORLINE_REWRITE", rules) }.start();
        container.until("it is up", || volume.has("up"));
        for (sent, heard) in [(1, "31"), (15, "3"), (3, "15"), (20, "37"), (64, "28"), (2, "2"), (12, "12")] {
            send(&mut container, 10);
            hears(&volume, &mut container, sent, heard);
        }
        assert!(!volume.read("heard").lines().any(|line| line == "10"), "{}", volume.read("heard"));
    }
}

#[test]
fn the_group_hears_a_signal_only_where_it_is_asked_for() {
    // The server ignores it, and what it started does not.
    let line = "trap 'echo server >> \"$MOORLINE_STORAGE/heard\"' USR1; \
                (trap 'echo child >> \"$MOORLINE_STORAGE/heard\"' USR1; touch \"$MOORLINE_STORAGE/up\"; while :; do sleep 0.02; done) & \
                while :; do sleep 0.02; done";
    for (flag, variable, heard) in
        [(None, "0", "server\n"), (Some("--signal-group"), "0", "child\nserver\n"), (None, "1", "child\nserver\n")]
    {
        let volume = TestVolume::in_use();
        let flags: Vec<&str> = flag.into_iter().collect();
        let mut container = supervise_sh(&volume, &flags, line).env("MOORLINE_SIGNAL_GROUP", variable).start();
        container.until("it is up", || volume.has("up"));
        container.signal(Signal::SIGUSR1);
        container.until("it is heard", || volume.has("heard") && volume.read("heard").len() >= heard.len());
        container.signal(Signal::SIGTERM);
        assert_eq!(container.wait().code, 143);
        let mut lines: Vec<String> = volume.read("heard").lines().map(str::to_owned).collect();
        lines.sort();
        assert_eq!(lines.join("\n") + "\n", heard);
    }
}

#[test]
fn a_signal_during_the_scripts_waits_for_the_server() {
    let volume = TestVolume::in_use();
    volume.script("x", "touch \"$DATA_DIR/init\"; while [ ! -e \"$DATA_DIR/go\" ]; do sleep 0.01; done");
    let mut container = supervise_sh(&volume, &[], "touch \"$MOORLINE_STORAGE/server\"; sleep 100").start();
    container.until("the script runs", || volume.has("init"));
    container.signal(Signal::SIGUSR1);
    volume.write("go", "");
    assert_eq!(container.wait().code, 138);
}

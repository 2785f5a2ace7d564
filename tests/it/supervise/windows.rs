//! SIGTERM in the moments in which others lose it: right after the start, and between fork and group.

use std::{fs, thread, time::Duration};

use nix::sys::signal::Signal;

use crate::{
    supervise::{children, status, supervise, supervise_sh},
    support::TestVolume,
};

/// Every signal that can be but those of a fault: not 4 to 8, 11 and 31, nor KILL and STOP.
const ALL_HELD: &str = "ffffffffbffbfa07";

/// 600 starts, each stopped at another moment within 2.4 ms. How fast moorline is, is not the matter here: a signal
/// that comes once all are held must not be lost.
#[test]
fn a_stop_right_after_the_start_is_never_lost_once_signals_are_held() {
    let volume = TestVolume::in_use();
    let (mut held, mut random) = (0, 12_345_u64);
    for round in 0..600 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut container = supervise(&volume, &[], ["/bin/sleep", "0.2"]).start();
        let pid = container.pid();
        thread::sleep(Duration::from_micros((random >> 33) % 2400));
        // While they are waited for, the kernel does not show them as held; but there is a child by then.
        let all_held = status(pid, "SigBlk") == ALL_HELD || !children(pid).is_empty();
        container.signal(Signal::SIGTERM);
        let end = container.wait();
        if all_held {
            held += 1;
            assert_eq!(end.code, 143, "round {round}: {end}");
        } else {
            assert!([0, 143].contains(&end.code), "round {round}: {end}");
        }
    }
    assert!(held > 0, "no round was late enough");
}

/// The server's fork is there and has no group yet, which lasts half a second: a signal to that group goes nowhere.
#[test]
fn a_stop_between_fork_and_group_is_not_lost() {
    for flags in [&[][..], &["--signal-group"]] {
        let volume = TestVolume::in_use();
        let strace = "exec strace -D -f -qq -o /dev/null -e trace=setpgid -e inject=setpgid:delay_enter=500000 \"$@\"";
        let mut container = supervise(&volume, flags, ["/bin/sleep", "20"]).before(strace).start();
        let pid = container.pid();
        let mut fork = None;
        container.until("the fork is there", || {
            fork = children(pid).into_iter().find(|(_, name, _)| name == "moorline").map(|(id, ..)| id);
            fork.is_some()
        });
        container.signal(Signal::SIGTERM);
        let stat = fs::read_to_string(format!("/proc/{}/stat", fork.expect("was found"))).unwrap_or_default();
        assert!(stat.contains("(moorline)"), "the window was not open: {stat}");
        let end = container.wait();
        assert_eq!(end.code, 143, "{flags:?}: {end}");
    }
}

/// The server's program is long in coming, and has the default action of every signal.
#[test]
fn a_stop_before_the_exec_is_not_lost() {
    let volume = TestVolume::in_use();
    let strace = "exec strace -D -f -qq -o /dev/null -e trace=execve -e inject=execve:delay_enter=300000 \"$@\"";
    let mut container = supervise_sh(&volume, &[], "exec sleep 20").before(strace).start();
    let pid = container.pid();
    container.until("the fork is there", || children(pid).iter().any(|(_, name, _)| name == "moorline"));
    container.signal(Signal::SIGTERM);
    assert_eq!(container.wait().code, 143);
}

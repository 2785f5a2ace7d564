//! What a console costs that nobody uses.

use std::{fs, thread, time::Duration};

use super::client::Console;
use crate::support::TestVolume;

/// Kibibytes that it has in memory.
const MEMORY: u64 = 20 << 10;

/// For so many seconds nobody asks it anything.
const SECONDS: u64 = 10;

#[test]
fn an_idle_console_is_small_and_sleeps() {
    let volume = TestVolume::new();
    let (mut console, admin) = Console::with_administrator(&volume);
    console.back_up(&admin);
    console.ask("GET", "/api/backups").by(&admin).send().is(200);
    // Threads that waited for more to do have ended, and the database is closed.
    thread::sleep(Duration::from_secs(4));
    let pid = console.running.pid();
    let before = wakeups(pid.as_raw());
    thread::sleep(Duration::from_secs(SECONDS));
    let woken = wakeups(pid.as_raw()) - before;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("is there");
    let memory = number(&status, "VmRSS:");
    println!("idle: {memory} KiB, woken {woken} times in {SECONDS} s");
    assert!(memory < MEMORY, "{memory} KiB resident");
    assert!(woken < SECONDS, "woken {woken} times in {SECONDS} s");
    console.stop();
}

/// Of all its threads.
fn wakeups(pid: i32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("is there").flatten();
    let status = threads.filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok());
    status.map(|status| number(&status, "voluntary_ctxt_switches:")).sum()
}

fn number(status: &str, name: &str) -> u64 {
    let line = status.lines().find(|line| line.starts_with(name)).expect("is there");
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number")
}

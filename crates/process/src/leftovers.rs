//! Leftovers: processes that a child left running. They are found in `/proc`, named, stopped and reaped before anything
//! else starts.
//!
//! A leftover is any descendant of this process that did not exist when this process started. As PID 1 or subreaper, this
//! process adopts every orphan, so it finds a daemon that left its process group, too.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::{Pid, getpid},
};

use super::{Signals, reap};

/// The time between SIGTERM and SIGKILL for leftovers.
pub const GRACE: Duration = Duration::from_secs(1);

/// How many times SIGKILL is repeated, because killed processes may have forked new ones.
const ROUNDS: usize = 100;

/// Processes, identified by id and start time.
pub type Known = BTreeSet<(i32, u64)>;

/// The current descendants of this process.
#[must_use]
pub fn known() -> Known {
    if !reap::has_children() {
        return Known::new();
    }
    descendants().unwrap_or_default().into_iter().map(|process| (process.id, process.started)).collect()
}

/// Stops and reaps all leftovers and returns their names. `group` is the child's process group.
pub fn clear(signals: &mut Signals, group: Pid, grace: Duration) -> Vec<String> {
    reap::all(None);
    if !reap::has_children() {
        return Vec::new();
    }
    let Some(found) = unknown(signals) else { return clear_without_proc(signals, group, grace) };
    if found.is_empty() {
        return Vec::new();
    }
    let alive = found.iter().filter(|process| !process.zombie);
    let names = alive.map(|process| format!("{} (process {})", process.name, process.id)).collect();
    send(&found, Signal::SIGTERM);
    // A stopped process handles SIGTERM only after it continues.
    send(&found, Signal::SIGCONT);
    wait_until_gone(signals, Instant::now() + grace);
    for _ in 0..ROUNDS {
        let Some(left) = unknown(signals).filter(|left| !left.is_empty()) else { return names };
        send(&left, Signal::SIGKILL);
        wait_until_gone(signals, Instant::now() + Duration::from_millis(20));
    }
    log::warn!("could not stop all processes that a child left running");
    names
}

fn send(processes: &[Process], signal: Signal) {
    for process in processes {
        let _ = kill(Pid::from_raw(process.id), signal);
    }
}

fn wait_until_gone(signals: &mut Signals, until: Instant) {
    loop {
        reap::all(None);
        if unknown(signals).is_none_or(|left| left.is_empty()) || Instant::now() >= until {
            return;
        }
        // The end of a grandchild sends no signal to this process, so check again soon.
        let soon = until.min(Instant::now() + Duration::from_millis(10));
        if signals.wait(&[], Some(soon)).is_err() {
            return;
        }
    }
}

/// The fallback without `/proc`, which cannot name processes: PID 1 signals every process, because all orphans are its
/// children; any other process signals the child's process group.
fn clear_without_proc(signals: &mut Signals, group: Pid, grace: Duration) -> Vec<String> {
    let all = getpid().as_raw() == 1;
    let unnamed = vec!["processes of unknown name (/proc is not mounted)".to_owned()];
    for (signal, wait) in [(Signal::SIGTERM, grace), (Signal::SIGKILL, GRACE)] {
        let sent = if all { kill(Pid::from_raw(-1), signal) } else { killpg(group, signal) };
        if sent.is_err() {
            return Vec::new();
        }
        let until = Instant::now() + wait;
        while Instant::now() < until {
            reap::all(None);
            let alive = if all { kill(Pid::from_raw(-1), None) } else { killpg(group, None) };
            if alive.is_err() {
                return unnamed;
            }
            if signals.wait(&[], Some(until.min(Instant::now() + Duration::from_millis(10)))).is_err() {
                break;
            }
        }
    }
    unnamed
}

pub(crate) struct Process {
    pub(crate) id: i32,
    pub(crate) name: String,
    parent: i32,
    pub(crate) started: u64,
    pub(crate) zombie: bool,
}

/// Descendants that neither existed at the start nor descend from a process that did; `None` without a `/proc` of our own
/// PID namespace.
fn unknown(signals: &Signals) -> Option<Vec<Process>> {
    let found = descendants()?;
    let known =
        |process: &&Process| signals.known().is_some_and(|known| known.contains(&(process.id, process.started)));
    let older: BTreeSet<i32> = found.iter().filter(known).map(|process| process.id).collect();
    let parents: BTreeMap<i32, i32> = found.iter().map(|process| (process.id, process.parent)).collect();
    let is_older = |id: i32| older.contains(&id) || older.iter().any(|older| is_below(id, *older, &parents));
    Some(found.into_iter().filter(|process| !is_older(process.id)).collect())
}

fn descendants() -> Option<Vec<Process>> {
    let all = processes()?;
    let below = below(getpid().as_raw(), &all);
    Some(all.into_iter().filter(|process| below.contains(&process.id)).collect())
}

/// The ids of all descendants of a process.
pub(crate) fn below(ancestor: i32, all: &[Process]) -> Vec<i32> {
    let parents: BTreeMap<i32, i32> = all.iter().map(|process| (process.id, process.parent)).collect();
    all.iter().map(|process| process.id).filter(|id| is_below(*id, ancestor, &parents)).collect()
}

/// All processes of this PID namespace; `None` without a `/proc` of it.
pub(crate) fn processes() -> Option<Vec<Process>> {
    let own = getpid().as_raw();
    // The `/proc` of another PID namespace would list unrelated processes.
    if fs::read_link("/proc/self").ok()?.to_str()? != own.to_string() {
        return None;
    }
    let entries = fs::read_dir("/proc").ok()?;
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    Some(ids.filter_map(read).collect())
}

fn is_below(mut id: i32, ancestor: i32, parents: &BTreeMap<i32, i32>) -> bool {
    // The table was not read at one moment, so it may contain a loop.
    for _ in 0..parents.len() {
        match parents.get(&id) {
            Some(parent) if *parent == ancestor => return true,
            Some(parent) => id = *parent,
            None => return false,
        }
    }
    false
}

fn read(id: i32) -> Option<Process> {
    parse(id, &fs::read(format!("/proc/{id}/stat")).ok()?)
}

/// `pid (name) state ppid …`; the name may hold anything, so its end is the last parenthesis.
fn parse(id: i32, stat: &[u8]) -> Option<Process> {
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let name = String::from_utf8_lossy(stat.get(open + 1..close)?).into_owned();
    let rest = std::str::from_utf8(&stat[close + 1..]).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Process {
        id,
        name,
        zombie: matches!(*fields.first()?, "Z" | "X"),
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = b"12 (a) b) S) R 3 12 12 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 1 0 777 1000 100";
        let process = parse(12, stat).expect("parses");
        assert_eq!((process.name.as_str(), process.parent, process.started), ("a) b) S", 3, 777));
        assert!(!process.zombie);
    }
}

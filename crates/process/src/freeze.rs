//! Stopping a server's processes for a moment, so that its files hold still.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::leftovers::{Process, below, processes};
use volume::{
    error::{Code, Error, Result},
    listing, presence,
};

/// The names of moorline's own programs, which keep running, and whether the processes below one do, too.
const OWN: [(&str, bool); 2] = [("moorline", false), ("moorline-engine", true)];
/// How often the processes are listed while they stop.
const TICK: Duration = Duration::from_millis(1);

/// Stopped processes. Dropping it continues them.
#[derive(Debug, Default)]
pub struct Frozen(Vec<(i32, u64)>);

impl Frozen {
    /// Stops the process and all its descendants except moorline's own, and waits until all their threads have stopped. Fails,
    /// and continues them, if that takes longer than `until`.
    pub fn stop(server: i32, until: Instant) -> Result<Self> {
        let mut frozen = Self::default();
        loop {
            let mut all_stopped = true;
            let targets = targets(server)?;
            if targets.is_empty() {
                let what = "the server has no process that could be stopped";
                return Err(Error::new(Code::TryAgain, what).hint("take the backup again while the server runs"));
            }
            for process in targets {
                if is_stopped(process.id) {
                    continue;
                }
                all_stopped = false;
                if !frozen.0.contains(&(process.id, process.started)) {
                    frozen.stop_one(&process)?;
                }
            }
            // A process may have forked another one before it stopped, so the last listing has to find all of them stopped.
            if all_stopped {
                return Ok(frozen);
            }
            if Instant::now() >= until {
                let what = "the server's processes did not stop in time";
                return Err(Error::new(Code::TryAgain, what).hint("set a longer `max_pause` in the profile"));
            }
            std::thread::sleep(TICK);
        }
    }

    fn stop_one(&mut self, process: &Process) -> Result<()> {
        if process.id == 1 {
            let what = "the server is process 1 of its container, which cannot be stopped for a moment";
            return Err(Error::new(Code::Unexpected, what).hint("start the server with `moorline run --supervise`"));
        }
        match kill(Pid::from_raw(process.id), Signal::SIGSTOP) {
            Ok(()) => self.0.push((process.id, process.started)),
            Err(Errno::ESRCH) => {}
            Err(errno) => {
                let what = format!("cannot stop {} (process {}): {}", process.name, process.id, errno.desc());
                return Err(Error::new(Code::Unexpected, what).hint("take the backup as root or as the server's user"));
            }
        }
        Ok(())
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let now = processes().unwrap_or_default();
        for (id, started) in &self.0 {
            let is_another = now.iter().any(|process| process.id == *id && process.started != *started);
            if !is_another {
                let _ = kill(Pid::from_raw(*id), Signal::SIGCONT);
            }
        }
    }
}

fn targets(server: i32) -> Result<Vec<Process>> {
    let no_proc = || {
        Error::new(
            Code::Unexpected,
            "cannot list the server's processes, because /proc does not belong to this container",
        )
        .hint("mount /proc, or copy the files without `freeze`")
    };
    let all = processes().ok_or_else(no_proc)?;
    let own = |id: i32| {
        let image = fs::read_link(format!("/proc/{id}/exe")).unwrap_or_default();
        let name = image.file_name().unwrap_or_default().to_string_lossy().into_owned();
        OWN.iter().find(|(own, _)| name.strip_suffix(" (deleted)").unwrap_or(&name) == *own).map(|(_, below)| *below)
    };
    let mut ids: Vec<i32> = below(server, &all);
    ids.push(server);
    let spared: Vec<i32> = ids.iter().filter(|id| own(**id) == Some(true)).flat_map(|id| below(*id, &all)).collect();
    ids.retain(|id| own(*id).is_none() && !spared.contains(id));
    Ok(all.into_iter().filter(|process| !process.zombie && ids.contains(&process.id)).collect())
}

/// Whether all threads of a process have stopped, or it has ended.
fn is_stopped(id: i32) -> bool {
    let tasks = PathBuf::from(format!("/proc/{id}/task"));
    match listing::entries(&tasks) {
        Ok(threads) => threads.unwrap_or_default().iter().all(|thread| has_stopped(&tasks.join(&thread.name))),
        Err(_) => false,
    }
}

fn has_stopped(thread: &Path) -> bool {
    let stat = match fs::read(thread.join("stat")) {
        Ok(stat) => stat,
        // A thread that has ended while it is read gives ESRCH.
        Err(cause) => return presence::is_absent(&cause) || cause.raw_os_error() == Some(nix::libc::ESRCH),
    };
    let name_end = stat.iter().rposition(|byte| *byte == b')');
    name_end.is_some_and(|end| matches!(stat.get(end + 2), Some(b'T' | b't' | b'Z' | b'X')))
}

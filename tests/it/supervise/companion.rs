//! The companion beside the server: started again, never the server's end, stopped with it and before the rest.
//!
//! moorline's own companion is the console (`console.rs`). `examples/companion.rs` has any: one that crashes, hangs, or is not there.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::support::MOORLINE;

/// Runs until it is asked to stop, and says so.
const SERVER: &str = "trap 'while [ -e wait ] && [ ! -e end ]; do sleep 0.02; done; echo server >> end; exit 7' TERM; touch server; while :; do sleep 0.02; done";

fn program() -> PathBuf {
    let program = Path::new(MOORLINE).with_file_name("examples").join("companion");
    assert!(program.exists(), "{} is not built: cargo build --examples", program.display());
    program
}

struct Pair {
    folder: TempDir,
    child: Child,
}

impl Pair {
    /// Waits of 20, 40, 80 and at last 100 ms.
    fn start(server: &str, companion: &str, grace: &str, after: &str) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let child = Command::new("/usr/bin/unshare")
            .args(["--pid", "--fork", "--mount-proc", "--kill-child"])
            .arg(program())
            .args([&format!("cd \"$HERE\"; {server}"), companion])
            .args(["20", "100", grace, after])
            .env("HERE", folder.path())
            .stdin(Stdio::null())
            .stdout(fs::File::create(folder.path().join("out")).expect("a file"))
            .stderr(fs::File::create(folder.path().join("err")).expect("a file"))
            .spawn()
            .expect("starts");
        Self { folder, child }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let limit = Instant::now() + Duration::from_secs(30);
        while !is_so() {
            assert!(Instant::now() < limit, "never: {what}\n{}", self.read("err"));
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn stop(&self) {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).expect("is there");
        let pid: i32 = children.trim().parse().expect("one");
        kill(Pid::from_raw(pid), Signal::SIGTERM).expect("is there");
    }

    fn end(mut self) -> (i32, Self) {
        let limit = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().expect("can be waited for") {
                return (status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)), self);
            }
            assert!(Instant::now() < limit, "it hangs\n{}", self.read("err"));
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_is_started_again_ever_more_slowly_and_its_end_is_not_the_servers() {
    let pair = Pair::start(SERVER, "echo x >> \"$HERE/starts\"; exit 3", "20000", "left");
    pair.until("it was started six times", || pair.read("starts").lines().count() >= 6 && pair.path("server").exists());
    pair.stop();
    let (code, pair) = pair.end();
    assert_eq!((code, pair.read("end").as_str()), (7, "server\n"));
    let waits: Vec<String> = pair
        .read("err")
        .lines()
        .filter_map(|line| Some(line.strip_prefix("the companion exited with code 3; restarting it in ")?.to_owned()))
        .take(5)
        .collect();
    assert_eq!(waits, ["20ms", "40ms", "80ms", "100ms", "100ms"]);
}

#[test]
fn all_are_stopped_in_order() {
    // Asked at the same time, it is gone before the server, or after it where the server ended by itself.
    let companion =
        "trap 'echo companion >> \"$HERE/end\"; exit' TERM; touch \"$HERE/companion\"; while :; do sleep 0.02; done";
    let straggler = "trap 'echo straggler >> end; exit' TERM; touch straggler; while :; do sleep 0.02; done";
    for stopped in [true, false] {
        let last = if stopped {
            format!("touch wait; {SERVER}")
        } else {
            "while [ ! -e companion ]; do sleep 0.01; done; echo server >> end; exit 7".to_owned()
        };
        let server =
            format!("(setsid bash -c \"{straggler}\" &); while [ ! -e straggler ]; do sleep 0.01; done; {last}");
        let pair = Pair::start(&server, companion, "20000", "killed");
        if stopped {
            pair.until("all are up", || pair.path("server").exists() && pair.path("companion").exists());
            pair.stop();
        }
        let order = if stopped { "companion\nserver\nstraggler\n" } else { "server\ncompanion\nstraggler\n" };
        let (code, pair) = pair.end();
        assert_eq!((code, pair.read("end").as_str()), (7, order), "{}", pair.read("err"));
        assert!(pair.read("err").contains("stopped a process that the server left running"), "{}", pair.read("err"));
    }
}

#[test]
fn one_that_does_not_stop_is_killed_and_the_code_is_the_servers() {
    let companion = "trap '' TERM; touch \"$HERE/companion\"; while :; do sleep 0.02; done";
    let pair = Pair::start("while [ ! -e companion ]; do sleep 0.01; done; exit 4", companion, "1500", "left");
    let (code, pair) = pair.end();
    assert_eq!(code, 4, "{}", pair.read("err"));
    assert!(pair.read("err").contains("the companion did not stop in time; killing it"), "{}", pair.read("err"));
}

#[test]
fn it_is_stopped_in_time_when_the_server_does_not_stop() {
    let companion =
        "trap 'echo companion >> \"$HERE/end\"; exit' TERM; touch \"$HERE/companion\"; while :; do sleep 0.02; done";
    let slow =
        "trap '' TERM; touch server; while [ ! -e end ]; do sleep 0.02; done; sleep 1; echo server >> end; exit 9";
    // Nobody said how long the server has: it is left to end by itself, and nobody waits for its end to tell the companion.
    let pair = Pair::start(slow, companion, "400", "left");
    pair.until("all are up", || pair.path("server").exists() && pair.path("companion").exists());
    pair.stop();
    let (code, pair) = pair.end();
    assert_eq!((code, pair.read("end").as_str()), (9, "companion\nserver\n"), "{}", pair.read("err"));
    // Somebody did.
    let pair = Pair::start(slow, companion, "400", "killed");
    pair.until("all are up", || pair.path("server").exists() && pair.path("companion").exists());
    pair.stop();
    let (code, pair) = pair.end();
    assert_eq!((code, pair.read("end").as_str()), (137, "companion\n"), "{}", pair.read("err"));
}

#[test]
fn it_is_apart_from_the_server() {
    let companion = "exec >> \"$HERE/said\"; pwd; readlink /proc/self/fd/0; ls /proc/$$/fd | tr '\\n' ' '; cut -d' ' -f 5,6 /proc/$$/stat; echo $$ $$; echo done; sleep 100";
    let pair = Pair::start(SERVER, &format!("echo to the log; {companion}"), "20000", "left");
    pair.until("it has said all", || pair.read("said").contains("done") && pair.path("server").exists());
    pair.stop();
    let (code, pair) = pair.end();
    let said = pair.read("said");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((code, lines[0], lines[1]), (7, "/", "/dev/null"), "{said}");
    assert!(lines[2].starts_with("0 1 2 "), "{said}");
    // It leads its group and its session.
    let numbers: Vec<&str> = said.split_whitespace().rev().skip(1).take(4).collect();
    assert_eq!(numbers[..2], numbers[2..], "{said}");
    assert!(pair.read("err").contains("to the log") && !pair.read("out").contains("to the log"));
}

#[test]
fn one_that_cannot_be_executed_is_named() {
    let pair = Pair::start(SERVER, "/no/such/program", "20000", "left");
    pair.until("it is named", || {
        pair.read("err").contains("/no/such/program does not exist") && pair.path("server").exists()
    });
    pair.stop();
    assert_eq!(pair.end().0, 7);
}

#[test]
fn a_signal_that_came_of_writing_to_a_log_that_nobody_reads_is_not_the_servers() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    // Each end of the companion is a line that nobody reads.
    let server = "cd \"$HERE\"; touch starts; trap 'echo x >> heard' PIPE; while [ \"$(wc -l < starts)\" -lt 6 ]; do sleep 0.02; done; exit 4";
    let status = Command::new("/bin/bash")
        .args(["-c", "\"$@\" 2>&1 >/dev/null | true; exit ${PIPESTATUS[0]}", "bash"])
        .arg(program())
        .args([server, "echo x >> \"$HERE/starts\"", "20", "100", "20000", "left"])
        .env("HERE", folder.path())
        .status()
        .expect("runs");
    let heard = folder.path().join("heard").exists();
    assert_eq!((status.code(), heard), (Some(4), false));
}

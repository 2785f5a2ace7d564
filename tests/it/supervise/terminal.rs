//! A shell as the server, on a terminal: job control, Ctrl-C, the exit code.

use std::{
    fs::File,
    io::{Read, Write},
    process::{Child, Command},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use nix::pty::openpty;

use crate::support::{MOORLINE, TestVolume, quoted};

/// As a runtime starts a container with `-it`: PID 1 leads the session of the terminal.
struct Terminal {
    master: File,
    shown: Arc<Mutex<String>>,
    child: Child,
}

impl Terminal {
    fn start(volume: &TestVolume, flags: &[&str], server: &[&str]) -> Self {
        Self::run(volume, &[&[MOORLINE, "run", "--supervise"], flags, &["--"], server].concat())
    }

    fn run(volume: &TestVolume, words: &[&str]) -> Self {
        let pty = openpty(None, None).expect("a terminal");
        let mut command = Command::new("/usr/bin/unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "/usr/bin/setsid", "--ctty"]);
        command.args(words);
        command.env("MOORLINE_STORAGE", volume.root()).env("MOORLINE_NO_BOOT_BACKUP", "1").env("PS1", "ready> ");
        let slave: File = pty.slave.into();
        command.stdout(slave.try_clone().expect("one more")).stderr(slave.try_clone().expect("one more")).stdin(slave);
        let child = command.spawn().expect("starts");
        drop(command);
        let master: File = pty.master.into();
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut reader, screen) = (master.try_clone().expect("one more"), Arc::clone(&shown));
        thread::spawn(move || {
            let mut piece = [0; 1024];
            while let Ok(count @ 1..) = reader.read(&mut piece) {
                screen.lock().expect("no panic").push_str(&String::from_utf8_lossy(&piece[..count]));
            }
        });
        Self { master, shown, child }
    }

    fn types(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).expect("writes");
    }

    fn shows(&self, text: &str) {
        let limit = Instant::now() + Duration::from_secs(30);
        while !self.shown.lock().expect("no panic").contains(text) {
            assert!(Instant::now() < limit, "never: {text}\n{}", self.shown.lock().expect("no panic"));
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn ends(&mut self) -> Option<i32> {
        let limit = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().expect("can be waited for") {
                return status.code();
            }
            assert!(Instant::now() < limit, "it hangs\n{}", self.shown.lock().expect("no panic"));
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_shell_has_job_control_and_ctrl_c() {
    for flags in [&[][..], &["--signal-group"]] {
        let volume = TestVolume::in_use();
        let mut terminal = Terminal::start(&volume, flags, &["/bin/bash", "--norc", "--noprofile", "-i"]);
        terminal.shows("ready> ");
        terminal.types("echo options=$-.\n");
        terminal.shows("options=h");
        assert!(!terminal.shown.lock().expect("no panic").contains("no job control"));
        terminal.types("sh -c 'echo in the fore''ground; exec sleep 100'\n");
        terminal.shows("in the foreground");
        terminal.types("\x03");
        terminal.types("echo code=$?.\n");
        terminal.shows("code=130.");
        terminal.types("sleep 100 &\njobs; kill %1; wait; exit 5\n");
        terminal.shows("Running");
        assert_eq!(terminal.ends(), Some(5));
    }
}

#[test]
fn ctrl_c_reaches_a_server_that_is_no_shell() {
    let volume = TestVolume::in_use();
    let mut terminal = Terminal::start(&volume, &[], &["/bin/sh", "-c", "echo it runs; exec sleep 100"]);
    terminal.shows("it runs");
    terminal.types("\x03");
    assert_eq!(terminal.ends(), Some(130));
}

#[test]
fn after_it_the_terminal_is_the_callers_again() {
    let volume = TestVolume::in_use();
    let line = format!("{} run --supervise -- /bin/true; echo ready; read word; echo word=$word.", quoted(MOORLINE));
    let mut terminal = Terminal::run(&volume, &["/bin/sh", "-c", &line]);
    terminal.shows("ready");
    terminal.types("hello\n");
    terminal.shows("word=hello.");
    assert_eq!(terminal.ends(), Some(0));
}

#[test]
fn in_the_background_of_a_terminal_it_takes_nothing() {
    let volume = TestVolume::in_use();
    let line = format!(
        "set -m; {} run --supervise -- /bin/sh -c 'echo server; sleep 0.3; exit 6' & \
         read word; echo word=$word.; wait $!; echo code=$?.",
        quoted(MOORLINE)
    );
    let mut terminal = Terminal::run(&volume, &["/bin/bash", "-c", &line]);
    terminal.shows("server");
    terminal.types("hello\n");
    terminal.shows("word=hello.");
    terminal.shows("code=6.");
    assert_eq!(terminal.ends(), Some(0));
}

//! A volume to be killed on, and the containers that are.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use super::state::State;

/// Two states and a backup of the older one, made once.
pub struct Template {
    folder: TempDir,
    pub older: State,
    pub newer: State,
}

impl Template {
    pub fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let data = folder.path().join("data");
        State::write(&data, "older", &["a.json", "conf/b.json", "conf/deep/c.json", "only-in-older/d.json"]);
        let older = State::of(&data);
        moorline(&data, &["backup"]);
        fs::remove_dir_all(data.join("only-in-older")).expect("removed");
        State::write(&data, "newer", &["a.json", "conf/b.json", "conf/deep/c.json", "only-in-newer/e.json"]);
        let newer = State::of(&data);
        assert_ne!(older, newer);
        Self { folder, older, newer }
    }

    /// A copy of it.
    pub fn fresh(&self) -> Scene {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let copied = Command::new("cp").arg("-a").arg(self.folder.path().join("data")).arg(folder.path()).status();
        assert!(copied.expect("cp runs").success());
        Scene { folder }
    }

    /// A copy of it with `quick-rollback.sh` in `Init/`.
    pub fn fresh_with_script(&self) -> Scene {
        let scene = self.fresh();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("init-examples/quick-rollback.sh");
        fs::copy(script, scene.data().join("Init/quick-rollback.sh")).expect("dropped");
        scene
    }
}

/// One volume, and the containers that are started on it one after the other.
pub struct Scene {
    folder: TempDir,
}

impl Scene {
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// What all containers on it said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Whether the last container's server was started.
    pub fn server_was_up(&self) -> bool {
        self.path("server-was-up").exists()
    }

    /// moorline as PID 1 of a namespace. The server says that it is up, and ends.
    pub fn start(&self) -> Container {
        self.start_with("exec \"$@\"")
    }

    /// The same, but PID 1 first waits until somebody has written into the FIFO `go`.
    pub fn start_on_go(&self) -> Container {
        let _ = fs::remove_file(self.path("go"));
        nix::unistd::mkfifo(&self.path("go"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        self.start_with("read -r _ < ../go; exec \"$@\"")
    }

    fn start_with(&self, shell: &str) -> Container {
        let _ = fs::remove_file(self.path("server-was-up"));
        let log = fs::File::options().create(true).append(true).open(self.path("log")).expect("a log");
        let mut unshare = Command::new("unshare");
        unshare.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
        if !nix::unistd::geteuid().is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        unshare.args(["/bin/sh", "-c", shell, "sh", env!("CARGO_BIN_EXE_moorline"), "--storage"]).arg(self.data());
        unshare.args(["run", "--", "/bin/sh", "-c", "echo up > \"$0\""]).arg(self.path("server-was-up"));
        unshare.current_dir(self.data()).stdin(Stdio::null());
        unshare.stdout(log.try_clone().expect("a copy")).stderr(log);
        Container { unshare: unshare.spawn().expect("unshare runs") }
    }

    /// A server that is up finds the older state, whole.
    pub fn a_server_must_have_found_the_older_state(&self, template: &Template) {
        if self.server_was_up() {
            assert_eq!(State::of(&self.data()), template.older, "{}", self.log());
        }
    }

    pub fn must_be_restored_once_by_the_script(&self, template: &Template) {
        let data = self.data();
        assert!(self.server_was_up(), "the server never started: {}", self.log());
        assert_eq!(State::of(&data), template.older, "{}", self.log());
        let scripts: Vec<_> = names(&data.join("Init")).into_iter().filter(|name| !name.ends_with(".log")).collect();
        assert_eq!(scripts, ["quick-rollback.sh.done"], "{}", self.log());
        assert_eq!(self.restores(), ["done"], "{}", self.log());
        self.must_roll_back(template);
    }

    pub fn must_roll_back(&self, template: &Template) {
        moorline(&self.data(), &["rollback", "-y"]);
        assert_eq!(State::of(&self.data()), template.newer, "rolled back: {}", self.log());
    }

    /// The states of the restore sets that there are.
    pub fn restores(&self) -> Vec<String> {
        let sets = self.data().join(".moorline/restores");
        let state = |name: String| {
            let journal = fs::read(sets.join(&name).join("journal.json")).expect("a set has a journal");
            let journal: serde_json::Value = serde_json::from_slice(&journal).expect("the journal is JSON");
            journal["state"].as_str().expect("the journal has a state").to_owned()
        };
        names(&sets).into_iter().map(state).collect()
    }
}

/// A PID namespace, by the process that waits for it.
pub struct Container {
    unshare: Child,
}

impl Container {
    pub fn wait(mut self) -> ExitStatus {
        self.unshare.wait().expect("can be waited for")
    }

    /// PID 1 of the namespace, as it is called outside of it; none where that has ended.
    pub fn pid_1(&mut self) -> Option<Pid> {
        let children = format!("/proc/{0}/task/{0}/children", self.unshare.id());
        loop {
            let children = fs::read_to_string(&children).unwrap_or_default();
            if let Some(pid) = children.split_whitespace().next().and_then(|pid| pid.parse().ok()) {
                return Some(Pid::from_raw(pid));
            }
            if self.unshare.try_wait().expect("can be waited for").is_some() {
                return None;
            }
            // unshare has not forked yet.
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// Kills PID 1, and with it everything in the namespace, before it returns. False where it had ended by itself.
    pub fn kill(mut self) -> bool {
        let killed = self.pid_1().is_some_and(|pid| kill(pid, Signal::SIGKILL).is_ok());
        // unshare reaps PID 1, which the kernel lets go only when the last of its namespace is gone.
        let status = self.unshare.wait().expect("can be waited for");
        killed && !status.success()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name().to_string_lossy().into();
    let mut names: Vec<String> = fs::read_dir(folder).expect("a folder").map(name).collect();
    names.sort();
    names
}

/// Runs a verb that must succeed.
pub fn moorline(data: &Path, arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_moorline")).arg("--storage").arg(data).args(arguments).output();
    let output = output.expect("moorline starts");
    assert!(output.status.success(), "moorline {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

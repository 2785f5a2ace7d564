//! A volume, and containers that are started on it: the real binary, as PID 1 of a namespace of its own.
//!
//! ```text
//! let volume = TestVolume::new();
//! volume.script("10-a.sh", "echo hello");
//! let end = volume.run(["/bin/echo", "up"]).env("MOORLINE_LOCK_WAIT", "0").wait();
//! assert_eq!((end.code, end.out.as_str()), (0, "up\n"), "{end}");
//! ```

#![allow(dead_code, reason = "each test file uses what it needs")]

use std::{
    ffi::{OsStr, OsString},
    fmt, fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

/// The binary under test.
pub const MOORLINE: &str = env!("MOORLINE_PROGRAM");

/// The engine beside it.
pub const ENGINE: &str = env!("MOORLINE_ENGINE");

/// A secret key for tests.
pub const KEY: &str = "8D2RNAbAgmV7ur8nQCLT7PlCWCk+kW488nSg3Narj/4=";

/// A path as one word of a line of shell, whatever it contains.
pub fn quoted(path: impl AsRef<Path>) -> String {
    shell_words::quote(&path.as_ref().to_string_lossy()).into_owned()
}

/// Copies both programs into a folder.
pub fn copy_programs(folder: &Path) {
    for program in [MOORLINE, ENGINE] {
        fs::copy(program, folder.join(Path::new(program).file_name().expect("a name"))).expect("copies");
    }
}

/// A log without the time stamps of moorline's own lines. It fails if one of these lines has none.
pub fn without_times(log: &str) -> String {
    let line = |line: &str| match line.split_once("moorline: ") {
        Some((stamp, text)) if is_stamp(stamp) => format!("moorline: {text}\n"),
        Some(("", _)) => panic!("no time stamp: {line}\nin\n{log}"),
        _ => format!("{line}\n"),
    };
    log.lines().map(line).collect()
}

/// Whether this is a time in UTC, in seconds, and a blank.
pub fn is_stamp(text: &str) -> bool {
    let digit_or = |(byte, form): (u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { byte == form };
    let form = "0000-00-00T00:00:00Z ";
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(digit_or)
}

/// After this long something hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// A volume, and beside it what containers on it wrote.
pub struct TestVolume {
    folder: TempDir,
    starts: AtomicU32,
}

impl TestVolume {
    /// An empty one.
    pub fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        fs::create_dir_all(folder.path().join("data/Init")).expect("a folder");
        fs::create_dir(folder.path().join("seqinit")).expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("changes");
        Self { folder, starts: AtomicU32::new(0) }
    }

    /// One that holds state, and has not seen a start.
    pub fn in_use() -> Self {
        let volume = Self::new();
        volume.write("app.conf", "in use");
        volume
    }

    /// The same after a start, with a key and a backup of today: one with no setting has nothing to do on it.
    pub fn settle(self) -> Self {
        let mut start = Command::new(MOORLINE);
        let start = start.args(["run", "--", "/bin/true"]).env_clear().env("MOORLINE_STORAGE", self.root());
        let done = start.output().expect("starts");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        self
    }

    /// The storage root.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A path on the volume.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root().join(name)
    }

    /// A path beside the volume.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file on the volume.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("has a folder")).expect("a folder");
        fs::write(path, content).expect("writes");
    }

    /// Drops a script into `Init/`, without execute permission.
    pub fn script(&self, name: impl AsRef<OsStr>, text: impl AsRef<[u8]>) {
        self.write(Path::new("Init").join(name.as_ref()), text);
    }

    /// Puts a script into the second source.
    pub fn seqinit(&self, name: &str, text: &str) {
        fs::write(self.beside("seqinit").join(name), text).expect("writes");
    }

    /// The text of a file on the volume.
    pub fn read(&self, name: impl AsRef<Path>) -> String {
        let path = self.path(name);
        assert!(path.exists(), "{} does not exist", path.display());
        String::from_utf8_lossy(&fs::read(path).expect("reads")).into_owned()
    }

    /// Whether there is such a path on the volume.
    pub fn has(&self, name: impl AsRef<Path>) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// The names in `Init/` but for logs, in order.
    pub fn scripts(&self) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| {
            String::from_utf8_lossy(entry.expect("an entry").file_name().as_bytes()).into_owned()
        };
        let names = fs::read_dir(self.path("Init")).expect("a folder").map(name);
        let mut names: Vec<String> = names.filter(|name| !name.ends_with(".log")).collect();
        names.sort();
        names
    }

    /// As if the first failure of each script had been long ago.
    pub fn age_failures(&self) {
        let mut ledger = self.ledger();
        for script in ledger["scripts"].as_array_mut().expect("entries") {
            script["first_failure"] = "2026-01-01T00:00:00Z".into();
        }
        self.write(".moorline/init.json", ledger.to_string());
    }

    /// The ledger.
    pub fn ledger(&self) -> serde_json::Value {
        serde_json::from_str(&self.read(".moorline/init.json")).expect("is JSON")
    }

    /// A `moorline` of its own beside an engine that writes down how it is called: the program to start.
    pub fn recorded(&self) -> PathBuf {
        let folder = self.beside("programs");
        let program = folder.join("moorline");
        if !program.exists() {
            fs::create_dir(&folder).expect("a folder");
            fs::hard_link(MOORLINE, &program).expect("a link");
            let calls = quoted(self.beside("engine-calls"));
            let text = format!("#!/bin/sh\necho \"$*\" >> {calls}\nexec {} \"$@\"\n", quoted(ENGINE));
            let engine = folder.join("moorline-engine");
            fs::write(&engine, text).expect("writes");
            fs::set_permissions(&engine, fs::Permissions::from_mode(0o755)).expect("changes");
        }
        program
    }

    /// A `moorline` without an engine beside it.
    pub fn without_engine(&self) -> PathBuf {
        let folder = self.beside("alone");
        let program = folder.join("moorline");
        if !program.exists() {
            fs::create_dir(&folder).expect("a folder");
            fs::hard_link(MOORLINE, &program).expect("a link");
        }
        program
    }

    /// How [`Self::recorded`] has called the engine since this was last asked, one line a call.
    pub fn engine_calls(&self) -> Vec<String> {
        let path = self.beside("engine-calls");
        let calls = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(&path);
        calls.lines().map(str::to_owned).collect()
    }

    /// A container that runs this server.
    pub fn run<S: AsRef<OsStr>>(&self, server: impl IntoIterator<Item = S>) -> Start<'_> {
        self.moorline(["run", "--"]).args(server)
    }

    /// A container whose server is a line of shell.
    pub fn run_sh(&self, line: &str) -> Start<'_> {
        self.run(["/bin/sh", "-c", line])
    }

    /// moorline with these arguments, on this volume.
    pub fn moorline<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Start<'_> {
        let start = Start {
            volume: self,
            program: MOORLINE.into(),
            arguments: Vec::new(),
            variables: Vec::new(),
            before: None,
            pid_1: true,
            user: None,
        };
        let start = start.env("MOORLINE_STORAGE", self.root()).env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
        // What is tested is rarely what runs beside it.
        let start = start.env("MOORLINE_NO_SERVE", "1");
        let seqinit = self.beside("seqinit");
        start.env("MOORLINE_SEQINIT", seqinit).env("MOORLINE_NO_BOOT_BACKUP", "1").args(arguments)
    }
}

/// A container that is about to be started.
pub struct Start<'a> {
    volume: &'a TestVolume,
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(String, OsString)>,
    before: Option<String>,
    pid_1: bool,
    user: Option<u32>,
}

impl Start<'_> {
    /// More arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Another copy of moorline.
    pub fn program(mut self, path: PathBuf) -> Self {
        self.program = path;
        self
    }

    /// Without this variable.
    pub fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(given, _)| given != name);
        self
    }

    /// A variable.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Lines of shell that come first, in a mount namespace of their own: `exec "$@"` starts moorline.
    pub fn before(mut self, lines: &str) -> Self {
        self.before = Some(lines.to_owned());
        self
    }

    /// Not as PID 1: an ordinary process.
    pub fn not_pid_1(mut self) -> Self {
        self.pid_1 = false;
        self
    }

    /// As this user, in its group 0.
    pub fn with_user(mut self, user: u32) -> Self {
        self.user = Some(user);
        self
    }

    /// Starts it.
    pub fn start(self) -> Running {
        let number = self.volume.starts.fetch_add(1, Ordering::Relaxed);
        let (out, err) = (self.volume.beside(&format!("out{number}")), self.volume.beside(&format!("err{number}")));
        let mut command = self.command();
        command.env_clear().envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).current_dir("/");
        command.stdout(fs::File::create(&out).expect("a file")).stderr(fs::File::create(&err).expect("a file"));
        Running { child: command.spawn().expect("starts"), out, err, namespace: self.pid_1, gone: false }
    }

    /// Starts it and waits for its end.
    pub fn wait(self) -> End {
        self.start().wait()
    }

    fn command(&self) -> Command {
        let mut words: Vec<OsString> = Vec::new();
        if self.pid_1 {
            words.extend(["/usr/bin/unshare", "--pid", "--fork", "--mount-proc", "--kill-child"].map(OsString::from));
        }
        if let Some(lines) = &self.before {
            let line = format!("{lines}\nexec \"$@\"");
            words.extend(["/usr/bin/unshare", "--mount", "/bin/sh", "-euc", &line, "sh"].map(OsString::from));
        }
        if let Some(user) = self.user {
            let user = format!("--reuid={user}");
            words.extend(["/usr/bin/setpriv", &user, "--regid=0", "--clear-groups"].map(OsString::from));
        }
        words.push(self.program.clone().into());
        words.extend(self.arguments.iter().cloned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command
    }
}

/// A container that runs.
pub struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    namespace: bool,
    gone: bool,
}

impl Running {
    /// moorline, or the server that it has become, as it is called outside of the namespace.
    pub fn pid(&mut self) -> Pid {
        if !self.namespace {
            return Pid::from_raw(self.child.id() as i32);
        }
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        let mut found = None;
        self.until("PID 1 is there", || {
            let text = fs::read_to_string(&children).unwrap_or_default();
            found = text.split_whitespace().next().and_then(|pid| pid.parse().ok());
            found.is_some()
        });
        Pid::from_raw(found.expect("was found"))
    }

    /// Sends it a signal.
    pub fn signal(&mut self, signal: Signal) {
        let pid = self.pid();
        kill(pid, signal).expect("is there");
    }

    /// Waits until something is so.
    pub fn until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) {
        let limit = Instant::now() + LIMIT;
        while !is_so() {
            assert!(Instant::now() < limit, "never: {what}\n{}", self.said());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until its log holds this.
    pub fn until_log_has(&mut self, text: &str) {
        let err = self.err.clone();
        self.until(text, || fs::read_to_string(&err).unwrap_or_default().contains(text));
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        read(&self.err)
    }

    /// kill -9, of it and of all that runs in it.
    pub fn kill(mut self) -> End {
        self.signal(Signal::SIGKILL);
        self.wait()
    }

    /// Waits for its end.
    pub fn wait(mut self) -> End {
        let limit = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("can be waited for") {
                break status;
            }
            assert!(Instant::now() < limit, "it hangs\n{}", self.said());
            thread::sleep(Duration::from_millis(5));
        };
        self.gone = true;
        End { code: code(status), out: read(&self.out), err: read(&self.err) }
    }

    fn said(&self) -> String {
        format!("stdout:\n{}\nstderr:\n{}", read(&self.out), read(&self.err))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.gone {
            // Its namespace goes with it.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// How a container ended, and all that it said.
pub struct End {
    /// Its exit code; 128 and the signal where one killed it.
    pub code: i32,
    /// stdout.
    pub out: String,
    /// stderr: the container's log.
    pub err: String,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {}\nstdout:\n{}\nstderr:\n{}", self.code, self.out, self.err)
    }
}

//! Containers: two images, made once from this tree, and `podman run` in the foreground of a test.
//!
//! The image is `docker/Dockerfile`'s: nothing but the two static programs and a static server. The other one has a shell too.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Write,
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::support::{ENGINE, MOORLINE, TestVolume, copy_programs};

/// After this long something hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// moorline and a server.
pub const BARE: &str = "localhost/moorline-test";

/// The same, with a shell.
pub const WITH_SHELL: &str = "localhost/moorline-test-shell";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// podman, with a store of its own that all tests share.
fn podman() -> Command {
    let folder = folder();
    let mut command = Command::new("podman");
    command.args(["--storage-driver", "overlay", "--root"]).arg(folder.join("root"));
    command.arg("--runroot").arg(short_folder()).env("CONTAINERS_CONF", folder.join("containers.conf"));
    command.env("TMPDIR", &folder);
    command
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("podman")
}

/// podman refuses a long path for what lasts until the next boot only.
fn short_folder() -> PathBuf {
    let number = fs::metadata(folder()).expect("is there").ino();
    std::env::temp_dir().join(format!("moorline-podman-{number}"))
}

/// Makes what is not there yet, or is older than the binary. One test does it, the others wait.
fn make_images() {
    let folder = folder();
    fs::create_dir_all(folder.join("context")).expect("a folder");
    let lock = File::create(folder.join("lock")).expect("a file");
    lock.lock().expect("locks");
    let source = Path::new(env!("MOORLINE_REPOSITORY"));
    let (dockerfile, server) = (source.join("docker/Dockerfile"), source.join("tests/servers/server.c"));
    let version_of = |path: &Path| {
        let file = fs::metadata(path).expect("is there");
        format!("{} {} {}.{}\n", path.display(), file.ino(), file.mtime(), file.mtime_nsec())
    };
    let made_from: String =
        [MOORLINE.as_ref(), ENGINE.as_ref(), dockerfile.as_path(), server.as_path()].map(version_of).concat();
    // Written in each run: this one's limits may be others. In one piece, for whoever reads it now.
    let made = folder.join("containers.conf.made");
    fs::write(&made, configuration()).expect("writes");
    fs::rename(made, folder.join("containers.conf")).expect("renames");
    let note = folder.join("made-from");
    if fs::read_to_string(&note).is_ok_and(|text| text == made_from) {
        return;
    }
    let context = folder.join("context");
    copy_programs(&context);
    let links = context.join("links");
    let _ = fs::remove_dir_all(&links);
    fs::create_dir(&links).expect("a folder");
    std::os::unix::fs::symlink("moorline", links.join("seqsvr")).expect("a link");
    let mut compiler = Command::new("musl-gcc");
    compiler.args(["-static", "-O1", "-o"]).arg(context.join("server")).arg(server);
    succeed(&mut compiler);
    fs::copy("/bin/busybox", context.join("busybox")).expect("the package busybox-static is needed");
    let shell = format!(
        "FROM {BARE}\nCOPY busybox /bin/sh\nCOPY busybox /usr/local/bin/sh\nCOPY busybox /usr/local/bin/busybox\n"
    );
    fs::write(context.join("Dockerfile.shell"), shell).expect("writes");
    let build = |tag: &str, file: &Path| {
        let mut command = podman();
        command.args([
            "build",
            "--quiet",
            "--network=none",
            "--build-arg=PROGRAMS=.",
            "--build-arg=LINKS=links",
            "--build-arg=SERVER=server",
        ]);
        succeed(command.arg("--tag").arg(tag).arg("--file").arg(file).arg(&context));
    };
    build(BARE, &dockerfile);
    build(WITH_SHELL, &context.join("Dockerfile.shell"));
    succeed(podman().args(["image", "prune", "--force"]));
    fs::write(note, made_from).expect("writes");
}

/// The static server of the images.
pub fn server() -> PathBuf {
    make_images();
    folder().join("context/server")
}

/// runc, because crun refuses a machine that has both kinds of cgroups; no limit is raised above what this process has.
fn configuration() -> String {
    let limit = |what| {
        let (_, hard) = nix::sys::resource::getrlimit(what).expect("is known");
        hard.min(1_000_000)
    };
    let files = limit(nix::sys::resource::Resource::RLIMIT_NOFILE);
    let processes = limit(nix::sys::resource::Resource::RLIMIT_NPROC).min(1000);
    format!(
        "[containers]\ndefault_ulimits = [\"nofile={files}:{files}\", \"nproc={processes}:{processes}\"]\n\
         init_path = \"/usr/bin/catatonit\"\n\
         [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n"
    )
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|cause| panic!("{command:?}: {cause}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A container that is about to be started on a volume.
pub struct Container {
    name: String,
    flags: Vec<String>,
    image: &'static str,
    folder: PathBuf,
}

impl Container {
    /// On this volume, of the image without a shell.
    pub fn on(volume: &TestVolume) -> Self {
        make_images();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("moorline-test-{}-{number}", std::process::id());
        let folder = volume.beside(&name);
        let mount = format!("--volume={}:/data", volume.root().display());
        Self { name, flags: vec![mount], image: BARE, folder }.with([
            "--rm",
            "--network=none",
            "--env=MOORLINE_NO_BOOT_BACKUP=1",
            "--env=MOORLINE_NO_SERVE=1",
        ])
    }

    /// More flags of `podman run`.
    pub fn with<S: AsRef<str>>(mut self, flags: impl IntoIterator<Item = S>) -> Self {
        self.flags.extend(flags.into_iter().map(|flag| flag.as_ref().to_owned()));
        self
    }

    /// moorline stays PID 1.
    pub fn supervised(self) -> Self {
        self.with(["--env=MOORLINE_SUPERVISE=1"])
    }

    /// With the console.
    pub fn with_console(mut self) -> Self {
        self.flags.retain(|flag| flag != "--env=MOORLINE_NO_SERVE=1");
        self
    }

    /// In the network of this machine, with the console on a port of its own.
    pub fn with_console_to_talk_to(mut self) -> Self {
        self.flags.retain(|flag| flag != "--network=none");
        self.with_console().with(["--network=host", "--env=MOORLINE_LISTEN=127.0.0.1:0"])
    }

    /// Of the image that has a shell.
    pub fn with_shell(mut self) -> Self {
        self.image = WITH_SHELL;
        self
    }

    /// Starts it with these arguments, of which none are the image's own: the server.
    pub fn start<S: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = S>) -> Started {
        let mut command = podman();
        command.args(["run", "--name", &self.name]).args(&self.flags).arg(self.image).args(arguments);
        self.spawn(command)
    }

    /// The same on a terminal of its own, in which a test types.
    pub fn start_on_a_terminal(self, arguments: &[&str]) -> Started {
        let mut inner = podman();
        inner
            .args(["run", "--interactive", "--tty", "--name", &self.name])
            .args(&self.flags)
            .arg(self.image)
            .args(arguments);
        let words: Vec<String> = std::iter::once(inner.get_program())
            .chain(inner.get_args())
            .map(|word| shell_words::quote(&word.to_string_lossy()).into_owned())
            .collect();
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--flush", "--command", &words.join(" "), "/dev/null"]);
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        self.spawn(command)
    }

    /// Starts it and waits for its end.
    pub fn run<S: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = S>) -> Ended {
        self.start(arguments).wait()
    }

    fn spawn(self, mut command: Command) -> Started {
        let (out, err) = (self.folder.with_extension("out"), self.folder.with_extension("err"));
        command.stdin(Stdio::piped()).stdout(File::create(&out).expect("a file"));
        command.stderr(File::create(&err).expect("a file"));
        let child = command.spawn().expect("podman starts");
        Started { name: self.name, child, out, err, gone: false }
    }
}

/// A container that runs.
pub struct Started {
    name: String,
    child: Child,
    out: PathBuf,
    err: PathBuf,
    gone: bool,
}

impl Started {
    /// Waits until its output holds this.
    pub fn until_it_says(&mut self, text: &str) {
        let limit = Instant::now() + LIMIT;
        while !self.said().contains(text) {
            let ended = self.child.try_wait().expect("can be waited for");
            assert!(ended.is_none() && Instant::now() < limit, "never said {text:?} ({ended:?}):\n{}", self.said());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// `podman stop`, with this many seconds of grace.
    pub fn stop(&self, seconds: u32) {
        succeed(podman().args(["stop", "--time", &seconds.to_string(), &self.name]));
    }

    /// `podman healthcheck run`: whether the runtime finds it healthy, and what its log of checks says.
    pub fn is_healthy(&self) -> (bool, String) {
        let output = podman().args(["healthcheck", "run", &self.name]).output().expect("podman starts");
        let log = succeed(podman().args(["inspect", "--format", "{{json .State.Health}}", &self.name]));
        (output.status.success(), String::from_utf8_lossy(&log.stdout).into_owned())
    }

    /// `podman exec`: what the command prints on stderr.
    pub fn exec(&self, command: &[&str]) -> String {
        let output = succeed(podman().args(["exec", &self.name]).args(command));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// `podman exec`: what the command answers on stdout.
    pub fn answer(&self, command: &[&str]) -> String {
        let output = succeed(podman().args(["exec", &self.name]).args(command));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Where the console listens.
    pub fn console(&mut self) -> SocketAddr {
        self.until_it_says("the console listens on http://");
        let said = self.said();
        let at = said.split("the console listens on http://").nth(1).and_then(|rest| rest.split('/').next());
        at.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no address in {said}"))
    }

    /// `podman kill`.
    pub fn kill(&self, signal: &str) {
        succeed(podman().args(["kill", "--signal", signal, &self.name]));
    }

    /// Types on its terminal.
    pub fn types(&mut self, text: &str) {
        self.child.stdin.as_mut().expect("is open").write_all(text.as_bytes()).expect("is read");
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ended {
        let limit = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("can be waited for") {
                break status;
            }
            assert!(Instant::now() < limit, "it hangs:\n{}", self.said());
            thread::sleep(Duration::from_millis(20));
        };
        self.gone = true;
        Ended { code: status.code(), said: self.said() }
    }

    fn said(&self) -> String {
        let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).replace('\r', "");
        read(&self.out) + &read(&self.err)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if !self.gone {
            let _ = podman().args(["rm", "--force", "--time", "0", &self.name]).output();
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// How a container ended: its exit code, and its output with its log behind it.
#[derive(Debug)]
pub struct Ended {
    /// As `podman run` gives it.
    pub code: Option<i32>,
    /// stdout and stderr.
    pub said: String,
}

//! What surrounds the copy of a capture: `before` and `after`, a pause of the server, and the guard that undoes both.

use std::{fs, path::PathBuf};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    super::serve::client::Console,
    super::support::{End, KEY, Running, Start, TestVolume},
    profile_with, serving,
};

/// A volume with a server, and what `before` and `after` have logged.
struct Scene {
    volume: TestVolume,
    server: Running,
    log: PathBuf,
}

impl Scene {
    /// `before` and `after` are lines of shell in which `$LOG` and `$OK` are files beside the volume.
    fn new(capture: &str, before: &str, after: &str) -> Self {
        let volume = TestVolume::new();
        volume.write("db/state", "live");
        let log = volume.beside("log");
        let env = format!("env = {{ LOG = \"{}\", OK = \"{}\" }}", log.display(), volume.beside("ok").display());
        let [before, after] = [("before", before), ("after", after)]
            .map(|(key, line)| format!("{key} = [\"/bin/sh\", \"-ec\", '''{line}''']"));
        profile_with(&volume, &format!("{capture}\n{before}\n{after}\n{env}"));
        let server = serving(&volume);
        Self { volume, server, log }
    }

    fn moorline(&self, words: &[&str]) -> Start<'_> {
        let start = self.volume.moorline(words).env("MOORLINE_PROFILE", self.volume.beside("x.toml"));
        start.env("MOORLINE_SECRETKEY", KEY).not_pid_1()
    }

    fn back_up(&self) -> Start<'_> {
        self.moorline(&["backup", "-o"]).args([self.volume.beside("b.seqbac")])
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn extract(&self, name: &str) -> End {
        self.moorline(&["extract"]).args([self.volume.beside("b.seqbac")]).args(["-o", "-", name]).wait()
    }

    fn end(mut self) {
        self.server.signal(Signal::SIGKILL);
        self.server.wait();
    }
}

/// A command that says that it runs, and then waits.
const WAITS: &str = "replaces = \"db/\"\ntar = [\"/bin/sh\", \"-c\", \"echo copy >> $LOG; exec sleep 100\"]";
const BEFORE: &str = "echo before >> $LOG; echo 7";
const AFTER: &str = "echo after $MOORLINE_BEFORE >> $LOG";

#[test]
fn files_are_copied_between_two_commands() {
    let before = format!("echo quiet > db/state; echo new > db/new; {BEFORE}");
    let after = format!("{AFTER}; echo noisy > db/state; rm db/new; env >> $LOG");
    let scene = Scene::new("files = [\"db/**\"]", &before, &after);
    let end = scene.back_up().wait();
    assert_eq!(end.code, 0, "{end}");
    let log = scene.log();
    assert!(log.starts_with("before\nafter 7\n") && !log.contains(KEY), "{log}");
    assert_eq!(scene.volume.read("db/state"), "noisy\n");
    for (name, text) in [("db/state", "quiet\n"), ("db/new", "new\n")] {
        let end = scene.extract(name);
        assert_eq!((end.code, end.out.as_str()), (0, text), "{end}");
    }
    scene.end();
}

#[test]
fn after_runs_however_the_backup_ends() {
    let failing = "replaces = \"db/\"\ntar = [\"/bin/sh\", \"-c\", \"echo copy >> $LOG; exit 3\"]";
    let scene = Scene::new(failing, BEFORE, AFTER);
    let end = scene.back_up().wait();
    assert!(end.code != 0 && end.err.contains("exit code 3"), "{end}");
    assert_eq!(scene.log(), "before\ncopy\nafter 7\n");
    scene.end();

    let scene = Scene::new(WAITS, &format!("{BEFORE}; exit 4"), AFTER);
    let end = scene.back_up().wait();
    assert!(end.code != 0 && end.err.contains("`before` failed") && end.err.contains("exit code 4"), "{end}");
    assert_eq!(scene.log(), "before\nafter\n");
    scene.end();

    let scene = Scene::new(&format!("{WAITS}\ntimeout = \"2s\""), BEFORE, AFTER);
    let end = scene.back_up().wait();
    assert!(end.code == 75, "{end}");
    assert_eq!(scene.log(), "before\ncopy\nafter 7\n");
    scene.end();

    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let scene = Scene::new(WAITS, BEFORE, AFTER);
        let mut backup = scene.back_up().start();
        backup.until("the copy has begun", || scene.log().ends_with("copy\n"));
        backup.signal(signal);
        backup.until("after has run", || scene.log() == "before\ncopy\nafter 7\n");
        backup.wait();
        scene.end();
    }
}

/// The guards of this volume: the children of a process, or those that have lost it.
fn guards(scene: &Scene) -> Vec<Pid> {
    let lock = scene.volume.path(".moorline/captures/lock");
    let holds = |pid: &i32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|target| target == lock)
    };
    let ids = fs::read_dir("/proc").expect("a folder").flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(holds).map(Pid::from_raw).collect()
}

#[test]
fn after_that_nothing_could_run_is_run_by_the_next_backup_and_by_serve() {
    for by_serve in [false, true] {
        let scene = Scene::new(WAITS, BEFORE, AFTER);
        let mut backup = scene.back_up().start();
        backup.until("the copy has begun", || scene.log().ends_with("copy\n"));
        let guard = guards(&scene)[0];
        kill(guard, Signal::SIGKILL).expect("kills");
        backup.signal(Signal::SIGKILL);
        backup.wait();
        assert_eq!(scene.log(), "before\ncopy\n");
        if by_serve {
            let mut console = scene.moorline(&["serve"]).env("MOORLINE_LISTEN", "127.0.0.1:0").start();
            console.until("after has run", || scene.log().starts_with("before\ncopy\nafter 7\n"));
            console.signal(Signal::SIGTERM);
            console.wait();
        } else {
            let mut backup = scene.back_up().start();
            backup.until("the next copy has begun", || scene.log() == "before\ncopy\nafter 7\nbefore\ncopy\n");
            backup.signal(Signal::SIGTERM);
            backup.wait();
        }
        scene.end();
    }
}

#[test]
fn after_that_fails_is_an_error_until_it_succeeds() {
    let scene = Scene::new("files = [\"db/**\"]", BEFORE, &format!("[ -e $OK ] || exit 5; {AFTER}"));
    for times in 1..3 {
        let end = scene.back_up().wait();
        assert!(end.code != 0 && end.err.contains("`after` failed") && end.err.contains("exit code 5"), "{end}");
        // The second backup does not begin, because `before` would read what the first one has set.
        assert_eq!(scene.log(), "before\n", "{times}");
        assert!(!scene.volume.beside("b.seqbac").exists());
    }
    let console = Console::of(
        scene
            .moorline(&["serve"])
            .env("MOORLINE_LISTEN", "127.0.0.1:0")
            .env("MOORLINE_FIRSTRUN_NOAUTHENTICATION", "true"),
    );
    let health = console.get("/health");
    assert!(
        health.status == 503 && health.value()["Reasons"].to_string().contains("`after` of the capture"),
        "{health}"
    );
    console.stop();
    fs::write(scene.volume.beside("ok"), "").expect("writes");
    let end = scene.back_up().wait();
    assert_eq!((end.code, scene.log().as_str()), (0, "before\nafter 7\nbefore\nafter 7\n"), "{end}");
    assert!(
        !fs::read_dir(scene.volume.path(".moorline/captures"))
            .expect("a folder")
            .flatten()
            .any(|entry| { entry.file_name().to_string_lossy().ends_with(".json") })
    );
    scene.end();
}

/// Two processes, each of which counts in the first bytes of one file and then in those of another one.
const COUNTERS: &str = r#"
import mmap, os, struct, sys
root = sys.argv[1]
child = os.fork() == 0
parent = os.getppid()
first, last = [os.path.join(root, "db", name + ("1" if child else "2")) for name in "az"]
files = []
for path in (first, last):
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 4096)
    files.append(mmap.mmap(fd, 4096))
open(os.path.join(root, "db", "ready%d" % child), "w").close()
count = 0
# They end with moorline, which a test kills.
while count % 4096 or os.getppid() == parent:
    count += 1
    for file in files:
        struct.pack_into("<Q", file, 0, count)
"#;

/// A volume whose server counts under moorline, and a capture that stops it, with these keys.
fn counting(more: &str) -> (TestVolume, Running) {
    let volume = TestVolume::new();
    fs::create_dir(volume.path("db")).expect("creates");
    // It takes a moment to copy what is between the first file and the last one.
    fs::File::create(volume.path("db/large")).and_then(|file| file.set_len(20 << 20)).expect("creates");
    profile_with(&volume, &format!("files = [\"db/**\"]\nfreeze = true\n{more}"));
    let start = volume.moorline(["run", "--supervise", "--", "/usr/bin/python3", "-c", COUNTERS]).args([volume.root()]);
    let mut server = start.env("MOORLINE_SECRETKEY", KEY).not_pid_1().start();
    server.until("the server counts", || volume.has("db/ready0") && volume.has("db/ready1"));
    (volume, server)
}

fn frozen_backup(volume: &TestVolume) -> Start<'_> {
    let start = volume.moorline(["backup", "-o"]).args([volume.beside("b.seqbac")]).not_pid_1();
    start.env("MOORLINE_PROFILE", volume.beside("x.toml")).env("MOORLINE_SECRETKEY", KEY)
}

fn count(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"))
}

/// Both processes of the server go on counting.
fn goes_on(volume: &TestVolume, server: &mut Running) {
    for name in ["db/a1", "db/a2"] {
        let now = || count(&fs::read(volume.path(name)).expect("reads"));
        let before = now();
        server.until("it counts", || now() > before);
    }
}

/// The states of the server's processes.
fn states(server: &mut Running) -> Vec<char> {
    let mut waiting = vec![server.pid().as_raw()];
    let mut states = Vec::new();
    while let Some(pid) = waiting.pop() {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        for child in text.split_whitespace().filter_map(|id| id.parse::<i32>().ok()) {
            let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            states.extend(stat.rsplit(") ").next().and_then(|rest| rest.chars().next()));
            waiting.push(child);
        }
    }
    states
}

#[test]
fn the_server_stands_still_while_its_files_are_copied_and_goes_on() {
    let (volume, mut server) = counting("max_pause = \"60s\"");
    let end = frozen_backup(&volume).wait();
    assert!(end.code == 0 && end.err.contains("stopped the server for"), "{end}");
    goes_on(&volume, &mut server);
    let out = volume.beside("out");
    let names = ["db/a1", "db/z1", "db/a2", "db/z2"];
    let end = volume.moorline(["extract"]).args([volume.beside("b.seqbac")]).args(["-o"]).args([&out]).args(names);
    let end = end.env("MOORLINE_SECRETKEY", KEY).wait();
    assert_eq!(end.code, 0, "{end}");
    let counts = names.map(|name| count(&fs::read(out.join("state").join(name)).expect("reads")));
    for pair in counts.chunks(2) {
        assert!(pair[0] > 0 && (pair[0] == pair[1] || pair[0] == pair[1] + 1), "{counts:?}");
    }
    server.kill();
}

#[test]
fn the_server_goes_on_if_the_pause_is_too_long_or_the_backup_is_killed() {
    let (volume, mut server) = counting("max_pause = \"10ms\"");
    let end = frozen_backup(&volume).wait();
    assert!(end.code == 75 && end.err.contains("in time"), "{end}");
    assert!(!volume.beside("b.seqbac").exists());
    goes_on(&volume, &mut server);
    server.kill();

    let (volume, mut server) = counting("max_pause = \"60s\"");
    fs::File::create(volume.path("db/large")).and_then(|file| file.set_len(20 << 30)).expect("creates");
    let mut backup = frozen_backup(&volume).start();
    backup.until("the server stands still", || {
        let states = states(&mut server);
        states.len() == 2 && states.iter().all(|state| *state == 'T')
    });
    backup.signal(Signal::SIGKILL);
    backup.wait();
    goes_on(&volume, &mut server);
    server.kill();
}

#[test]
fn a_server_whose_processes_cannot_be_seen_is_not_stopped() {
    let volume = TestVolume::new();
    volume.write("db/live", "live");
    profile_with(&volume, "files = [\"db/**\"]\nfreeze = true");
    let mut server = serving(&volume);
    let end = frozen_backup(&volume).wait();
    assert!(end.code != 0 && end.err.contains("cannot be seen from here"), "{end}");
    server.signal(Signal::SIGKILL);
    server.wait();
}

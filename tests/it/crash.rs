//! kill -9, of the scripts' run, of the restore in it, and of the restarts that finish it.
//!
//! The volume holds one state, and a backup of an older one. However often and wherever moorline is killed, a server
//! that starts finds one of the two, whole; a script that restores takes effect once; and what was replaced comes
//! back with one command.

mod console;
mod quarantine;
mod scene;
mod stat;
mod state;
mod twins;

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use self::{
    scene::{Scene, Template, moorline},
    state::State,
};

const KILLS: u32 = 200;
/// After this many on one volume it is left alone to finish.
const KILLS_A_VOLUME: u32 = 6;
/// The system calls that change what is on the volume, or make it last. A `?` is for those that a machine lacks.
const CHANGES: [&str; 24] = [
    "fsync",
    "fdatasync",
    "syncfs",
    "?rename",
    "?renameat",
    "renameat2",
    "?link",
    "linkat",
    "?unlink",
    "unlinkat",
    "?rmdir",
    "?mkdir",
    "mkdirat",
    "?symlink",
    "symlinkat",
    "ftruncate",
    "?chmod",
    "fchmod",
    "fchmodat",
    "?chown",
    "fchown",
    "fchownat",
    "utimensat",
    "copy_file_range",
];

#[test]
fn killed_at_200_random_moments_it_is_restored_once_and_whole() {
    let template = Template::new();
    let undisturbed = template.fresh_with_script();
    let started = Instant::now();
    assert!(undisturbed.start().wait().success(), "{}", undisturbed.log());
    let whole_run = started.elapsed();
    undisturbed.must_be_restored_once_by_the_script(&template);

    let (mut kills, mut volumes) = (0, 0);
    while kills < KILLS {
        let scene = template.fresh_with_script();
        volumes += 1;
        for _ in 0..KILLS_A_VOLUME {
            let container = scene.start();
            thread::sleep(whole_run.mul_f64(random_fraction()));
            if !container.kill() {
                break;
            }
            kills += 1;
            scene.a_server_must_have_found_the_older_state(&template);
        }
        assert!(scene.start().wait().success(), "{}", scene.log());
        scene.must_be_restored_once_by_the_script(&template);
    }
    println!("{kills} kills on {volumes} volumes; an undisturbed run takes {whole_run:?}");
}

#[test]
fn a_restore_killed_before_each_change_it_makes_is_finished_or_never_happened() {
    let template = Template::new();
    let mut finished = 0;
    let kills = before_each_change(|point| {
        let scene = template.fresh();
        if !restore_killed_at(&scene, point) {
            return false;
        }
        assert!(scene.start().wait().success(), "{point:?}: {}", scene.log());
        let state = State::of(&scene.data());
        if state == template.older {
            finished += 1;
            assert_eq!(scene.restores(), ["done"], "{point:?}");
            scene.must_roll_back(&template);
        } else {
            assert_eq!(state, template.newer, "{point:?}: {}", scene.log());
            assert!(scene.restores().is_empty(), "{point:?}");
            moorline(&scene.data(), &["restore", "-y", "--from-latest"]);
            assert_eq!(State::of(&scene.data()), template.older, "{point:?}");
        }
        true
    });
    println!("killed before {kills} changes: {finished} finished, the others never happened");
    assert!(finished > 0 && finished < kills, "strace did not kill where it should");
}

#[test]
fn pid_1_killed_before_each_change_it_makes_ends_with_the_script_done_once() {
    let template = Template::new();
    let kills = before_each_change(|point| {
        let scene = template.fresh_with_script();
        let was_killed = run_killed_at(&scene, point);
        scene.a_server_must_have_found_the_older_state(&template);
        if was_killed {
            assert!(scene.start().wait().success(), "{point:?}: {}", scene.log());
        }
        scene.must_be_restored_once_by_the_script(&template);
        was_killed
    });
    println!("PID 1 killed before {kills} changes");
    assert!(kills > 5, "strace did not kill where it should");
}

/// On the way into the nth call of one kind.
#[derive(Debug)]
struct Point {
    call: &'static str,
    nth: u32,
}

/// Goes through all changes until nothing is killed there, and counts them.
fn before_each_change(killed_at: impl FnMut(&Point) -> bool) -> u32 {
    before_each(CHANGES.into_iter(), killed_at)
}

fn before_each(calls: impl Iterator<Item = &'static str>, mut killed_at: impl FnMut(&Point) -> bool) -> u32 {
    let kills_of = |call| (1..).take_while(|nth| killed_at(&Point { call, nth: *nth })).count();
    calls.map(kills_of).sum::<usize>().try_into().expect("not so many")
}

/// Restores, and is killed at this point. False where it does not get there.
fn restore_killed_at(scene: &Scene, point: &Point) -> bool {
    let mut restore = strace(scene, point);
    restore.args(["-f", env!("MOORLINE_PROGRAM"), "--storage"]).arg(scene.data());
    let output = restore.args(["restore", "-y", "--from-latest"]).output().expect("strace runs");
    let was_killed = strace_killed(scene);
    assert!(was_killed || output.status.success(), "{point:?}: {}", String::from_utf8_lossy(&output.stderr));
    was_killed
}

/// Starts a container whose PID 1 alone is killed at this point. False where it does not get there.
fn run_killed_at(scene: &Scene, point: &Point) -> bool {
    let mut container = scene.start_on_go();
    let pid_1 = container.pid_1().expect("waits for us");
    let mut tracer = strace(scene, point);
    tracer.args(["-p", &pid_1.to_string()]).stderr(Stdio::null());
    let mut tracer = tracer.spawn().expect("strace runs");
    let status = format!("/proc/{pid_1}/status");
    while fs::read_to_string(&status).expect("is there").contains("TracerPid:\t0\n") {
        assert!(tracer.try_wait().expect("ours").is_none(), "strace cannot attach");
        thread::sleep(Duration::from_millis(1));
    }
    fs::write(scene.path("go"), "\n").expect("PID 1 reads it");
    let status = container.wait();
    tracer.wait().expect("ends with what it traces");
    let was_killed = strace_killed(scene);
    assert!(was_killed || status.success(), "{point:?}: {status}: {}", scene.log());
    was_killed
}

fn strace(scene: &Scene, Point { call, nth }: &Point) -> Command {
    let mut strace = Command::new("strace");
    strace.arg("-o").arg(scene.path("strace")).args(["-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={call}:signal=SIGKILL:when={nth}")]);
    strace.stdin(Stdio::null());
    strace
}

fn strace_killed(scene: &Scene) -> bool {
    fs::read_to_string(scene.path("strace")).expect("strace's record").contains("+++ killed by SIGKILL +++")
}

fn random_fraction() -> f64 {
    f64::from(getrandom::u32().expect("random numbers")) / f64::from(u32::MAX)
}

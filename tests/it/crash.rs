//! kill -9, of the scripts' run, of the restore in it, and of the restarts that finish it.
//!
//! The volume holds one state, and a backup of an older one. However often and wherever moorline is killed, a server
//! that starts finds one of the two, whole; a script that restores takes effect once; and what was replaced comes
//! back with one command.

mod scene;
mod state;

use std::{
    fs,
    path::Path,
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
const CHANGES: &str = "fsync,fdatasync,syncfs,?rename,?renameat,renameat2,?link,linkat,?unlink,unlinkat,?rmdir,\
    ?mkdir,mkdirat,?symlink,symlinkat,ftruncate,?chmod,fchmod,fchmodat,?chown,fchown,fchownat,utimensat";

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
    let (mut finished, mut never_happened) = (0, 0);
    for nth in 1.. {
        let scene = template.fresh();
        if restore_killed_at(&scene, nth) {
            break;
        }
        assert!(scene.start().wait().success(), "change {nth}: {}", scene.log());
        let state = State::of(&scene.data());
        if state == template.older {
            finished += 1;
            assert_eq!(scene.restores(), ["done"], "change {nth}");
            scene.must_roll_back(&template);
        } else {
            never_happened += 1;
            assert_eq!(state, template.newer, "change {nth}: {}", scene.log());
            assert!(scene.restores().is_empty(), "change {nth}");
            moorline(&scene.data(), &["restore", "-y", "--from-latest"]);
            assert_eq!(State::of(&scene.data()), template.older, "change {nth}");
        }
    }
    println!("killed at {} changes: {never_happened} never happened, {finished} finished", finished + never_happened);
    assert!(finished > 0 && never_happened > 0, "strace did not kill where it should");
}

#[test]
fn pid_1_killed_before_each_change_it_makes_ends_with_the_script_done_once() {
    let template = Template::new();
    for nth in 1.. {
        let scene = template.fresh_with_script();
        if run_killed_at(&scene, nth) {
            assert!(nth > 3, "strace did not kill where it should");
            scene.must_be_restored_once_by_the_script(&template);
            println!("PID 1 killed at {} changes", nth - 1);
            break;
        }
        scene.a_server_must_have_found_the_older_state(&template);
        assert!(scene.start().wait().success(), "change {nth}: {}", scene.log());
        scene.must_be_restored_once_by_the_script(&template);
    }
}

/// Restores, and is killed on the way into the nth change. True where there are not so many.
fn restore_killed_at(scene: &Scene, nth: u32) -> bool {
    let mut restore = strace(nth);
    restore.args(["-f", env!("CARGO_BIN_EXE_moorline"), "--storage"]).arg(scene.data());
    let output = restore.args(["restore", "-y", "--from-latest"]).output().expect("strace runs");
    let was_killed = output.status.code().is_none_or(|code| code == 128 + 9);
    assert!(was_killed || output.status.success(), "change {nth}: {}", String::from_utf8_lossy(&output.stderr));
    !was_killed
}

/// Starts a container whose PID 1 alone is killed on the way into its nth change. True where it makes not so many.
fn run_killed_at(scene: &Scene, nth: u32) -> bool {
    let mut container = scene.start_on_go();
    let pid_1 = container.pid_1().expect("waits for us");
    let mut tracer = strace(nth).args(["-p", &pid_1.to_string()]).spawn().expect("strace runs");
    let status = format!("/proc/{pid_1}/status");
    while fs::read_to_string(&status).expect("is there").contains("TracerPid:\t0\n") {
        assert!(tracer.try_wait().expect("ours").is_none(), "strace cannot attach");
        thread::sleep(Duration::from_millis(1));
    }
    fs::write(scene.path("go"), "\n").expect("PID 1 reads it");
    let ended_by_itself = container.wait().success();
    tracer.wait().expect("ends with what it traces");
    ended_by_itself
}

fn strace(nth: u32) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-o", "/dev/null", "-e", &format!("trace={CHANGES}")]);
    strace.args(["-e", &format!("inject={CHANGES}:signal=SIGKILL:when={nth}")]);
    strace.stdin(Stdio::null()).current_dir(Path::new("/"));
    strace
}

fn random_fraction() -> f64 {
    f64::from(getrandom::u32().expect("random numbers")) / f64::from(u32::MAX)
}

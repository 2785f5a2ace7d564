//! Failures of folders, copies and modes end as the failure table says, and not at every start for ever.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
};

use crate::support::{End, TestVolume};

const SERVER: [&str; 2] = ["/bin/echo", "server"];
const AS_USER: [&str; 6] = ["run", "--user", "1000:1000", "--", "/bin/echo", "server"];

fn starts(end: &End) -> bool {
    end.code == 0 && end.out == "server\n"
}

/// A volume in use that belongs to user 4242.
fn of_4242() -> TestVolume {
    let volume = TestVolume::in_use();
    for path in ["", "Init", "app.conf"] {
        chown(volume.path(path), Some(4242), Some(0)).expect("changes");
    }
    volume
}

fn hide(path: std::path::PathBuf) {
    fs::create_dir_all(&path).expect("a folder");
    chown(&path, Some(0), Some(0)).expect("changes");
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("changes");
}

#[test]
fn a_folder_of_scripts_that_cannot_be_listed_fails_once() {
    for name in ["data/Init", "seqinit"] {
        let volume = of_4242();
        hide(volume.beside(name));
        let start = || volume.run(SERVER).with_user(4242).wait();
        let end = start();
        assert!(end.code == 14 && end.err.contains("chmod a+rx"), "{name}: {end}");
        let end = start();
        assert!(starts(&end) && end.err.contains("skipped"), "{name}: {end}");
        let status = volume.moorline(["status"]).with_user(4242).wait();
        assert_eq!(status.code, 0, "{name}: {status}");
        let bare = volume.moorline(["/bin/echo", "bare"]).with_user(4242).not_pid_1().wait();
        assert_eq!((bare.code, bare.out.as_str()), (0, "bare\n"), "{name}: {bare}");
    }
}

#[test]
fn a_stage_that_cannot_be_listed_can_be_passed_over() {
    for (name, code) in [("start.d", 14), ("ready.d", 0)] {
        let volume = of_4242();
        hide(volume.path("Init").join(name));
        let end = volume.run(SERVER).with_user(4242).wait();
        assert!(end.code == code && end.err.contains(name), "{name}: {end}");
        let end = volume.run(SERVER).with_user(4242).env("MOORLINE_INIT_ON_FAILURE", "continue").wait();
        assert!(starts(&end), "{name}: {end}");
        assert_eq!(volume.moorline(["status"]).with_user(4242).wait().code, 0, "{name}");
    }
}

#[test]
fn a_file_in_place_of_seqinit_fails_once() {
    let volume = TestVolume::in_use();
    fs::write(volume.beside("file"), "true").expect("writes");
    let start = || volume.run(SERVER).env("MOORLINE_SEQINIT", volume.beside("file")).wait();
    assert_eq!(start().code, 14);
    assert!(starts(&start()));
}

#[test]
fn a_script_of_seqinit_runs_as_the_user_where_root_may_not_change_owners() {
    let volume = TestVolume::in_use();
    volume.seqinit("a", "id -u; echo A=1 >> \"$MOORLINE_ENV\"");
    let server = ["run", "--user", "1000:1000", "--", "/bin/sh", "-c", "echo $A"];
    let without = "exec setpriv --bounding-set -chown --inh-caps -chown \"$@\"";
    let end = volume.moorline(server).before(without).wait();
    assert_eq!((end.code, end.out.as_str()), (0, "1\n"), "{end}");
    assert_eq!(volume.read("Init/a.log"), "1000\n");
    assert_eq!(volume.scripts(), ["a.done"]);
}

#[test]
fn a_temporary_folder_that_does_not_exist_stops_no_script() {
    let volume = TestVolume::in_use();
    fs::set_permissions(volume.root(), fs::Permissions::from_mode(0o755)).expect("changes");
    volume.script("a", "#!/bin/sh\n# moorline: user=root\nid -u\n");
    let end = volume.moorline(AS_USER).env("TMPDIR", "/no/such").wait();
    assert!(starts(&end) && volume.read("Init/a.log") == "0\n", "{end}");
}

#[test]
fn a_hangup_of_a_script_does_not_reach_the_server() {
    for name in ["packages", "start.d/packages"] {
        let volume = TestVolume::in_use();
        volume.script(name, "kill -HUP 1\nkill -USR1 1\necho installed\n");
        let server = ["run", "--supervise", "--", "/bin/sh", "-c", "sleep 0.2; echo server"];
        let end = volume.moorline(server).wait();
        assert!(starts(&end), "{name}: {end}");
    }
}

#[test]
fn a_volume_that_denies_changes_of_mode_is_restored() {
    let volume = TestVolume::in_use();
    assert_eq!(volume.moorline(["backup"]).wait().code, 0);
    volume.write("app.conf", "changed");
    volume.script("a", "seqsvr restore -y --from-latest");
    let calls = "chmod,fchmod,fchmodat";
    let deny = format!("exec strace -D -f -qq -o /dev/null -e trace={calls} -e inject={calls}:error=EPERM \"$@\"");
    let end = volume.run(SERVER).before(&deny).wait();
    assert!(starts(&end) && volume.read("app.conf") == "in use", "{end}");
    assert!(end.err.contains("cannot change the mode of"), "{end}");
}

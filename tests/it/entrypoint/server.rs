//! The server is what moorline was: the same process, with what moorline was given, and nothing of moorline's own.

use std::process::Command;

use nix::{libc, sys::signal::Signal};

use crate::support::{MOORLINE, TestVolume, quoted};

const SIGNALS: &str = "/bin/grep -E '^(SigBlk|SigIgn|ShdPnd|SigPnd)' /proc/self/status";

#[test]
fn the_server_is_pid_1_and_its_arguments_are_untouched() {
    let volume = TestVolume::in_use();
    let end =
        volume.run(["/bin/sh", "-c", "echo $$; printf '<%s>' \"$@\"", "sh", "--", "a b", "", "--storage", "-h"]).wait();
    assert_eq!((end.code, end.out.as_str()), (0, "1\n<--><a b><><--storage><-h>"), "{end}");
}

#[test]
fn the_servers_name_is_the_one_that_was_typed() {
    let volume = TestVolume::in_use();
    let end = volume.run(["sh", "-c", "tr '\\0' ' ' < /proc/self/cmdline; exit 7", "x"]).wait();
    assert_eq!(end.code, 7, "{end}");
    let end = volume.run(["cat", "/proc/self/cmdline"]).wait();
    assert_eq!(end.out, "cat\0/proc/self/cmdline\0", "{end}");
}

#[test]
fn mask_and_dispositions_are_those_that_moorline_was_given() {
    for parent in [
        "env --default-signal",
        "env --default-signal --ignore-signal=PIPE,INT,CHLD,HUP --block-signal=USR1,TERM,RTMIN+3",
        "env --default-signal --ignore-signal=PIPE",
        "env --default-signal=PIPE --ignore-signal=CHLD --block-signal=CHLD",
    ] {
        let direct = Command::new("/bin/sh").args(["-c", &format!("exec {parent} {SIGNALS}")]).output().expect("runs");
        let direct = String::from_utf8(direct.stdout).expect("is text");
        assert_eq!(direct.lines().count(), 4, "{direct}");
        let volume = TestVolume::in_use();
        // The interpreter itself, because a shell clears its mask.
        volume.script("x", "#!/bin/cat /proc/self/status\n");
        let server = ["grep", "-E", "^(SigBlk|SigIgn|ShdPnd|SigPnd)", "/proc/self/status"];
        for start in [volume.run(server), volume.run(server).not_pid_1()] {
            let end = start.before(&format!("exec {parent} \"$@\"")).wait();
            assert_eq!((end.code, &end.out), (0, &direct), "{parent}: {end}");
        }
        let log = volume.read("Init/x.log");
        for line in direct.lines() {
            assert!(log.contains(line), "{parent}: {line} {log}");
        }
    }
}

#[test]
fn the_server_gets_no_descriptor_but_the_lock() {
    let volume = TestVolume::in_use();
    volume.script("x", "true");
    volume.write("open", "");
    let open = volume.path("open");
    let descriptors = (3..40).map(|number| format!("/proc/self/fd/{number}"));
    let end = volume
        .run(["/bin/readlink".to_owned()].into_iter().chain(descriptors))
        .before(&format!("exec 7<{0} 9<{0}", quoted(open)))
        .wait();
    assert_eq!(end.out, format!("{}\n", volume.path(".moorline/lock").display()), "{end}");
}

#[test]
fn sockets_that_were_opened_for_it_by_number_stay_the_servers() {
    let volume = TestVolume::in_use();
    volume.script("x", "echo \"fds=$LISTEN_FDS\"; ls -l /proc/self/fd");
    volume.write("socket", "");
    let end = volume
        .run_sh("readlink /proc/$$/fd/3; echo $LISTEN_FDS")
        .before(&format!("exec 3<{} 4</dev/zero", quoted(volume.path("socket"))))
        .env("LISTEN_FDS", "1")
        .env("LISTEN_PID", "1")
        .wait();
    assert_eq!(
        (end.code, end.out.as_str()),
        (0, format!("{}\n1\n", volume.path("socket").display()).as_str()),
        "{end}"
    );
    let log = volume.read("Init/x.log");
    assert!(log.contains("fds=\n") && !log.contains("/socket") && !log.contains("/dev/zero"), "{log}");
}

#[test]
fn the_servers_end_is_the_containers() {
    let volume = TestVolume::in_use();
    assert_eq!(volume.run_sh("exit 42").wait().code, 42);
    let mut container =
        volume.run_sh("trap 'exit 5' TERM; touch \"$MOORLINE_STORAGE/up\"; while :; do sleep 0.05; done").start();
    container.until("it is up", || volume.has("up"));
    container.signal(Signal::SIGTERM);
    assert_eq!(container.wait().code, 5);
}

#[test]
fn a_reader_who_left_the_log_kills_neither_script_nor_server() {
    let volume = TestVolume::in_use();
    volume.script(
        "x",
        "echo one; echo two; i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done; touch \"$DATA_DIR/ran\"",
    );
    let line = format!("touch {}", quoted(volume.path("up")));
    let end = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "/bin/sh", "-c"])
        .arg("( sleep 0.2; exec \"$@\" ) 2>&1 >/dev/null | true; exit 0")
        .args(["sh", MOORLINE, "--storage"])
        .arg(volume.root())
        .args(["run", "--no-boot-backup", "--", "/bin/sh", "-c", &line])
        .output()
        .expect("runs");
    assert!(end.status.success());
    assert!(volume.has("ran") && volume.has("up"), "{:?}", volume.scripts());
    assert_eq!(volume.scripts(), ["x.done"]);
}

#[test]
fn closed_standard_descriptors_are_no_obstacle() {
    let volume = TestVolume::in_use();
    volume.script("x", "echo hello; echo hello >&2");
    let end = volume.run_sh("touch \"$MOORLINE_STORAGE/up\"").before("exec 0<&- 1>&- 2>&-").wait();
    assert_eq!((end.code, volume.has("up"), volume.scripts()), (0, true, vec!["x.done".to_owned()]), "{end}");
}

#[test]
fn a_log_that_nobody_reads_does_not_keep_a_signal_from_the_script() {
    let volume = TestVolume::in_use();
    volume.script("x", "touch \"$DATA_DIR/up\"; sleep 0.2 & head -c 300000 /dev/zero | tr '\\0' x; yes");
    let fifo = volume.beside("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    // Held open for reading, and never read.
    let mut container =
        volume.run(["/bin/echo", "server"]).before(&format!("exec 8<>{0} 2>{0}", quoted(&fifo))).start();
    container.until("it runs", || volume.has("up"));
    // Until the log takes nothing more.
    container.until("it is full", || written(&fifo) > 60_000);
    container.signal(Signal::SIGTERM);
    let end = container.wait();
    assert_eq!((end.code, volume.scripts()), (143, vec!["x".to_owned()]), "{end}");
}

/// How much there is to read in a pipe with a name.
fn written(fifo: &std::path::Path) -> libc::c_int {
    let mut bytes = 0;
    let open = std::fs::File::options().read(true).write(true).open(fifo).expect("opens");
    // SAFETY: an open descriptor, and a live integer that the call fills in.
    unsafe { libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&open), libc::FIONREAD, &raw mut bytes) };
    bytes
}

#[test]
fn no_server_is_a_usage_error() {
    let volume = TestVolume::in_use();
    volume.script("x", "touch \"$DATA_DIR/ran\"");
    let end = volume.moorline(["run"]).wait();
    assert_eq!((end.code, volume.has("ran")), (2, false), "{end}");
    assert!(end.err.contains("run -- my-server"), "{end}");
    let end = volume.moorline(["run", "--supervise", "--no-serve"]).without("MOORLINE_NO_SERVE").wait();
    assert_eq!((end.code, volume.has("ran")), (2, false), "{end}");
}

#[test]
fn a_key_is_made_before_the_server_starts_and_a_provider_is_asked() {
    let volume = TestVolume::in_use();
    let end = volume.run_sh("test -s \"$MOORLINE_STORAGE/.moorline/secret.key\"").wait();
    assert_eq!(end.code, 0, "{end}");
    assert!(end.err.contains("secret.key") && end.err.contains("save it somewhere else"), "{end}");

    let volume = TestVolume::in_use();
    let end = volume.run(["/bin/echo", "server"]).env("MOORLINE_SECRETKEY_PROVIDER", "/bin/false").wait();
    assert_eq!((end.code, end.out.as_str()), (1, ""), "{end}");
    assert!(end.err.contains("provider /bin/false"), "{end}");

    let mut container = volume
        .run(["/bin/echo", "server"])
        .env("MOORLINE_SECRETKEY_PROVIDER", "/bin/sh")
        .env("MOORLINE_SECRETKEY_PROVIDERARGS", "-c 'touch \"$MOORLINE_STORAGE/asked\"; sleep 1000'")
        .start();
    container.until("it is asked", || volume.has("asked"));
    container.signal(Signal::SIGTERM);
    let end = container.wait();
    assert_eq!((end.code, end.out.as_str()), (143, ""), "{end}");
}

#[test]
fn a_storage_root_that_is_not_there_or_not_writable_is_named() {
    let volume = TestVolume::in_use();
    let end = volume.moorline(["--storage", "/no/such/folder", "run", "--", "/bin/true"]).wait();
    assert_eq!(end.code, 10, "{end}");
    assert!(end.err.contains("/no/such/folder is not a directory"), "{end}");
    let end = volume.run(["/bin/true"]).with_user(4242).wait();
    assert_eq!(end.code, 1, "{end}");
    assert!(end.err.contains("cannot be used") && end.err.contains("owner and mode"), "{end}");
}

//! The backup before the server starts: taken when it is due, and never in the way.

use std::fs;

use nix::sys::signal::Signal;

use crate::support::{KEY, TestVolume, quoted};

fn backups(volume: &TestVolume) -> usize {
    fs::read_dir(volume.path("Backups")).expect("a folder").count()
}

#[test]
fn one_is_taken_where_there_is_state_and_none_a_day_old() {
    let volume = TestVolume::new();
    let start = || volume.run(["/bin/echo", "server"]).env("MOORLINE_NO_BOOT_BACKUP", "0").wait();
    let end = start();
    assert_eq!((end.code, end.out.as_str(), backups(&volume)), (0, "server\n", 0), "no state yet: {end}");
    volume.write("app.conf", "state");
    let end = start();
    assert_eq!((end.code, end.out.as_str(), backups(&volume)), (0, "server\n", 1), "{end}");
    let end = start();
    assert_eq!((end.code, end.out.as_str(), backups(&volume)), (0, "server\n", 1), "not due: {end}");
}

#[test]
fn that_it_fails_is_a_warning() {
    let volume = TestVolume::in_use();
    fs::create_dir_all(volume.path("Backups")).expect("a folder");
    let read_only = format!("mount --bind {0} {0}; mount -o remount,bind,ro {0}", quoted(volume.path("Backups")));
    let end = volume.run(["/bin/echo", "server"]).env("MOORLINE_NO_BOOT_BACKUP", "0").before(&read_only).wait();
    assert_eq!((end.code, end.out.as_str()), (0, "server\n"), "{end}");
    assert!(end.err.contains("warning: the boot backup failed"), "{end}");
}

#[test]
fn a_signal_to_stop_stops_it() {
    let volume = TestVolume::in_use();
    // The key is there at once when step 5 asks for it, and never when the backup does.
    let provider = format!(
        "-c 'cd \"$MOORLINE_STORAGE/.moorline\"; if mkdir asked; then echo {KEY}; else touch again; sleep 1000; fi'"
    );
    let mut container = volume
        .run(["/bin/echo", "server"])
        .env("MOORLINE_NO_BOOT_BACKUP", "0")
        .env("MOORLINE_SECRETKEY_PROVIDER", "/bin/sh")
        .env("MOORLINE_SECRETKEY_PROVIDERARGS", provider)
        .start();
    container.until("the backup asks for the key", || volume.has(".moorline/again"));
    container.signal(Signal::SIGTERM);
    let end = container.wait();
    assert_eq!((end.code, end.out.as_str(), backups(&volume)), (143, "", 0), "{end}");
}

//! A start with nothing to do is over before Rust's runtime is there, and nobody can tell but by the time it takes.

use std::fs;

use crate::support::{Start, TestVolume};

/// A volume on which there is nothing to do, whatever the run is told.
fn settled() -> TestVolume {
    let volume = TestVolume::new();
    volume.write("app.conf", "in use");
    volume.settle()
}

/// A start with no setting, on a volume that may be settled.
fn plain<'a>(volume: &'a TestVolume, flags: &[&str], line: &str) -> Start<'a> {
    let arguments = [&["run"], flags, &["--", "/bin/sh", "-c", line]].concat();
    volume.moorline(arguments).without("MOORLINE_SEQINIT").without("MOORLINE_NO_BOOT_BACKUP")
}

/// What a server can see of how it was started.
const LOOK: &str = "echo $0 $#; env | grep -v '^\\(_\\|PWD\\|SHLVL\\|MOORLINE_LOCK_WAIT\\)=' | sort; pwd; ls /proc/self/fd; \
                    grep -E '^(Sig|Shd|NSpid|PPid)' /proc/$$/status; cat /proc/$$/stat | cut -d' ' -f5,6,7; exit 9";

#[test]
fn the_server_finds_what_it_finds_after_the_long_way() {
    for flags in [&[][..], &["--supervise"]] {
        let volume = settled();
        let quiet = plain(&volume, flags, LOOK).wait();
        assert!(volume.was_quiet(), "{quiet}");
        let long = plain(&volume, flags, LOOK).env("MOORLINE_LOCK_WAIT", "30").wait();
        assert!(!volume.was_quiet(), "{long}");
        assert_eq!((quiet.code, &quiet.out, &quiet.err), (long.code, &long.out, &long.err), "{quiet} {long}");
        assert_eq!(quiet.code, 9, "{quiet}");
    }
}

#[test]
fn whatever_is_to_be_done_is_done() {
    let to_do: [(&str, fn(&TestVolume), &str); 6] = [
        ("a script", |volume| volume.script("a.sh", "echo ran"), "ran"),
        ("a script at every start", |volume| volume.write("Init/start.d/a.sh", "echo ran"), "ran"),
        ("a script that is being written", |volume| volume.script("a.sh~", "echo"), "a.sh~"),
        (
            "another key",
            |volume| volume.write(".moorline/secret.key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"),
            "fingerprint",
        ),
        ("no backup", |volume| fs::remove_dir_all(volume.path("Backups")).expect("removes"), "backup"),
        ("no folder for restores", |volume| fs::remove_dir(volume.path(".moorline/restores")).expect("removes"), ""),
    ];
    for (what, make, said) in to_do {
        let volume = settled();
        make(&volume);
        let end = plain(&volume, &[], "echo up").wait();
        assert!(!volume.was_quiet(), "{what}: {end}");
        assert!(format!("{}{}", end.out, end.err).contains(said), "{what}: {end}");
    }
}

#[test]
fn what_is_done_with_is_no_reason_for_the_long_way() {
    let volume = settled();
    volume.script("a.sh", "echo once");
    assert!(plain(&volume, &[], "true").wait().err.contains("once"));
    let again = plain(&volume, &[], "echo up").wait();
    assert_eq!((again.out.as_str(), volume.was_quiet()), ("up\n", true), "{again}");
    // Renamed back it runs again.
    fs::rename(volume.path("Init/a.sh.done"), volume.path("Init/a.sh")).expect("renames");
    assert!(plain(&volume, &[], "true").wait().err.contains("once"));
}

#[test]
fn a_key_that_was_written_again_is_checked_once() {
    let volume = settled();
    let key = volume.read(".moorline/secret.key");
    volume.write(".moorline/secret.key", key);
    assert!(!{
        plain(&volume, &[], "true").wait();
        volume.was_quiet()
    });
    plain(&volume, &[], "true").wait();
    assert!(volume.was_quiet(), "it is known to be the one that was recorded");
}

#[test]
fn a_volume_in_use_is_refused_as_ever() {
    let volume = settled();
    let mut first = plain(&volume, &[], "exec sleep 30").start();
    first.until("it holds the volume", || volume.was_quiet());
    let second = plain(&volume, &[], "echo up").env("MOORLINE_LOCK_WAIT", "0").wait();
    assert_eq!(second.code, 75, "{second}");
    assert!(second.err.contains("`run`"), "{second}");
    first.kill();
}

#[test]
fn a_program_that_is_not_there_is_explained_as_ever() {
    for flags in [&[][..], &["--supervise"]] {
        for program in ["/nowhere/at-all", "nowhere-on-the-path", "/etc", "/etc/passwd"] {
            let volume = settled();
            let arguments = [&["run"], flags, &["--", program]].concat();
            let start = || volume.moorline(&arguments).without("MOORLINE_SEQINIT").without("MOORLINE_NO_BOOT_BACKUP");
            let quiet = start().wait();
            let long = start().env("MOORLINE_LOCK_WAIT", "30").wait();
            assert_eq!((quiet.code, &quiet.err), (long.code, &long.err), "{quiet} {long}");
        }
    }
}

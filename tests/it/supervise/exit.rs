//! The exit code: the server's, 128 and the signal, and what it stands for.

use std::process::Command;

use crate::{
    supervise::{supervise, supervise_sh},
    support::{MOORLINE, TestVolume, quoted},
};

/// Every exit code of a server, and moorline's for it.
fn all_codes(volume: &TestVolume, flags: &str) -> Vec<u8> {
    let line = format!(
        "i=0; while [ $i -lt 256 ]; do {} run --no-boot-backup {flags} -- /bin/sh -c \"exit $i\"; echo $?; i=$((i+1)); done",
        quoted(MOORLINE)
    );
    let output = Command::new("/bin/sh")
        .args(["-c", &line])
        .env("MOORLINE_STORAGE", volume.root())
        .env("MOORLINE_SUPERVISE", "1")
        .output()
        .expect("runs");
    String::from_utf8_lossy(&output.stdout).lines().map(|code| code.parse().expect("a code")).collect()
}

#[test]
fn every_exit_code_is_the_servers() {
    assert_eq!(all_codes(&TestVolume::in_use(), ""), (0..=255).collect::<Vec<u8>>());
}

#[test]
fn every_exit_code_can_stand_for_another() {
    let rules: Vec<String> = (0..=255_u8).map(|code| format!("{code}={}", 255 - code)).collect();
    let (first, second) = rules.split_at(100);
    let flags = format!("--exit-code-map {} --exit-code-map {}", first.join(","), second.join(","));
    assert_eq!(all_codes(&TestVolume::in_use(), &flags), (0..=255).rev().collect::<Vec<u8>>());
}

#[test]
fn a_signal_is_128_and_its_number() {
    let volume = TestVolume::in_use();
    for signal in [1, 2, 3, 6, 9, 10, 11, 13, 15, 31, 34, 37, 64] {
        // Not bash, which ignores SIGQUIT.
        let end = supervise(&volume, &[], ["/bin/sh", "-c", &format!("kill -{signal} $$; sleep 10")]).wait();
        assert_eq!(end.code, 128 + signal, "{end}");
    }
    let end = supervise_sh(&volume, &["--exit-code-map=143=0"], "kill -TERM $$").wait();
    assert_eq!(end.code, 0, "{end}");
    let end = supervise_sh(&volume, &[], "kill -TERM $$").env("MOORLINE_EXIT_CODE_MAP", "1=2,143=7").wait();
    assert_eq!(end.code, 7, "{end}");
}

#[test]
fn settings_that_make_no_sense_are_refused_before_anything_is_done() {
    let volume = TestVolume::in_use();
    volume.script("x", "touch \"$DATA_DIR/ran\"");
    for flags in [
        ["--exit-code-map", "143"],
        ["--exit-code-map", "256=0"],
        ["--exit-code-map", "a=b"],
        ["--rewrite", "15"],
        ["--rewrite", "CHLD=TERM"],
        ["--rewrite", "TERM=NONE"],
        ["--stop-grace", "soon"],
        ["--parent-death-signal", "65"],
    ] {
        let end = supervise(&volume, &flags, ["/bin/true"]).wait();
        assert_eq!((end.code, volume.has("ran")), (2, false), "{flags:?}: {end}");
        assert!(end.err.contains(flags[0]), "{flags:?}: {end}");
    }
    for flags in [&["--rewrite", "15=3"][..], &["--signal-group"], &["--stop-grace", "1s"], &["--exit-code-map", "1=0"]]
    {
        let end = volume.moorline(["run"]).args(flags).args(["--", "/bin/true"]).wait();
        assert_eq!((end.code, end.err.contains("needs --supervise")), (2, true), "{flags:?}: {end}");
    }
}

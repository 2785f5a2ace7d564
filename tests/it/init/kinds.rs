//! The three kinds, and what is none of them.

use std::{fs, path::Path, process::Command};

use crate::support::{ENGINE, MOORLINE, TestVolume, quoted};

#[test]
fn a_built_in_script_needs_no_shell_no_shebang_and_no_lf() {
    for text in [
        "seqsvr show-key",
        "#!/bin/bash\r\n# the key\r\n\r\nmoorline show-key\r\n",
        "\u{feff}seqsvr show-key \\\n  --accept-new-key # now\n",
    ] {
        let volume = TestVolume::in_use();
        volume.script("x", text);
        let end = volume.run(["/bin/true"]).wait();
        assert_eq!(end.code, 0, "{text:?}: {end}");
        assert!(end.err.contains("running init script x (built-in)"), "{end}");
        let key = volume.read(".moorline/secret.key");
        assert!(volume.read("Init/x.log").contains(&key), "{text:?}: {end}");
        assert_eq!(volume.scripts(), ["x.done"]);
    }
}

#[test]
fn an_image_with_nothing_but_moorline_and_the_server_will_do() {
    let volume = TestVolume::in_use();
    let image = image_without_shell(&volume);
    volume.script("x", "#!/bin/sh\nseqsvr show-key\n");
    let chroot = format!("chroot {} /moorline", quoted(&image));
    let end = Command::new("unshare")
        .args(["--pid", "--fork", "--mount", "/bin/sh", "-euc"])
        .arg(format!(
            "mount --bind {} {}; exec {chroot} run --no-boot-backup -- /moorline --version",
            quoted(volume.root()),
            quoted(image.join("data"))
        ))
        .output()
        .expect("unshare runs");
    let err = String::from_utf8_lossy(&end.stderr);
    assert!(end.status.success(), "{err}");
    assert!(String::from_utf8_lossy(&end.stdout).starts_with("moorline "), "the server ran: {err}");
    assert_eq!(volume.scripts(), ["x.done"], "{err}");

    volume.script("y", "echo hello\n");
    let end = Command::new("unshare")
        .args(["--pid", "--fork", "--mount", "/bin/sh", "-euc"])
        .arg(format!(
            "mount --bind {} {}; exec {chroot} run --no-boot-backup -- /moorline --version",
            quoted(volume.root()),
            quoted(image.join("data"))
        ))
        .output()
        .expect("unshare runs");
    let err = String::from_utf8_lossy(&end.stderr);
    assert_eq!(end.status.code(), Some(14), "{err}");
    assert!(err.contains("the image has no /bin/sh"), "{err}");
}

/// A root with neither a shell nor /proc.
fn image_without_shell(volume: &TestVolume) -> std::path::PathBuf {
    let image = volume.beside("image");
    fs::create_dir_all(image.join("data")).expect("a folder");
    fs::copy(MOORLINE, image.join("moorline")).expect("copies");
    fs::copy(ENGINE, image.join("moorline-engine")).expect("copies");
    image
}

#[test]
fn shell_text_and_programs_need_no_permission() {
    let volume = TestVolume::in_use();
    volume.script("1-text", "echo text \"$0\" >> \"$DATA_DIR/ran\"");
    volume.script("2-shebang", "#!/bin/sh -e\necho \"shebang $0 ${-#*e}\" >> \"$DATA_DIR/ran\"");
    volume.script("3-mark", "\u{feff}#!/bin/sh\necho mark >> \"$DATA_DIR/ran\"");
    fs::copy("/usr/bin/env", volume.path("Init/4-image")).expect("copies");
    fs::set_permissions(volume.path("Init/4-image"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .expect("changes");
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!(end.code, 0, "{end}");
    let ran = volume.read("ran");
    let init = volume.path("Init").display().to_string();
    assert!(ran.contains(&format!("text {init}/1-text\nshebang {init}/2-shebang \n")), "{ran}");
    assert!(ran.ends_with("mark\n"), "{ran}");
    assert!(volume.read("Init/4-image.log").contains("DATA_DIR="));
    assert_eq!(volume.scripts(), ["1-text.done", "2-shebang.done", "3-mark.done", "4-image.done"]);
}

#[test]
fn a_noexec_volume_runs_all_kinds() {
    let volume = TestVolume::in_use();
    volume.script("1-built-in", "seqsvr show-key");
    volume.script("2-text", "seqsvr --version");
    volume.script("3-shebang", "#!/bin/sh\necho hi");
    fs::copy("/usr/bin/env", volume.path("Init/4-image")).expect("copies");
    let root = quoted(volume.root());
    let end = volume
        .run(["/bin/true"])
        .before(&format!("mount --bind {root} {root}; mount -o remount,bind,noexec {root}"))
        .wait();
    assert_eq!(end.code, 0, "{end}");
    assert!(volume.read("Init/2-text.log").contains("moorline 0."));
    assert!(volume.read("Init/4-image.log").contains("DATA_DIR="));
    assert_eq!(volume.scripts().len(), 4);
    assert!(volume.scripts().iter().all(|name| name.ends_with(".done")), "{end}");
}

#[test]
fn what_cannot_be_run_is_named_with_14_and_set_aside() {
    let cases: [(&str, &[u8], &str); 9] = [
        ("backup", b"\x89SBC\r\n\x1a\n\0\0", "it is a backup, not a script"),
        ("data", b"\0\x01\x02\x03", "neither text nor a program"),
        ("windows", b"MZ\x90\0", "a Windows program"),
        ("crlf", b"#!/bin/sh\r\necho hi\r\n", "Windows line ends (CRLF)"),
        ("crlf-text", b"echo hi\r\n", "Windows line ends (CRLF)"),
        ("interpreter", b"#!/no/such/program\n", "/no/such/program"),
        ("elf", b"\x7fELF\x02\x01\x01\0 but nothing more", "another processor, or damaged"),
        ("starts-a-server", b"seqsvr run -- /bin/true", "which an init script cannot do"),
        ("nothing", b"#!\n", "names no interpreter"),
    ];
    for (name, content, reason) in cases {
        let volume = TestVolume::in_use();
        volume.script(name, content);
        let end = volume.run(["/bin/echo", "server"]).wait();
        assert_eq!((end.code, end.out.as_str()), (14, ""), "{name}: {end}");
        assert!(end.err.contains(reason), "{name}: {end}");
        assert_eq!(volume.scripts(), [format!("{name}.failed")], "{end}");
        assert!(volume.read(Path::new("Init").join(format!("{name}.log"))).contains(reason), "{end}");
        let end = volume.run(["/bin/echo", "server"]).wait();
        assert_eq!((end.code, end.out.as_str()), (0, "server\n"), "the next start goes on without it: {end}");
    }
}

#[test]
fn the_first_command_that_fails_ends_a_built_in_script() {
    let volume = TestVolume::in_use();
    volume.script("x", "seqsvr show-key\nseqsvr show-key --nonsense\nseqsvr show-key --generate\n");
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!(end.code, 2, "{end}");
    assert!(end.err.contains("line 2 (`seqsvr …`) exited with 2"), "{end}");
    assert_eq!(volume.read("Init/x.log").matches("=\n").count(), 1, "line 3 was not run: {end}");
}

#[test]
fn a_command_that_is_no_verb_does_not_start_a_program_from_a_built_in_script() {
    let volume = TestVolume::in_use();
    volume.script("x", "seqsvr touch ../ran");
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!((end.code, volume.has("ran")), (2, false), "{end}");
    assert!(end.err.contains("`touch` is not a command of moorline"), "{end}");
}

#[test]
fn a_shell_script_cannot_start_init_again_either() {
    let volume = TestVolume::in_use();
    volume.script("x", "seqsvr run -- /bin/true; echo run $?; seqsvr init; echo init $?; seqsvr shell; echo shell $?");
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!(end.code, 0, "{end}");
    let log = volume.read("Init/x.log");
    assert!(log.contains("run 14\n") && log.contains("init 14\n") && log.contains("shell 14\n"), "{log}");
}

#[test]
fn a_script_that_asks_on_a_terminal_does_not_hang() {
    let volume = TestVolume::in_use();
    volume.script("x", "read -r answer < /dev/tty || echo nobody to ask");
    let line = format!("{} --storage {} run --no-boot-backup -- /bin/true", quoted(MOORLINE), quoted(volume.root()));
    let output = Command::new("script").args(["-qec", &line, "/dev/null"]).output().expect("script runs");
    assert!(output.status.success(), "{output:?}");
    assert!(volume.read("Init/x.log").contains("nobody to ask"));
}

#[test]
fn a_restore_in_a_built_in_script_has_the_volume_for_itself() {
    let volume = TestVolume::in_use();
    assert_eq!(volume.moorline(["backup"]).wait().code, 0);
    volume.write("app.conf", "changed");
    volume.script("x", "seqsvr restore -y --from-latest\r\n");
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!((end.code, volume.read("app.conf").as_str()), (0, "in use"), "{end}");
    assert_eq!(volume.scripts(), ["x.done"]);
    // A shell script's restore too.
    volume.write("app.conf", "changed");
    volume.script("y", "set -e; seqsvr restore -y --from-latest; cat ../app.conf");
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!((end.code, volume.read("app.conf").as_str()), (0, "in use"), "{end}");
    assert!(volume.read("Init/y.log").ends_with("in use"), "{end}");
}

#[test]
fn typography_in_a_command_is_named_with_its_place() {
    for (text, place, what) in [
        ("seqsvr\u{a0}restore -y\n", "line 1, column 7", "non-breaking space (U+00A0)"),
        ("# x\nseqsvr restore -y --backup=\u{201c}a b\u{201d}\n", "line 2, column 28", "quotation mark (U+201C)"),
        ("seqsvr restore \u{2013}y\n", "line 1, column 16", "dash"),
    ] {
        let volume = TestVolume::in_use();
        volume.script("x", text);
        let end = volume.run(["/bin/true"]).wait();
        assert_eq!(end.code, 14, "{text:?}: {end}");
        assert!(end.err.contains(place) && end.err.contains(what), "{text:?}: {end}");
    }
}

#[test]
fn a_comment_in_latin_1_does_not_need_a_shell() {
    let volume = TestVolume::in_use();
    volume.script("x", b"# Zur\xfccksetzen\nseqsvr show-key\n");
    let end = volume.run(["/bin/true"]).wait();
    assert!(end.code == 0 && end.err.contains("running init script x (built-in)"), "{end}");
}

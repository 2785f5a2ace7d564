//! What the log says about scripts that were written almost right, and what it does not repeat.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::support::{End, TestVolume};

const SERVER: [&str; 2] = ["/bin/echo", "server"];

fn start_with(script: impl AsRef<[u8]>) -> (TestVolume, End) {
    let volume = TestVolume::in_use();
    assert_eq!(volume.moorline(["backup"]).wait().code, 0);
    volume.script("x", script);
    let end = volume.run(SERVER).wait();
    (volume, end)
}

#[test]
fn a_character_that_no_keyboard_made_is_named_with_its_place() {
    for (text, place) in [
        (&b"seqsvr restore\xa0-y --from-latest\n"[..], "line 1, column 15"),
        (b"# x\nseqsvr restore -y \x96\x96from-latest\n", "line 2, column 19"),
        ("seqsvr restore -y \u{2011}-from-latest\n".as_bytes(), "line 1, column 19"),
        ("seqsvr restore\u{202f}-y --from-latest\n".as_bytes(), "line 1, column 15"),
        ("seqsvr restore -y --from-la\u{ad}test\n".as_bytes(), "line 1, column 28"),
        ("seqsvr restore -y --from-latest\u{2060}\n".as_bytes(), "line 1, column 32"),
        ("seqsvr list\u{2028}seqsvr restore -y\n".as_bytes(), "line 1, column 12"),
        ("seqsvr restore -y --backup=\u{ab}x\u{bb}\n".as_bytes(), "line 1, column 28"),
        ("seqsvr restore -y \\\n  \u{2013}from-latest\n".as_bytes(), "line 2, column 3"),
    ] {
        let (_, end) = start_with(text);
        assert!(end.code == 14 && end.err.contains(place), "{place}: {end}");
    }
}

#[test]
fn a_comment_behind_a_command_may_hold_any_character() {
    for text in ["seqsvr list # the \u{201c}latest\u{201d}\n".as_bytes(), b"seqsvr list # Zur\xfcck\n"] {
        let (volume, end) = start_with(text);
        assert_eq!((end.code, volume.scripts()), (0, vec!["x.done".to_owned()]), "{end}");
        assert!(end.err.contains("x (built-in)"), "{end}");
    }
}

#[test]
fn each_line_of_a_command_in_a_script_stands_once_and_names_moorline() {
    let (_, end) = start_with("seqsvr backup\n");
    assert_eq!(end.err.matches("backup complete").count(), 1, "{end}");
    let (_, end) = start_with("seqsvr restore -y --from-latest\nseqsvr rollback -y\n");
    assert!(end.err.contains("moorline: undid restore"), "{end}");
    let (_, end) = start_with("seqsvr restore -y --form-latest\n");
    assert!(end.code == 2 && end.err.contains("moorline: error: ") && !end.err.contains("\nerror: "), "{end}");
}

#[test]
fn options_in_place_of_a_command_lead_to_run() {
    let volume = TestVolume::in_use();
    let end = volume.moorline(["--port", "80"]).wait();
    assert!(end.code == 2 && end.err.contains("hint: ") && end.err.contains("run -- my-server"), "{end}");
}

#[test]
fn variables_of_a_service_beside_moorline_are_no_mistakes() {
    let volume = TestVolume::in_use();
    let mut start = volume.run(SERVER);
    for (name, value) in [
        ("MOORLINE_WEB_PORT", "tcp://10.0.0.1:80"),
        ("MOORLINE_WEB_SERVICE_HOST", "10.0.0.1"),
        ("MOORLINE_WEB_SERVICE_PORT_HTTP", "80"),
        ("MOORLINE_WEB_PORT_80_TCP_ADDR", "10.0.0.1"),
    ] {
        start = start.env(name, value);
    }
    let end = start.env("MOORLINE_WEB_PORTS", "x").wait();
    assert_eq!(end.err.matches("has no effect").count(), 1, "only the last: {end}");
}

#[test]
fn suffixes_in_upper_case_are_ignored_too() {
    let volume = TestVolume::in_use();
    for name in ["x.BAK", "x.TMP", "x.SWP", "x.DONE", "x.Failed"] {
        volume.script(name, "exit 3");
    }
    let end = volume.run(SERVER).wait();
    assert_eq!(end.code, 0, "{end}");
}

#[test]
fn a_script_of_any_language_in_lower_case_init_is_named() {
    let volume = TestVolume::in_use();
    volume.write("init/provision.py", "#!/usr/bin/env python3\nprint(1)\n");
    let end = volume.run(SERVER).wait();
    assert!(end.err.contains("init/provision.py does not run"), "{end}");
}

#[test]
fn a_request_for_root_in_another_spelling_is_named() {
    for request in ["#moorline: user=root", "# moorline: user = root"] {
        let volume = TestVolume::in_use();
        volume.script("x", format!("#!/bin/sh\n{request}\nid -u\n"));
        let end = volume.moorline(["run", "--user", "1000:1000", "--"]).args(SERVER).wait();
        assert!(end.code == 0 && end.err.contains(&format!("`{request}`")) && end.err.contains("no effect"), "{end}");
    }
}

#[test]
fn a_script_of_the_user_that_cannot_restore_is_told_how_in_any_language() {
    for text in [
        "#!/bin/sh\nseqsvr  restore -y --from-latest\nexit 0\n",
        "#!/usr/bin/perl\nsystem(\'seqsvr\', \'restore\', \'-y\');\n",
    ] {
        let volume = TestVolume::new();
        volume.script("x", text);
        let end = volume.moorline(["run", "--user", "1000:1000", "--"]).args(SERVER).wait();
        assert!(end.code != 0 && end.err.contains("runs as user 1000:1000, who cannot restore"), "{text}: {end}");
    }
}

#[test]
fn a_script_with_an_indent_on_each_line_runs_without_it() {
    let volume = TestVolume::in_use();
    let python = std::env::var("MOORLINE_TEST_PYTHON").unwrap_or_else(|_| "/usr/bin/python3".to_owned());
    volume.script("x", format!("  #!{python}\n  import sys\n\n  if sys:\n    print('ran')\n"));
    let end = volume.run(SERVER).wait();
    assert!(end.code == 0 && volume.read("Init/x.log") == "ran\n", "{end}");
}

#[test]
fn a_server_under_an_init_program_is_named_and_holds_the_lock() {
    let volume = TestVolume::in_use();
    let end = volume.moorline(["/bin/echo", "up"]).before("\"$@\"; exit").wait();
    assert!(end.code == 0 && end.err.contains("without init"), "{end}");
}

#[test]
fn a_request_for_root_that_is_refused_says_how_to_keep_the_volume_of_root() {
    let volume = TestVolume::new();
    fs::set_permissions(volume.root(), fs::Permissions::from_mode(0o755)).expect("changes");
    volume.script("a", "id -u > \"$DATA_DIR/made\"");
    volume.script("start.d/x", "#!/bin/sh\n# moorline: user=root\nid -u\n");
    let end = volume.moorline(["run", "--user", "1000:1000", "--"]).args(SERVER).wait();
    assert!(end.code == 14 && end.err.contains("--chown-volume=never"), "{end}");
}

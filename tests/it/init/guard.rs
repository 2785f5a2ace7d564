//! An empty volume is never served because a restore was overlooked.

use std::{fs, os::unix::fs::symlink};

use crate::support::{End, TestVolume};

const SERVER: [&str; 2] = ["/bin/echo", "server"];

/// A restore that fails, in a script that exits with 0.
const IGNORED: &str = "seqsvr restore -y --from-latest\necho end\n";

fn is_held(volume: &TestVolume, end: &End) -> bool {
    end.code != 0 && end.out.is_empty() && !volume.scripts().iter().any(|name| name.contains("restore.sh."))
}

#[test]
fn a_script_finds_seqsvr_where_root_may_not_change_owners() {
    let volume = TestVolume::new();
    volume.script("restore.sh", IGNORED);
    let start = volume.moorline(["run", "--user", "1000:1000", "--"]).args(SERVER);
    let end = start.before("exec setpriv --bounding-set -chown --inh-caps -chown \"$@\"").wait();
    assert!(is_held(&volume, &end) && end.err.contains("its `restore` failed"), "{end}");
}

#[test]
fn a_script_finds_seqsvr_on_a_volume_without_links() {
    for user in [None, Some("1000:1000")] {
        let volume = TestVolume::new();
        // A file in place of the folder of links: none can be created.
        volume.write(".moorline/bin", "");
        volume.script("restore.sh", IGNORED);
        let mut start = volume.run(SERVER);
        if let Some(user) = user {
            start = start.env("MOORLINE_USER", user);
        }
        let end = start.wait();
        assert!(is_held(&volume, &end) && end.err.contains("its `restore` failed"), "{end}");
    }
}

#[test]
fn a_volume_stays_empty_until_all_scripts_have_run() {
    for second in ["seqsvr restore -y --from-latest", IGNORED] {
        let volume = TestVolume::new();
        volume.script("10-plugins.sh", "mkdir -p $DATA_DIR/plugins; echo x > $DATA_DIR/plugins/a");
        volume.script("20-restore.sh", second);
        for _ in 0..2 {
            let end = volume.run(SERVER).wait();
            assert!(is_held(&volume, &end) && end.err.contains("held no state before"), "{second}: {end}");
        }
        volume.script("20-restore.sh", format!("{second}\n# edited"));
        let end = volume.run(SERVER).wait();
        assert!(is_held(&volume, &end) && end.err.contains("(attempt 1)"), "{second}: {end}");
        volume.script("20-restore.sh", "true");
        assert_eq!(volume.run(SERVER).wait().out, "server\n");
        // Now it is in use, and a failure is set aside.
        volume.script("30-restore.sh", second);
        assert_eq!(volume.run(SERVER).wait().code, 10);
        assert_eq!(volume.run(SERVER).wait().out, "server\n");
    }
}

#[test]
fn a_start_script_that_makes_state_hides_no_failed_restore() {
    let volume = TestVolume::new();
    volume.script("start.d/10-plugins", "echo x > $DATA_DIR/plugins");
    volume.script("start.d/20-restore", IGNORED);
    for _ in 0..2 {
        let end = volume.run(SERVER).env("MOORLINE_INIT_ON_FAILURE", "continue").wait();
        assert_eq!((end.code, end.out.as_str()), (10, ""), "{end}");
    }
}

#[test]
fn a_script_that_was_folded_or_has_nothing_to_do_is_not_done() {
    for text in [
        "#!/bin/sh\nset -e seqsvr restore -y --secret-key=\"$KEY\" --backup=../Backups/b.seqbac\n",
        "set -eu seqsvr restore -y --backup=\"${BACKUP:-../Backups/b.seqbac}\"\n",
        "#!/bin/bash\n\nset -euo pipefail # restore seqsvr restore -y --from-latest\n",
        "#!/bin/sh\nset -ex seqsvr restore -y --from-latest > out.txt 2>&1\n",
        "#!/bin/sh\nset -e seqsvr restore -y || exit 1; echo ok\n",
        "#!/bin/sh\ncd /tmp seqsvr restore -y --from-latest\n",
        "#!/bin/sh\necho restoring seqsvr restore -y --from-latest\n",
        "#!/bin/bash\nshopt -s nullglob seqsvr restore -y --from-latest\n",
        ": seqsvr restore -y --from-latest\n",
        "#!/usr/bin/perl -w use strict; system(\"seqsvr restore -y --from-latest\");\n",
        "#!/usr/bin/env node\n// restore require('child_process')\n",
        "#!/usr/bin/awk -f\n",
        "#!/bin/sed -f\n",
        "\u{a0}\n",
        "\u{feff}\u{200b}\n",
    ] {
        let volume = TestVolume::new();
        volume.script("restore.sh", text);
        let end = volume.run(SERVER).wait();
        assert!(is_held(&volume, &end) && end.err.contains("the script has no commands"), "{text:?}: {end}");
    }
}

#[test]
fn a_line_of_shell_that_calls_seqsvr_is_not_taken_for_a_folded_one() {
    for text in ["echo restoring; seqsvr list", "nice seqsvr list", "set -e; seqsvr list", "echo 'see seqsvr restore'"]
    {
        let volume = TestVolume::in_use();
        volume.script("a", text);
        let end = volume.run(SERVER).wait();
        assert_eq!((end.code, volume.scripts()), (0, vec!["a.done".to_owned()]), "{text}: {end}");
    }
}

#[test]
fn a_hash_bang_below_the_first_line_is_named() {
    for text in ["# Ansible managed\n#!/bin/bash\necho ok\n", "# !/bin/bash\necho ok\n"] {
        let volume = TestVolume::in_use();
        volume.script("a", text);
        let end = volume.run(SERVER).wait();
        assert!(end.code == 0 && end.err.contains("runs the script with /bin/sh"), "{text}: {end}");
    }
}

#[test]
fn a_mistyped_command_in_a_script_that_exits_with_0_fails_it() {
    for line in [
        "seqsvr restroe -y --from-latest",
        "seqsvr --storge \"$DATA_DIR\" restore -y --from-latest",
        "seqsvr /bin/echo restore",
    ] {
        let volume = TestVolume::new();
        volume.script("restore.sh", format!("{line}\necho ok\n"));
        let end = volume.run(SERVER).wait();
        assert!(is_held(&volume, &end) && end.err.contains("although the script exited with 0"), "{line}: {end}");
    }
}

#[test]
fn a_restore_in_the_background_that_is_stopped_fails_its_script() {
    let volume = TestVolume::new();
    volume.script("restore.sh", "MOORLINE_SECRETKEY_PROVIDER=/bin/sleep MOORLINE_SECRETKEY_PROVIDERARGS=99 seqsvr restore -y --from-latest &\nexit 0\n");
    let end = volume.run(SERVER).wait();
    assert!(is_held(&volume, &end), "{end}");
    // Another process that is left running does not fail a script whose restore has ended.
    let volume = TestVolume::in_use();
    assert_eq!(volume.moorline(["backup"]).wait().code, 0);
    volume.script("a", "seqsvr restore -y --from-latest\nsleep 99 &\nexit 0\n");
    let end = volume.run(SERVER).wait();
    assert_eq!((end.code, volume.scripts()), (0, vec!["a.done".to_owned()]), "{end}");
}

#[test]
fn a_second_source_that_is_not_mounted_starts_no_empty_server() {
    let dangling = |volume: &TestVolume| {
        symlink("/no/such", volume.beside("dangling")).expect("a link");
        volume.beside("dangling")
    };
    let missing = |volume: &TestVolume| volume.beside("missing");
    let sources: [&dyn Fn(&TestVolume) -> std::path::PathBuf; 2] = [&dangling, &missing];
    for source in sources {
        let volume = TestVolume::new();
        let source = source(&volume);
        let end = volume.run(SERVER).env("MOORLINE_SEQINIT", &source).wait();
        assert!(end.code == 14 && end.out.is_empty() && end.err.contains("does not exist"), "{end}");
        let end = volume.run(SERVER).env("MOORLINE_SEQINIT", &source).env("MOORLINE_ALLOW_EMPTY", "1").wait();
        assert!(end.code == 0 && end.err.contains("does not exist"), "{end}");
        fs::write(volume.path("state"), "x").expect("writes");
        let end = volume.run(SERVER).env("MOORLINE_SEQINIT", &source).wait();
        assert!(end.code == 0 && end.err.contains("warning") && end.err.contains("does not exist"), "{end}");
    }
}

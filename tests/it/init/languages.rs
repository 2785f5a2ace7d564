//! A restore in a script of a language that closes descriptors it does not know.

use std::fs;

use crate::{fixture::Data, support::TestVolume};

/// Each closes the lock's descriptor before it calls `seqsvr`.
const SCRIPTS: [(&str, &str); 2] = [
    (
        "sh",
        "#!/bin/bash\nfor fd in /proc/$$/fd/*; do fd=${fd##*/}; [ $fd -gt 2 ] && [ $fd != 255 ] && eval \"exec $fd>&-\"; done\nseqsvr restore -y --from-latest\n",
    ),
    (
        "python",
        "#!/usr/bin/env python3\nimport subprocess, sys\nsys.exit(subprocess.run(['seqsvr', 'restore', '-y', '--from-latest']).returncode)\n",
    ),
];

#[test]
fn a_script_that_lost_the_lock_can_restore() {
    for (name, text) in SCRIPTS {
        let volume = TestVolume::new();
        volume.write("state", "one");
        volume.moorline(["backup"]).wait();
        volume.write("state", "two");
        volume.script(name, text);
        let end = volume.run(["/bin/sh", "-c", "echo \"token:$MOORLINE_LOCK_TOKEN\""]).wait();
        assert_eq!((end.code, end.out.as_str()), (0, "token:\n"), "{name}: {end}");
        assert_eq!(volume.read("state"), "one", "{name}: {end}");
    }
}

#[test]
fn the_token_is_void_when_the_scripts_have_ended() {
    let volume = TestVolume::new();
    volume.write("state", "one");
    volume.moorline(["backup"]).wait();
    volume.script("leak", "echo \"$MOORLINE_LOCK_TOKEN\" > \"$DATA_DIR/token\"\n");
    let server = "MOORLINE_LOCK_TOKEN=$(cat \"$DATA_DIR/token\") moorline restore -y --from-latest; echo $?";
    let moorline = env!("MOORLINE_PROGRAM");
    let line = server.replace("moorline restore", &format!("'{moorline}' restore"));
    let end = volume.run(["/bin/sh", "-c", &line]).env("DATA_DIR", volume.root().into_os_string()).wait();
    assert_eq!(end.out, "75\n", "{end}");
    assert!(end.err.contains("in use by"), "{end}");
}

#[test]
fn a_token_that_was_made_up_opens_nothing() {
    let data = Data::with_state();
    data.backup();
    let volume = volume::Volume::open(data.root()).expect("opens");
    let _held = volume::Lock::take(&volume, "run", None).expect("is free");
    fs::write(data.path(".moorline/script.lock"), "0".repeat(64)).expect("written");
    for token in ["", "0", &"0".repeat(64)] {
        let mut restore = data.command(&["restore", "-y", "--from-latest"]);
        restore.env("MOORLINE_LOCK_TOKEN", token);
        crate::fixture::Ran::of(restore).fails(75, &["in use by"]);
    }
}

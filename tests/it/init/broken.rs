//! Entries of `Init/` and `/seqinit` in which no command can be found: they fail like scripts, and never start an empty server.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::Path,
};

use crate::support::{End, TestVolume};

const SERVER: [&str; 2] = ["/bin/echo", "server"];

fn starts(end: &End) -> bool {
    end.code == 0 && end.out == "server\n"
}

/// Text, and what the log says about it.
const WITHOUT_COMMANDS: [(&str, &str, &str); 8] = [
    ("folded", "#!/bin/sh seqsvr restore -y --from-latest\n", "goes on with `seqsvr …`"),
    ("folded-with-options", "#!/bin/bash -e seqsvr restore -y --from-latest\n", "goes on with `seqsvr …`"),
    ("folded-in-part", "#!/bin/sh set -e\n\nseqsvr restore -y --from-latest\n", "goes on with `set …`"),
    ("folded-by-env", "#!/usr/bin/env bash seqsvr restore -y --from-latest\n", "goes on with `seqsvr …`"),
    ("folded-without-mark", "set -e seqsvr restore -y --from-latest\n", "passes `seqsvr …` to `set`"),
    ("folded-into-a-comment", "# restores the newest backup seqsvr restore -y --from-latest\n", "only comments"),
    ("empty", "", "the file is empty"),
    ("comments", "#!/bin/sh\n# seqsvr restore -y --from-latest\n\n", "only comments"),
];

#[test]
fn a_script_without_a_command_is_not_done() {
    for (name, text, reason) in WITHOUT_COMMANDS {
        let volume = TestVolume::in_use();
        volume.script(name, text);
        let end = volume.run(SERVER).wait();
        assert_eq!((end.code, end.out.as_str()), (14, ""), "{name}: {end}");
        assert!(end.err.contains(reason) && end.err.contains("hint: "), "{name}: {end}");
        assert_eq!(volume.scripts(), [format!("{name}.failed")], "{end}");
        assert!(volume.read(format!("Init/{name}.log")).contains(reason), "{end}");
        assert!(starts(&volume.run(SERVER).wait()), "{name}");
    }
}

#[test]
fn a_script_without_a_command_starts_no_server_on_an_empty_volume() {
    for (name, text, reason) in WITHOUT_COMMANDS {
        let volume = TestVolume::new();
        volume.seqinit(name, text);
        for _ in 0..2 {
            let end = volume.run(SERVER).wait();
            assert_eq!((end.code, end.out.as_str()), (14, ""), "{name}: {end}");
            assert!(
                end.err.contains(reason) && end.err.contains("the volume held no state before its init scripts"),
                "{name}: {end}"
            );
            assert_eq!(volume.scripts(), [name]);
        }
    }
    let volume = TestVolume::new();
    volume.script("x", "");
    let end = volume.run(SERVER).env("MOORLINE_ALLOW_EMPTY", "1").wait();
    assert_eq!((end.code, volume.scripts()), (14, vec!["x.failed".to_owned()]), "{end}");
    assert!(starts(&volume.run(SERVER).wait()));
}

/// Makes an entry in a folder of scripts that is not a file.
type Make = fn(&Path);

fn entries() -> [(&'static str, Make, &'static str); 4] {
    [
        ("folder", |path| fs::create_dir(path).expect("a folder"), "is a folder, not a script"),
        (
            "dangling",
            |path| symlink("..data/nowhere", path).expect("a link"),
            "is a link to ..data/nowhere, which does not exist",
        ),
        (
            "loop",
            |path| symlink(path.file_name().expect("a name"), path).expect("a link"),
            "is a link that leads back to itself",
        ),
        (
            "pipe",
            |path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe"),
            "is a socket, pipe or device",
        ),
    ]
}

#[test]
fn an_entry_that_is_not_a_file_fails_once_and_stays_where_it_is() {
    for folder in ["data/Init", "seqinit"] {
        for (name, make, reason) in entries() {
            let volume = TestVolume::in_use();
            let path = volume.beside(folder).join(name);
            make(&path);
            let end = volume.run(SERVER).wait();
            assert_eq!((end.code, end.out.as_str()), (14, ""), "{folder}/{name}: {end}");
            assert!(end.err.contains(reason) && end.err.contains("the next start skips it"), "{name}: {end}");
            assert!(path.symlink_metadata().is_ok(), "{folder}/{name} is still there: {end}");
            assert!(volume.read(format!("Init/{name}.log")).contains(reason), "{folder}/{name}: {end}");
            let status = volume.moorline(["status"]).wait();
            assert!(status.code == 0 && status.out.contains(name), "{status}");
            for _ in 0..2 {
                let end = volume.run(SERVER).wait();
                assert!(starts(&end), "{folder}/{name}: {end}");
                assert!(end.err.contains("it is skipped, because an earlier start failed on it"), "{end}");
            }
            // In its place a script that can be run runs.
            if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) }.expect("removes");
            fs::write(&path, "touch \"$DATA_DIR/ran\"").expect("writes");
            let end = volume.run(SERVER).wait();
            assert!(starts(&end) && volume.has("ran"), "{folder}/{name}: {end}");
        }
    }
}

#[test]
fn an_entry_that_is_not_a_file_starts_no_server_on_an_empty_volume() {
    for folder in ["data/Init", "seqinit"] {
        for (name, make, reason) in entries() {
            let volume = TestVolume::new();
            let path = volume.beside(folder).join(name);
            make(&path);
            for _ in 0..3 {
                let end = volume.run(SERVER).env("MOORLINE_INIT_ON_FAILURE", "continue").wait();
                assert_eq!((end.code, end.out.as_str()), (14, ""), "{folder}/{name}: {end}");
                assert!(
                    end.err.contains(reason) && end.err.contains("the volume held no state before its init scripts"),
                    "{name}: {end}"
                );
            }
            if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) }.expect("removes");
            assert!(starts(&volume.run(SERVER).wait()), "{folder}/{name}");
        }
    }
}

#[test]
fn an_entry_whose_script_has_run_is_only_a_warning() {
    let volume = TestVolume::in_use();
    volume.seqinit("x", "true");
    assert!(starts(&volume.run(SERVER).wait()));
    fs::remove_file(volume.beside("seqinit").join("x")).expect("is there");
    symlink("..data/x", volume.beside("seqinit").join("x")).expect("a link");
    let end = volume.run(SERVER).wait();
    assert!(starts(&end) && end.err.contains("because the script x has run"), "{end}");
}

#[test]
fn a_script_without_permission_to_read_is_set_aside() {
    for on_failure in ["", "continue"] {
        let volume = TestVolume::in_use();
        volume.script("x", "echo hi");
        volume.script("y", "touch \"$DATA_DIR/ran\"");
        for path in ["", "Init", "app.conf", "Init/y"] {
            chown(volume.path(path), Some(4242), Some(0)).expect("changes");
        }
        fs::set_permissions(volume.path("Init/x"), fs::Permissions::from_mode(0o400)).expect("changes");
        let start = || {
            let start = volume.run(SERVER).with_user(4242);
            if on_failure.is_empty() { start.wait() } else { start.env("MOORLINE_INIT_ON_FAILURE", on_failure).wait() }
        };
        let status = volume.moorline(["status"]).with_user(4242).wait();
        assert!(status.code == 0 && status.out.contains("x, y"), "{status}");
        let end = start();
        assert!(end.err.contains("permission denied"), "{end}");
        if on_failure.is_empty() {
            assert!(end.code == 14 && end.err.contains("readable for user 4242") && !volume.has("ran"), "{end}");
            assert!(starts(&start()));
        } else {
            assert!(starts(&end), "{end}");
        }
        assert_eq!(volume.scripts(), ["x.failed", "y.done"], "{end}");
        assert!(volume.has("ran") && volume.read("Init/x.log").contains("permission denied"), "{end}");
    }
}

#[test]
fn a_start_script_that_is_not_a_file_fails_every_start() {
    let volume = TestVolume::in_use();
    volume.write("Init/start.d/x/helper", "");
    for _ in 0..2 {
        let end = volume.run(SERVER).wait();
        assert_eq!((end.code, end.out.as_str()), (14, ""), "{end}");
        assert!(end.err.contains("start.d/x is a folder, not a script"), "{end}");
    }
    assert!(starts(&volume.run(SERVER).env("MOORLINE_INIT_ON_FAILURE", "continue").wait()));
}

#[test]
fn blanks_before_the_hash_bang_do_not_change_the_interpreter() {
    for lead in ["\n", "  ", "\u{feff}\n \n\t"] {
        let volume = TestVolume::in_use();
        volume.script(
            "x",
            format!("{lead}#!/bin/bash\n[[ -d $DATA_DIR ]] && echo \"$BASH_VERSION\" > \"$DATA_DIR/ran\"\n"),
        );
        volume.script("y", format!("{lead}#!/bin/sh\nseqsvr show-key\n"));
        let end = volume.run(SERVER).wait();
        assert!(starts(&end) && volume.read("ran").len() > 3, "{lead:?}: {end}");
        assert!(end.err.contains("x has blanks before its #!") && end.err.contains("y (built-in)"), "{end}");
    }
}

#[test]
fn a_file_in_place_of_the_folder_of_scripts_is_named_with_a_hint() {
    let volume = TestVolume::in_use();
    fs::write(volume.beside("a-file"), "true").expect("writes");
    let end = volume.run(SERVER).env("MOORLINE_SEQINIT", volume.beside("a-file")).wait();
    assert_eq!((end.code, end.out.as_str()), (14, ""), "{end}");
    assert!(end.err.contains("is a file, but must be a folder") && end.err.contains("a-file/NAME"), "{end}");
    let volume = TestVolume::in_use();
    fs::remove_dir_all(volume.path("Init")).expect("is there");
    symlink("/no/such", volume.path("Init")).expect("a link");
    let end = volume.run(SERVER).wait();
    assert!(end.code == 1 && end.err.contains("hint: "), "{end}");
}

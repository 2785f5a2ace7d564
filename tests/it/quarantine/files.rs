//! Apps that are whole files and folders, and nodes of JSON files that a server keeps writing.

use std::fs;

use super::bell::Bell;
use crate::fixture::names;

const PROFILE: &str = r#"
name = "bell"
prefix = "bell"

[state]
files = ["hooks.json", "hooks.d/*", "cron.yaml", "scripts [x]"]

[[quarantine]]
name = "folder"
file = "scripts [[]x]"

[[quarantine]]
name = "cron"
file = "cron.yaml"
content = "jobs: []\n"

[[quarantine]]
name = "webhooks"
json = "hooks.json"
each = "/hooks/*"
key = "id"
where = { active = { not = false } }
set = { active = false, secret = { absent = true } }
"#;

const HOOKS: &str =
    "{\"hooks\":[{\"id\":18446744073709551615,\"secret\":\"\\u00e9\",\"active\":1e400},{\"id\":2,\"active\":false}]}";

fn bell() -> Bell {
    let bell = Bell::empty();
    bell.profile_is(&PROFILE.replace("\"scripts [x]\"]", "\"scripts [[]x]/\"]"));
    bell.data.file("hooks.json", HOOKS);
    bell.data.file("cron.yaml", "jobs: [live]\n");
    bell.data.file("scripts [x]/on start.sh", "#!/bin/sh\n");
    bell.data.file("scripts [x]/lib/a", "a");
    bell
}

/// A copy on a volume of its own, which knows the profile.
fn restored(original: &Bell) -> Bell {
    let copy = Bell::empty();
    copy.profile_is(&fs::read_to_string(original.beside("bell.toml")).expect("reads"));
    copy.restore(original, &original.backup(), &[]).succeeds();
    copy
}

#[test]
fn a_folder_put_aside_is_backed_up_and_comes_back_on_a_third_volume() {
    let original = bell();
    let before = original.data.state();
    let copy = restored(&original);
    assert_eq!(copy.off(), ["cron", "folder", "webhooks 18446744073709551615"]);
    assert_eq!(copy.data.read("cron.yaml"), "jobs: []\n");
    assert_eq!(names(&copy.path("scripts [x].quarantined")), ["lib", "on start.sh"]);
    assert!(!copy.path("scripts [x]").exists());
    let third = restored(&copy);
    assert_eq!(third.data.state(), copy.data.state());
    third.moorline(&["apps", "release", "--all"]).succeeds();
    assert_eq!(third.data.state(), before);
    assert!(!third.has_memory());
}

#[test]
fn what_a_restore_replaces_takes_its_folder_with_it() {
    let original = bell();
    let (before, on) = (original.data.state(), original.backup());
    let copy = restored(&original);
    let quarantined = copy.data.state();
    copy.restore(&original, &on, &["--enable-apps"]).succeeds();
    assert_eq!(copy.data.state(), before);
    copy.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(copy.data.state(), quarantined);
}

#[test]
fn a_node_is_released_in_a_file_that_the_server_has_rewritten() {
    let copy = restored(&bell());
    assert_eq!(
        copy.data.read("hooks.json"),
        "{\"hooks\":[{\"id\":18446744073709551615,\"active\":false},{\"id\":2,\"active\":false}]}"
    );
    copy.data.file("hooks.json", "{\n  \"hooks\": [\n    {\"active\": false, \"id\": 2},\n    {\"active\": false, \"id\": 18446744073709551615}\n  ],\n  \"new\": 1\n}\n");
    copy.moorline(&["apps", "release", "webhooks"]).succeeds();
    assert_eq!(
        copy.data.read("hooks.json"),
        "{\n  \"hooks\": [\n    {\"active\": false, \"id\": 2},\n    {\"active\": 1e400, \"id\": 18446744073709551615,\"secret\":\"\\u00e9\"}\n  ],\n  \"new\": 1\n}\n"
    );
    assert_eq!(copy.off(), ["cron", "folder"]);
}

#[test]
fn a_json_file_that_is_none_fails_the_restore_and_is_named() {
    let original = bell();
    original.data.file("hooks.json", "{\"hooks\": [}");
    let copy = Bell::empty();
    copy.profile_is(&fs::read_to_string(original.beside("bell.toml")).expect("reads"));
    let said = ["the step \"webhooks\": hooks.json: it is not JSON: expected value at line 1 column 12"];
    copy.restore(&original, &original.backup(), &[]).fails(13, &said);
    assert!(copy.data.state().is_empty(), "{:?}", copy.data.state());
    assert!(!copy.has_memory());
}

#[test]
fn owner_and_mode_stay_through_quarantine_and_release() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

    let bell = bell();
    let files = ["hooks.json", "cron.yaml", "scripts [x]/on start.sh"];
    let is_root = nix::unistd::geteuid().is_root();
    for file in files {
        fs::set_permissions(bell.path(file), fs::Permissions::from_mode(0o741)).expect("changed");
        if is_root {
            chown(bell.path(file), Some(4321), Some(1234)).expect("changed");
        }
    }
    let look = |file: &str| {
        let meta = fs::metadata(bell.path(file)).expect("is there");
        (meta.mode(), meta.uid(), meta.gid())
    };
    let before = files.map(look);
    bell.moorline(&["apps", "disable", "--all"]).succeeds();
    assert_eq!(["hooks.json", "cron.yaml", "scripts [x].quarantined/on start.sh"].map(look), before);
    assert_eq!(look("cron.yaml.quarantined"), before[1]);
    bell.moorline(&["apps", "release", "--all"]).succeeds();
    assert_eq!(files.map(look), before);
    assert_eq!(bell.data.read("hooks.json"), HOOKS);
}

//! `.moorline/`, `Init/` and `Backups/` beside the storage root, for a server whose data directory must be empty at first.

use std::fs;

use serde_json::json;

use crate::{
    serve::client::{self, Console, PASSWORD},
    support::{End, Start, TestVolume, quoted},
};

const HOME: &str = "MOORLINE_HOME";

/// A volume whose storage root `data` is empty.
fn empty() -> TestVolume {
    let volume = TestVolume::new();
    fs::remove_dir(volume.path("Init")).expect("is empty");
    volume
}

/// With the three folders beside the storage root.
fn beside<'a>(volume: &TestVolume, start: Start<'a>) -> Start<'a> {
    let start = start.env(HOME, volume.beside(".moorline")).env("MOORLINE_INIT", volume.beside("Init"));
    start.env("MOORLINE_BACKUP_LOCATION", volume.beside("Backups"))
}

fn names(volume: &TestVolume) -> Vec<String> {
    let names = fs::read_dir(volume.root()).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().expect("text")).collect();
    names.sort();
    names
}

#[track_caller]
fn succeeds(start: Start<'_>) -> End {
    let end = start.wait();
    assert_eq!(end.code, 0, "{end}");
    end
}

/// The first start of a server that refuses a data directory with anything in it.
fn first_start(volume: &TestVolume) {
    let initdb = "test -z \"$(ls -A \"$MOORLINE_STORAGE\")\" && echo one > \"$MOORLINE_STORAGE/table\"";
    succeeds(beside(volume, volume.run_sh(initdb)));
}

#[test]
fn the_data_folder_stays_empty_of_ours_through_backup_restore_and_rollback() {
    let volume = empty();
    first_start(&volume);
    let is_clean = || assert_eq!(names(&volume), ["table"]);
    is_clean();
    let backup = succeeds(beside(&volume, volume.moorline(["backup"])));
    assert!(backup.out.starts_with(&volume.beside("Backups").display().to_string()), "{backup}");
    // The boot backup and the key are in place, too.
    succeeds(beside(&volume, volume.run(["/bin/true"])).without("MOORLINE_NO_BOOT_BACKUP"));
    assert!(volume.beside(".moorline/secret.key").exists() && volume.beside("Init").is_dir());
    is_clean();
    volume.write("table", "two\n");
    fs::write(volume.beside("Init/restore.sh"), "seqsvr restore -y --from-latest\n").expect("writes");
    let start = beside(&volume, volume.run_sh("cat \"$MOORLINE_STORAGE/table\"")).env("MOORLINE_SUPERVISE", "1");
    let end = succeeds(start);
    assert_eq!(end.out, "one\n", "{end}");
    assert!(volume.beside("Init/restore.sh.done").exists(), "{end}");
    is_clean();
    let replaced = fs::read_dir(volume.beside(".moorline/restores")).expect("a folder").count();
    assert_eq!(replaced, 1, "the replaced state is kept in the home");
    fs::write(volume.beside("Init/undo.sh"), "set -e\nseqsvr rollback -y\n").expect("writes");
    succeeds(beside(&volume, volume.run(["/bin/true"])));
    assert_eq!(volume.read("table"), "two\n");
    is_clean();
    let status = succeeds(beside(&volume, volume.moorline(["status", "--json"])));
    assert!(status.out.contains("restore.sh"), "{status}");
    let listed = succeeds(beside(&volume, volume.moorline(["list"])));
    assert!(listed.out.contains(".seqbac"), "{listed}");
    is_clean();
}

#[test]
fn a_server_in_place_of_moorline_holds_both_locks_and_is_healthy() {
    let volume = empty();
    first_start(&volume);
    let mut server = beside(&volume, volume.run_sh("touch \"$MOORLINE_STORAGE/up\"; exec sleep 100")).start();
    server.until("it is up", || volume.has("up"));
    let health = beside(&volume, volume.moorline(["health"])).env("MOORLINE_HEALTH", "alive:0s").not_pid_1();
    succeeds(health);
    let restore = beside(&volume, volume.moorline(["restore", "-y", "--from-latest"])).wait();
    assert_eq!(restore.code, 75, "{restore}");
    // Another home would have another lock file; it is somewhere that the search for homes does not reach.
    let far = volume.beside("far/away");
    fs::create_dir_all(&far).expect("folders");
    let other = beside(&volume, volume.run(["/bin/true"])).env(HOME, far.join("home")).env("MOORLINE_LOCK_WAIT", "0s");
    let refused = other.before(&format!("rm {}", quoted(volume.beside(".moorline/storage-root")))).wait();
    assert_eq!(refused.code, 75, "{refused}");
    assert!(refused.err.contains("another MOORLINE_HOME"), "{refused}");
    server.kill();
}

#[test]
fn a_storage_root_has_one_home() {
    let volume = empty();
    first_start(&volume);
    let home = volume.beside(".moorline");
    // Forgotten, or changed.
    for start in [
        volume.run(["/bin/true"]),
        volume.moorline(["backup"]),
        volume.moorline(["list"]),
        volume.run(["/bin/true"]).env(HOME, volume.beside("second")),
        volume.moorline(["status"]).env(HOME, volume.beside("second")),
    ] {
        let end = start.wait();
        assert_eq!(end.code, 2, "{end}");
        assert!(end.err.contains(&format!("hint: set MOORLINE_HOME={}", home.display())), "{end}");
        assert!(names(&volume) == ["table"] && !volume.beside("second").exists(), "{end}");
    }
    let health = volume.moorline(["health"]).wait();
    assert!(health.code == 1 && health.out.contains("would be a second one"), "{health}");
    // A home of another storage root.
    fs::create_dir(volume.beside("data2")).expect("a folder");
    let other = beside(&volume, volume.run(["/bin/true"])).env("MOORLINE_STORAGE", volume.beside("data2")).wait();
    assert_eq!(other.code, 2, "{other}");
    assert!(other.err.contains("is the home of the storage root"), "{other}");
    // A home on the storage root.
    let volume = TestVolume::in_use().settle();
    for start in [volume.run(["/bin/true"]), volume.moorline(["list"])] {
        let end = start.env(HOME, volume.beside("second")).wait();
        assert_eq!(end.code, 2, "{end}");
        assert!(end.err.contains("would be a second one") && end.err.contains("unset MOORLINE_HOME"), "{end}");
    }
}

#[test]
fn a_home_on_another_file_system_is_refused_with_the_folder_to_use() {
    let volume = empty();
    let other = volume.beside("other");
    fs::create_dir(&other).expect("a folder");
    let mount = format!("mount -t tmpfs none {}", quoted(&other));
    let end = beside(&volume, volume.run(["/bin/true"])).env(HOME, other.join("home")).before(&mount).wait();
    assert_eq!(end.code, 2, "{end}");
    let hint =
        format!("hint: use a folder beside the storage root: MOORLINE_HOME={}", volume.beside(".moorline").display());
    assert!(end.err.contains(&hint), "{end}");
    // The storage root is the mount.
    let mount = format!("mount -t tmpfs none {}", quoted(volume.root()));
    let end = beside(&volume, volume.run(["/bin/true"])).before(&mount).wait();
    assert_eq!(end.code, 2, "{end}");
    assert!(end.err.contains("make the storage root a folder below the mount"), "{end}");
    assert!(names(&volume).is_empty());
}

#[test]
fn a_place_within_the_storage_root_is_refused() {
    let volume = TestVolume::in_use();
    for (variable, folder) in [
        (HOME, volume.path("sub")),
        ("MOORLINE_INIT", volume.path("scripts")),
        ("MOORLINE_INIT", volume.root()),
        (HOME, "relative".into()),
        (HOME, "/no/such/folder".into()),
    ] {
        let end = volume.run(["/bin/true"]).env(variable, folder).wait();
        assert!(end.code == 2 && end.err.contains(variable), "{end}");
    }
    // The default places may be named.
    let start = volume.run(["/bin/true"]).env(HOME, volume.path(".moorline")).env("MOORLINE_INIT", volume.path("Init"));
    succeeds(start);
    assert!(volume.has(".moorline/instance.json"));
}

#[test]
fn the_console_keeps_its_database_in_the_home_and_a_restore_brings_it_back() {
    let volume = empty();
    first_start(&volume);
    let serve = || beside(&volume, client::serve(&volume));
    let console = Console::of(serve().env("MOORLINE_FIRSTRUN_ADMINPASSWORD", "the first one"));
    let login = json!({"Username": "admin", "Password": "the first one", "NewPassword": PASSWORD});
    let session = console.post("/api/users/login", &login).session();
    let second = console.user(&session, "second", "role-user-readonly");
    console.back_up(&session);
    console.ask("DELETE", &format!("/api/users/{}", second.user)).by(&session).send().is(204);
    console.stop();
    assert!(volume.beside(".moorline/metastore.db").exists());
    fs::write(volume.beside("Init/restore.sh"), "seqsvr restore -y --from-latest\n").expect("writes");
    succeeds(beside(&volume, volume.run(["/bin/true"])));
    let console = Console::of(serve());
    console.log_in("second", PASSWORD).is(200);
    console.stop();
    assert_eq!(names(&volume), ["table"]);
}

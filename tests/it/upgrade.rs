//! Volumes of ad332f6, the last version that was one program: this version continues where that one was stopped.
//!
//! `tests/volumes/make` creates the volumes. For each, `NAME.outcome` is what the server printed when ad332f6 started it on a
//! copy of that volume: its variables, its arguments, its database and files, and what is left for the next start.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    serve::client::{Console, PASSWORD, serve},
    support::{ENGINE, End, MOORLINE, Start, TestVolume},
};

/// The apps of the server.
const APPS: [&str; 9] =
    ["alerts 1", "alerts 3", "alerts 4", "jobs mail,1", "jobs mail,2", "quiet", "safe mode", "scripts", "webhooks w1"];

/// A volume that a start has to work on before its server runs: its name, and the reason that a start without the engine
/// gives.
const UNFINISHED: [(&str, &str); 6] = [
    ("restore-staged", "interrupted restore"),
    ("restore-committed", "interrupted restore"),
    ("switching-off", "apps have to be switched off or released"),
    ("release-requested", "apps have to be switched off or released"),
    ("all-staged", "interrupted restore"),
    ("all-committed", "interrupted restore"),
];

fn file(name: &str) -> PathBuf {
    Path::new(env!("MOORLINE_REPOSITORY")).join("tests/volumes").join(name)
}

/// A copy of the volume.
fn unpacked(name: &str) -> TestVolume {
    let volume = TestVolume::new();
    fs::remove_dir_all(volume.root()).expect("removes");
    fs::create_dir(volume.root()).expect("a folder");
    let tar =
        Command::new("tar").arg("-xzf").arg(file(&format!("{name}.tar.gz"))).arg("-C").arg(volume.root()).status();
    assert!(tar.expect("tar runs").success());
    volume
}

/// What the server printed under ad332f6.
fn outcome(name: &str) -> String {
    fs::read_to_string(file(&format!("{name}.outcome"))).expect("reads")
}

/// A command with yesterday's profile.
fn moorline<'a>(volume: &'a TestVolume, arguments: &[&str]) -> Start<'a> {
    volume.moorline(arguments).env("MOORLINE_PROFILE", file("bell.toml"))
}

/// A start as ad332f6 did it for the outcome.
fn start<'a>(volume: &'a TestVolume, flags: &[&str]) -> Start<'a> {
    let server = file("server");
    moorline(volume, &[&["run"], flags, &["--", &server.to_string_lossy(), "--own"]].concat())
}

/// Starts the server, which must find what it found under ad332f6.
#[track_caller]
fn goes_on(volume: &TestVolume, name: &str) -> End {
    let end = start(volume, &[]).wait();
    assert_eq!((end.code, end.out.as_str()), (0, outcome(name).as_str()), "{name}: {end}");
    end
}

/// Runs a command that must succeed; its stdout.
#[track_caller]
fn done(volume: &TestVolume, arguments: &[&str]) -> String {
    let end = moorline(volume, arguments).not_pid_1().wait();
    assert_eq!(end.code, 0, "{arguments:?}: {end}");
    end.out
}

#[track_caller]
fn json(volume: &TestVolume, arguments: &[&str]) -> Value {
    serde_json::from_str(&done(volume, arguments)).expect("is JSON")
}

/// The ids of the server's apps that are off.
fn off(volume: &TestVolume) -> Vec<String> {
    let listed = json(volume, &["apps", "list", "--json"]);
    let ids = listed["apps"].as_array().expect("a list").iter().map(|app| app["id"].as_str().expect("text").to_owned());
    let mut ids: Vec<String> = ids.filter(|id| APPS.contains(&id.as_str())).collect();
    ids.sort();
    ids
}

/// The lines about the server's own state.
fn state(output: &str) -> Vec<&str> {
    let is_state = |line: &&str| ["alerts ", "jobs ", "outbox ", "hooks"].iter().any(|start| line.starts_with(start));
    output.lines().filter(is_state).collect()
}

/// The state of the original when its last backup was taken.
fn original() -> Vec<String> {
    let plain = outcome("plain");
    let lines = state(&plain).into_iter().filter(|line| !line.starts_with("outbox "));
    lines.map(str::to_owned).collect()
}

/// Every path on the volume with all that a write would change, except the lock, which each start takes.
fn tree(volume: &TestVolume) -> BTreeMap<PathBuf, String> {
    let mut tree = BTreeMap::new();
    let mut folders = vec![volume.root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let meta = path.symlink_metadata().expect("is there");
            let content = if meta.is_dir() {
                folders.push(path.clone());
                String::new()
            } else if meta.is_symlink() {
                fs::read_link(&path).expect("a link").display().to_string()
            } else {
                format!("{}.{:09} {}", meta.mtime(), meta.mtime_nsec(), blake3::hash(&fs::read(&path).expect("reads")))
            };
            tree.insert(path, format!("{:o} {}:{} {content}", meta.mode(), meta.uid(), meta.gid()));
        }
    }
    tree.remove(&volume.path(".moorline/lock"));
    tree
}

#[test]
fn upgrade_of_a_plain_volume_runs_no_script_again_and_keeps_what_was_written_last() {
    let volume = unpacked("plain");
    let key = volume.read(".moorline/secret.key");
    let end = goes_on(&volume, "plain");
    for line in ["MOORLINE_QUARANTINED=\n", "'written before the upgrade'", "['10-hello.sh.done', '20-status.sh.done']"]
    {
        assert!(end.out.contains(line), "{line}: {end}");
    }
    assert_eq!(volume.read(".moorline/secret.key"), key);
    assert_eq!(end.err.lines().count(), 1, "there is nothing to report but what starts: {end}");
    // Nor does the next start, on which the engine has nothing to do.
    let program = volume.recorded();
    let again = start(&volume, &[]).program(program).wait();
    assert_eq!((again.out, volume.engine_calls()), (end.out, Vec::<String>::new()));
}

#[test]
fn backups_of_before_the_upgrade_are_listed_verified_and_restored() {
    let volume = unpacked("plain");
    goes_on(&volume, "plain");
    let listed = json(&volume, &["list", "--json"]);
    let kinds: Vec<_> = listed["backups"].as_array().expect("a list").iter().map(|backup| &backup["kind"]).collect();
    assert_eq!(kinds.len(), 2, "{listed}");
    assert!(kinds.contains(&&"scheduled".into()) && kinds.contains(&&"immediate".into()), "{listed}");
    done(&volume, &["verify", "--full"]);
    volume.write("hooks.json", "{\"hooks\": []}");
    done(&volume, &["restore", "-y", "--from-latest"]);
    let restored = start(&volume, &[]).wait();
    assert_eq!(state(&restored.out), original(), "the backup was taken before the last row: {restored}");
    done(&volume, &["rollback", "-y"]);
    assert_eq!(volume.read("hooks.json"), "{\"hooks\": []}");
    // The volume gets backups of both versions.
    done(&volume, &["backup"]);
    done(&volume, &["verify", "--full"]);
}

/// The first backup adopts those that the earlier version did not record.
#[test]
fn backups_of_before_the_upgrade_are_not_taken_for_those_of_a_clone() {
    let volume = unpacked("plain");
    assert!(!volume.has(".moorline/backups.json"));
    for _ in 0..2 {
        let taken = moorline(&volume, &["backup", "--scheduled"]).not_pid_1().wait();
        assert!(taken.code == 0 && !taken.err.contains("no backup is removed"), "{taken}");
    }
    let shown = json(&volume, &["instance", "--json"]);
    assert_eq!(shown["twins"], Value::Null, "{shown}");
    assert!(shown["recorded"].as_u64() > Some(2), "the old ones are recorded as well: {shown}");
    done(&volume, &["restore", "-y", "--from-latest"]);
}

#[test]
fn users_settings_and_notifications_of_the_console_survive_the_upgrade() {
    let volume = unpacked("plain");
    goes_on(&volume, "plain");
    let console = Console::of(serve(&volume));
    console.log_in("operator", PASSWORD).is(200);
    console.log_in("operator", "another password").is(401);
    let admin = console.log_in("admin", PASSWORD).session();
    let get = |path: &str| console.ask("GET", path).by(&admin).send().is(200).value();
    let titles = |list: &Value| -> Vec<String> {
        list.as_array().expect("a list").iter().map(|entry| entry["Title"].as_str().expect("text").to_owned()).collect()
    };
    let signals = titles(&get("/api/signals"));
    assert!(signals.contains(&"Restores".to_owned()) && signals.contains(&"Backup trouble".to_owned()), "{signals:?}");
    let notifications = get("/api/appinstances");
    assert_eq!(titles(&notifications), ["on call"]);
    assert_eq!(notifications[0]["SetSensitiveSettings"], serde_json::json!(["AuthorizationHeader"]));
    assert_eq!(get("/api/settings/setting-backupstokeep")["Value"], 5);
    assert!(get("/api/backups").as_array().is_some_and(|backups| backups.len() >= 2));
}

#[test]
fn upgrade_in_quarantine_leaves_every_app_off_and_remembers_what_to_release() {
    let volume = unpacked("quarantine");
    let end = goes_on(&volume, "quarantine");
    assert!(end.err.contains("in quarantine"), "{end}");
    for line in ["MOORLINE_QUARANTINED=1\n", "BELL_SAFE=1\n", "arguments ['--own', '--quiet']\n"] {
        assert!(end.out.contains(line), "{line}: {end}");
    }
    assert_eq!(off(&volume), APPS);
    assert_ne!(state(&end.out), original());
    done(&volume, &["apps", "release", "--all"]);
    let released = start(&volume, &[]).wait();
    assert_eq!(state(&released.out), original(), "{released}");
    assert!(released.out.contains("MOORLINE_QUARANTINED=\n"), "{released}");
}

#[test]
fn a_release_that_was_requested_before_the_upgrade_happens_and_the_other_apps_stay_off() {
    let volume = unpacked("release-requested");
    assert_eq!(off(&volume), APPS, "a listing releases nothing");
    let end = goes_on(&volume, "release-requested");
    let left: Vec<_> = APPS.into_iter().filter(|id| !["alerts 1", "webhooks w1"].contains(id)).collect();
    assert_eq!(off(&volume), left, "{end}");
    assert!(end.out.contains("MOORLINE_QUARANTINED=1\n") && end.out.contains("\"active\": true"), "{end}");
    done(&volume, &["apps", "release", "--all"]);
    let released = start(&volume, &[]).wait();
    assert_eq!(state(&released.out), original(), "{released}");
}

#[test]
fn switching_off_that_was_interrupted_before_the_upgrade_is_finished() {
    let volume = unpacked("switching-off");
    assert!(volume.read(".moorline/quarantine.json").contains("\"pending\":true"));
    let end = goes_on(&volume, "switching-off");
    assert_eq!(off(&volume), APPS, "{end}");
    assert!(end.out.contains("pending: False") && end.out.contains("MOORLINE_QUARANTINED=1\n"), "{end}");
}

#[test]
fn a_restore_that_was_killed_before_its_commit_never_happened() {
    let volume = unpacked("restore-staged");
    let end = goes_on(&volume, "restore-staged");
    assert!(end.out.contains("(1, 'newer', 1,") && end.out.contains("restores []"), "{end}");
    assert_eq!(fs::read_dir(volume.path(".moorline/restores")).expect("a folder").count(), 0, "{end}");
}

#[test]
fn a_restore_that_was_killed_after_its_commit_is_finished_and_can_be_rolled_back() {
    let volume = unpacked("restore-committed");
    let end = goes_on(&volume, "restore-committed");
    assert!(end.err.contains("finished the interrupted restore"), "{end}");
    assert_eq!(state(&end.out), original(), "{end}");
    let console = Console::of(serve(&volume));
    console.log_in("operator", PASSWORD).is(200);
    drop(console);
    done(&volume, &["rollback", "-y"]);
    let undone = start(&volume, &[]).wait();
    let newer = outcome("restore-staged");
    assert_eq!(state(&undone.out), state(&newer), "{undone}");
}

#[test]
fn with_everything_unfinished_a_restore_before_its_commit_is_undone_and_the_release_happens() {
    let volume = unpacked("all-staged");
    let end = goes_on(&volume, "all-staged");
    assert!(end.out.contains("MOORLINE_QUARANTINED=\n") && end.out.contains("'newer'"), "{end}");
    assert_eq!(off(&volume), [""; 0], "{end}");
}

#[test]
fn with_everything_unfinished_a_restore_after_its_commit_is_finished_and_its_script_does_not_run_again() {
    let volume = unpacked("all-committed");
    let restores = fs::read_dir(volume.path(".moorline/restores")).expect("a folder").count();
    let end = goes_on(&volume, "all-committed");
    assert!(end.out.contains("'30-restore.sh.done'") && !end.out.contains("'newer'"), "{end}");
    assert_eq!(fs::read_dir(volume.path(".moorline/restores")).expect("a folder").count(), restores, "{end}");
    assert_eq!(off(&volume), APPS, "{end}");
}

#[test]
fn yesterdays_dockerfile_starts_no_server_on_unfinished_work_and_says_what_to_copy() {
    for (name, reason) in UNFINISHED {
        let volume = unpacked(name);
        let alone = volume.without_engine();
        let engine = alone.with_file_name("moorline-engine");
        let before = tree(&volume);
        // A runtime that restarts the container gets the same answer each time.
        for flags in [&[][..], &["--supervise"]] {
            let end = start(&volume, flags).program(alone.clone()).wait();
            assert_eq!((end.code, end.out.as_str()), (127, ""), "{name} {flags:?}: {end}");
            for word in [&*alone.to_string_lossy(), &*engine.to_string_lossy(), reason, "COPY --from=", "/moorline/"] {
                assert!(end.err.contains(word), "{name} {flags:?} lacks {word}: {end}");
            }
        }
        assert_eq!(tree(&volume), before, "{name}: a refused start writes nothing");
        fs::hard_link(ENGINE, engine).expect("a link");
        let end = start(&volume, &[]).program(alone).wait();
        assert_eq!((end.code, end.out.as_str()), (0, outcome(name).as_str()), "{name}: {end}");
    }
}

#[test]
fn yesterdays_dockerfile_starts_the_server_where_nothing_is_unfinished_and_warns() {
    for name in ["plain", "quarantine"] {
        let volume = unpacked(name);
        let alone = volume.without_engine();
        let end = start(&volume, &[]).program(alone.clone()).wait();
        assert_eq!((end.code, end.out.as_str()), (0, outcome(name).as_str()), "{name}: {end}");
        let expected = format!("expects it at {}", alone.with_file_name("moorline-engine").display());
        assert!(end.err.contains("no backups are taken") && end.err.contains(&expected), "{name}: {end}");
        goes_on(&volume, name);
    }
}

/// The two formats have the same number, so that a rollback of the image needs no rollback of the volume.
#[test]
#[ignore = "needs the program of ad332f6: MOORLINE_AD332F6=target/ad332f6/target/x86_64-unknown-linux-musl/debug/moorline"]
fn after_a_downgrade_ad332f6_continues_where_this_version_was_stopped() {
    let old = PathBuf::from(std::env::var_os("MOORLINE_AD332F6").expect("MOORLINE_AD332F6 is set"));
    let older = |volume: &TestVolume| start(volume, &[]).program(old.clone()).wait();
    let older_command = |volume: &TestVolume, arguments: &[&str]| {
        let end = moorline(volume, arguments).program(old.clone()).not_pid_1().wait();
        assert_eq!(end.code, 0, "{arguments:?}: {end}");
    };
    for (name, _) in UNFINISHED {
        let volume = unpacked(name);
        assert_eq!(start(&volume, &[]).program(volume.without_engine()).wait().code, 127);
        let end = older(&volume);
        assert_eq!((end.code, end.out.as_str()), (0, outcome(name).as_str()), "{name}, after a refused upgrade: {end}");
    }
    for name in UNFINISHED.map(|(name, _)| name).into_iter().chain(["plain", "quarantine"]) {
        let volume = unpacked(name);
        goes_on(&volume, name);
        done(&volume, &["backup"]);
        drop(Console::of(serve(&volume)));
        let end = older(&volume);
        assert_eq!((end.code, end.out.as_str()), (0, outcome(name).as_str()), "{name}, after an upgrade: {end}");
        older_command(&volume, &["verify", "--full"]);
        older_command(&volume, &["restore", "-y", "--from-latest"]);
        // In both versions, a restore on a volume in quarantine switches off again what was released from it.
        let expected = outcome(if name == "release-requested" { "quarantine" } else { name });
        assert_eq!(state(&older(&volume).out), state(&expected), "{name}, from a backup of this version");
        older_command(&volume, &["backup"]);
        done(&volume, &["verify", "--full"]);
    }
    // This version's restore, killed after its commit.
    let volume = unpacked("plain");
    goes_on(&volume, "plain");
    volume.write("hooks.json", "{\"hooks\": []}");
    let mut restore = Command::new("strace");
    restore.args(["-qq", "-f", "-o", "/dev/null", "-e", "trace=renameat2"]);
    restore.args(["-e", "inject=renameat2:signal=SIGKILL:when=4", MOORLINE, "--storage"]).arg(volume.root());
    restore.arg("--profile").arg(file("bell.toml")).args(["restore", "-y", "--from-latest"]);
    assert!(!restore.output().expect("strace runs").status.success());
    let end = older(&volume);
    assert!(end.err.contains("finished the restore"), "{end}");
    assert_eq!(state(&end.out), original(), "{end}");
}

//! What people who know Seq do with it, sentence by sentence, with `docker/Dockerfile`'s image.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::machine::{Container, Ended};
use crate::{
    serve::client::{PASSWORD, Request},
    support::{KEY, TestVolume},
};

const FIRST_START: &str = "--env=SEQ_STORAGE_SECRETKEY=8D2RNAbAgmV7ur8nQCLT7PlCWCk+kW488nSg3Narj/4=";

/// A server with one app, a webhook.
const WITH_APPS: &str = r#"
name = "hooked"

[[quarantine]]
name = "webhooks"
json = "hooks.json"
each = "/hooks/*"
key = "id"
where = { active = true }
set = { active = false }
"#;

const WITHOUT_APPS: &str = "name = \"plain\"\napps = \"none\"\n";

/// A volume with state, and the server's profile beside it.
struct Production {
    volume: TestVolume,
    profile: PathBuf,
}

impl Production {
    fn of(profile: &str) -> Self {
        let production = Self::empty(profile);
        production.volume.write("app.conf", "as it was");
        production.volume.write("hooks.json", HOOKS);
        production
    }

    fn empty(profile: &str) -> Self {
        let volume = TestVolume::new();
        let path = volume.beside("profile.toml");
        fs::write(&path, profile).expect("writes");
        Self { volume, profile: path }
    }

    /// A container of the image, which has the profile in it.
    fn container(&self) -> Container {
        let mount = format!("--volume={}:/etc/moorline/profile.toml:ro", self.profile.display());
        Container::on(&self.volume).with([mount])
    }

    /// A start whose server says its environment and ends.
    #[track_caller]
    fn start(&self) -> Ended {
        let end = self.container().run(["run", "--", "server", "env"]);
        assert_eq!(end.code, Some(0), "{end:?}");
        end
    }

    /// A backup, and the volume that it is on.
    fn backup_and_keep(self) -> (PathBuf, Self) {
        (self.backup(&[]), self)
    }

    /// Takes a backup with the key that is configured; its file.
    #[track_caller]
    fn backup(&self, flags: &[&str]) -> PathBuf {
        let end = self.container().with([FIRST_START]).run([&["backup"], flags].concat());
        assert_eq!(end.code, Some(0), "{end:?}");
        let path = end.said.lines().find_map(|line| line.strip_prefix("/data/")).expect("a path");
        self.volume.path(path)
    }
}

const HOOKS: &str = "{\"hooks\":[{\"id\":1,\"active\":true},{\"id\":2,\"active\":false}]}";
const HOOKS_OFF: &str = "{\"hooks\":[{\"id\":1,\"active\":false},{\"id\":2,\"active\":false}]}";

/// The backup on a fresh volume of a server with this profile, and the script that restores it there.
fn fresh(profile: &str, backup: &Path, flags: &str) -> Production {
    let copy = Production::empty(profile);
    fs::create_dir_all(copy.volume.path("Backups")).expect("a folder");
    fs::copy(backup, copy.volume.path("Backups/backup.seqbac")).expect("copies");
    let line = format!("seqsvr restore -y {flags} --secret-key=\"{KEY}\" --backup=\"../Backups/backup.seqbac\"\n");
    copy.volume.script("restore.sh", line);
    copy
}

#[test]
fn generate_a_key() {
    let volume = TestVolume::new();
    let generate = || {
        let end = Container::on(&volume).run(["show-key", "--generate"]);
        assert_eq!(end.code, Some(0), "{end:?}");
        end.said
    };
    let (one, another) = (generate(), generate());
    assert_eq!(BASE64_STANDARD.decode(one.trim_end()).map(|key| key.len()), Ok(32), "{one}");
    assert_ne!(one, another);
    assert!(!volume.has(".moorline"), "a key that is only generated is not kept");
}

#[test]
fn first_start_with_seq_storage_secretkey() {
    let production = Production::of(WITH_APPS);
    let end = production.container().with([FIRST_START]).run(["run", "--", "server", "env"]);
    assert_eq!(end.code, Some(0), "{end:?}");
    assert!(!end.said.contains(KEY), "neither the log nor the server shows the key: {end:?}");
    assert!(!production.volume.has(".moorline/secret.key"), "the key is configured, so none is created");
    let other =
        production.container().with(["--env=SEQ_STORAGE_SECRETKEY=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]);
    production.backup(&[]);
    assert_eq!(other.run(["run", "--", "server", "env"]).code, Some(12), "another key is refused");
}

#[test]
fn a_shell_prompt_and_seqsvr_show_key() {
    let volume = TestVolume::in_use();
    let mut shell = Container::on(&volume).with([FIRST_START]).with_shell().start_on_a_terminal(&["shell"]);
    shell.until_it_says("# ");
    shell.types("seqsvr show-key\n");
    shell.until_it_says(KEY);
    // What is typed is echoed: the answer differs from it.
    shell.types("echo at $DATA_DIR\n");
    shell.until_it_says("at /data\n");
    shell.types("exit\n");
    assert_eq!(shell.wait().code, Some(0));
    let mut server = Container::on(&volume).with([FIRST_START]).start(["run", "--", "server"]);
    server.until_it_says("up\n");
    assert_eq!(server.answer(&["seqsvr", "show-key"]), format!("{KEY}\n"));
    server.stop(30);
    server.wait();
}

/// Waits for up to two minutes, because a container's clock is the machine's: the year of `schedule.rs` has one of its own.
#[test]
fn daily_backup_at_a_utc_time() {
    let production = Production::of(WITH_APPS);
    // The one of the slot before: the next one has to wait for its time.
    production.backup(&["--scheduled"]);
    let soon = Timestamp::now() + SignedDuration::from_secs(75);
    let time = soon.strftime("%H:%M").to_string();
    let slot: Timestamp = soon.strftime("%Y-%m-%dT%H:%M:00Z").to_string().parse().expect("a time");
    let mut running = production
        .container()
        .with_console()
        .with([FIRST_START, &format!("--env=MOORLINE_BACKUP_UTC_TIME_OF_DAY={time}"), "--env=TZ=<+14>-14"])
        .supervised()
        .start(["run", "--", "server"]);
    running.until_it_says("up\n");
    let listed = |running: &super::machine::Started| -> Vec<Timestamp> {
        let list: Value = serde_json::from_str(&running.answer(&["seqsvr", "list", "--json"])).expect("JSON");
        let created = |backup: &Value| backup["created"].as_str().and_then(|text| text.parse().ok()).expect("a time");
        list["backups"].as_array().expect("a list").iter().map(created).collect()
    };
    let limit = Instant::now() + Duration::from_secs(180);
    let times = loop {
        let times = listed(&running);
        if times.len() == 2 {
            break times;
        }
        assert!(Instant::now() < limit, "no backup at {time}");
        thread::sleep(Duration::from_millis(500));
    };
    assert!(times[0] >= slot && times[1] < slot, "{times:?} for {slot}");
    running.stop(30);
    running.wait();
}

#[test]
fn retention() {
    let production = Production::of(WITH_APPS);
    let kept = production.backup(&[]);
    let taken: Vec<PathBuf> = (0..4)
        .map(|_| {
            let daily = production.container().with([FIRST_START, "--env=MOORLINE_BACKUPS_TO_KEEP=2"]);
            let end = daily.run(["backup", "--scheduled"]);
            assert_eq!(end.code, Some(0), "{end:?}");
            production.volume.path(end.said.lines().find_map(|line| line.strip_prefix("/data/")).expect("a path"))
        })
        .collect();
    let mut expected = vec![kept, taken[2].clone(), taken[3].clone()];
    expected.sort();
    let entries = fs::read_dir(production.volume.path("Backups")).expect("a folder");
    let mut left: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    left.sort();
    assert_eq!(left, expected, "the two newest daily ones, and the one that a person took, which does not count");
}

#[test]
fn download() {
    let production = Production::of(WITH_APPS);
    let stored = production.backup(&[]);
    let mut running = production
        .container()
        .with_console_to_talk_to()
        .with([FIRST_START, &format!("--env=SEQ_FIRSTRUN_ADMINPASSWORD={PASSWORD}")])
        .supervised()
        .start(["run", "--", "server"]);
    let address = running.console();
    let login = json!({"Username": "admin", "Password": PASSWORD, "NewPassword": "another good password"});
    let session = Request::to(address, "POST", "/api/users/login").json(&login).send().session();
    let name = stored.file_name().and_then(|name| name.to_str()).expect("a name");
    let path = format!("/api/backups/files/{name}");
    let downloaded = Request::to(address, "GET", &path).by(&session).send().is(200).body;
    assert!(downloaded == fs::read(&stored).expect("reads"), "{} bytes", downloaded.len());
    let immediate = Request::to(address, "POST", "/api/backups/immediate").by(&session).json(&json!({})).send().is(200);
    let copy = TestVolume::new();
    fs::write(copy.path("immediate.seqbac"), immediate.body).expect("writes");
    let verified = Container::on(&copy).with([FIRST_START]).run(["verify", "--full", "/data/immediate.seqbac"]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
    running.stop(30);
    running.wait();
}

#[test]
fn quick_rollback() {
    let production = Production::of(WITH_APPS);
    production.backup(&[]);
    production.volume.write("app.conf", "spoilt");
    production.volume.script("rollback.sh", "#!/bin/bash\nseqsvr restore --from-latest -y\n");
    let end = production.container().with([FIRST_START]).run(["run", "--", "server", "env"]);
    assert_eq!(end.code, Some(0), "an image without a shell runs a script of commands: {end:?}");
    assert_eq!(production.volume.read("app.conf"), "as it was");
    assert_eq!(production.volume.read("hooks.json"), HOOKS, "apps stay as they are");
    assert!(production.volume.has("Init/rollback.sh.done"), "{:?}", production.volume.scripts());
    // An entrypoint that gives all of the volume to its user would follow them, and give the program away.
    assert!(fs::read_dir(production.volume.path(".moorline/bin")).is_err(), "the image has both names in one folder");
}

#[test]
fn full_restore_on_a_fresh_volume() {
    let backup = Production::of(WITH_APPS).backup_and_keep();
    let copy = fresh(WITH_APPS, &backup.0, "--enable-apps");
    let end = copy.start();
    assert_eq!(copy.volume.read("app.conf"), "as it was");
    assert_eq!(copy.volume.read("hooks.json"), HOOKS, "apps are on");
    assert!(!end.said.contains("MOORLINE_QUARANTINED"), "{end:?}");
    // The volume has no key of its own yet, so that its next backups need the same key.
    assert_eq!(copy.container().run(["show-key"]).said, format!("{KEY}\n"));
    assert!(!copy.volume.read("Init/restore.sh.done").contains(KEY), "the key is redacted");
}

#[test]
fn test_restore_without_enable_apps() {
    let backup = Production::of(WITH_APPS).backup_and_keep();
    let copy = fresh(WITH_APPS, &backup.0, "");
    let end = copy.start();
    assert_eq!(copy.volume.read("app.conf"), "as it was");
    assert_eq!(copy.volume.read("hooks.json"), HOOKS_OFF);
    assert!(end.said.contains("MOORLINE_QUARANTINED=1\n"), "{end:?}");
    let release = copy.container().run(["apps", "release", "--all"]);
    assert_eq!(release.code, Some(0), "{release:?}");
    assert!(!copy.start().said.contains("MOORLINE_QUARANTINED"));
    assert_eq!(copy.volume.read("hooks.json"), HOOKS, "exactly those that were on are on again");
}

#[test]
fn test_restore_of_a_server_without_apps() {
    let backup = Production::of(WITHOUT_APPS).backup_and_keep();
    let copy = fresh(WITHOUT_APPS, &backup.0, "");
    copy.start();
    assert_eq!(copy.volume.read("app.conf"), "as it was");
    assert_eq!(copy.volume.read("hooks.json"), HOOKS);
    assert!(copy.volume.has("Init/restore.sh.done"), "{:?}", copy.volume.scripts());
}

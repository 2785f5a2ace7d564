//! Two volumes with the same instance id that share a folder of backups: a clone and its original, or a volume that was set
//! back while its backups stayed. No backup is removed and none of the other's is restored until a person decides.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::{
    console::state::duplicate,
    fixture::{Data, Ran, argument, in_mount_namespace, names},
    serve::client::Console,
    support::TestVolume,
};

/// A folder for backups that several volumes share.
struct Shared(Data);

impl Shared {
    fn new() -> Self {
        Self(Data::empty())
    }

    fn run(&self, data: &Data, arguments: &[&str]) -> Ran {
        let mut command = data.command(arguments);
        command.env("MOORLINE_BACKUP_LOCATION", self.0.root()).env("MOORLINE_BACKUPS_TO_KEEP", "3");
        Ran::of(command)
    }

    /// Takes a scheduled backup. Two in one second have different names.
    #[track_caller]
    fn back_up(&self, data: &Data) -> (PathBuf, bool) {
        let ran = self.run(data, &["backup", "--scheduled"]);
        let is_alarm = ran.stderr.contains("no backup is removed");
        (PathBuf::from(ran.succeeds().trim_end()), is_alarm)
    }

    /// Takes so many. No alarm.
    #[track_caller]
    fn back_up_in_peace(&self, data: &Data, times: u32) {
        for _ in 0..times {
            assert!(!self.back_up(data).1, "an alarm");
        }
    }

    fn files(&self) -> Vec<String> {
        names(self.0.root()).into_iter().filter(|name| name.ends_with(".seqbac")).collect()
    }

    fn instance(&self, data: &Data) -> Value {
        self.run(data, &["instance", "--json"]).json()
    }
}

/// A volume with so many backups in the shared folder. Its `config.json` says whose it is.
fn original(shared: &Shared, backups: u32) -> Data {
    let data = Data::with_state();
    data.file("config.json", "original");
    shared.back_up_in_peace(&data, backups);
    data
}

/// The option that names a profile of a server without apps, so that a restore makes a copy.
fn without_apps(shared: &Shared) -> String {
    shared.0.file("profile.toml", "name = \"quiet\"\napps = \"none\"\n");
    format!("--profile={}", shared.0.path("profile.toml").display())
}

/// The volume's record does not say when its folders were created, as on a file system that does not know.
fn forget_birth(data: &Data) {
    edit_record(data, |record| {
        record.remove("home").expect("was recorded");
    });
}

fn edit_record(data: &Data, edit: impl Fn(&mut serde_json::Map<String, Value>)) {
    let mut all: Value = serde_json::from_str(&data.read(".moorline/backups.json")).expect("is JSON");
    for record in all.as_object_mut().expect("an object").values_mut() {
        edit(record.as_object_mut().expect("an object"));
    }
    data.file(".moorline/backups.json", &all.to_string());
}

#[test]
fn a_clone_in_the_folder_of_its_original_removes_nothing_and_becomes_an_instance_of_its_own() {
    let shared = Shared::new();
    let original = original(&shared, 2);
    let clone = duplicate(&original);
    clone.file("config.json", "clone");
    let of_clone: Vec<PathBuf> = (0..4)
        .map(|_| {
            let (file, is_alarm) = shared.back_up(&clone);
            assert!(is_alarm);
            file
        })
        .collect();
    assert_eq!(shared.files().len(), 6);
    let shown = shared.instance(&clone);
    assert_eq!(shown["twins"]["is_copy"], true, "{shown:#}");
    let status = shared.run(&clone, &["status", "--json"]).json();
    assert_eq!(status["twins"], shown["twins"]);
    assert!(shared.run(&clone, &["status"]).succeeds().contains("this volume is a copy"));
    let events: String = names(&clone.path(".moorline/events"))
        .into_iter()
        .map(|name| clone.read(&format!(".moorline/events/{name}")))
        .collect();
    assert!(events.contains("BackupTwinSuspected") && events.contains("\"@l\":\"Warning\""), "{events}");

    // The original makes none meanwhile, and is not restored from the clone.
    let before = original.everything();
    let ran = shared.run(&original, &["restore", "-y", "--from-latest"]).fails(
        29,
        &[
            "4 backups of this instance were not taken by this volume",
            &format!("not taken by this volume: {}", of_clone[3].display()),
            "`moorline instance adopt`",
            "`moorline instance new`",
        ],
    );
    assert_eq!(ran.stderr.matches("taken by this volume: ").count(), 6, "both lines: {ran:#?}");
    assert_eq!(original.everything(), before, "nothing has changed");
    let command = ran.stderr.split("`moorline restore ").nth(1).and_then(|rest| rest.split('`').next()).expect("named");
    original.file("config.json", "of today");
    shared.run(&original, &[vec!["restore"], command.split(' ').collect()].concat()).succeeds();
    assert_eq!(original.read("config.json"), "original");
    assert!(shared.back_up(&original).1, "the clone's backups are not in its record");

    let id = shared.instance(&clone)["instance_id"].clone();
    shared.run(&clone, &["instance", "new"]).succeeds();
    assert_ne!(shared.instance(&clone)["instance_id"], id);
    shared.run(&clone, &["restore", "-y", "--from-latest"]).fails(10, &[]);
    shared.back_up_in_peace(&clone, 4);
    assert_eq!(shared.files().len(), 10, "seven of the original's id, three of the clone");
    shared.run(&clone, &["restore", "-y", "--from-latest"]).succeeds();
    assert_eq!(clone.read("config.json"), "clone");

    for file in of_clone {
        fs::remove_file(file).expect("moved away");
    }
    shared.back_up_in_peace(&original, 3);
    assert_eq!(shared.files().len(), 6, "three of each");
    shared.run(&original, &["restore", "-y", "--from-latest"]).succeeds();
}

/// Its file system is the same, so that only the backups of the other show that there are two.
#[test]
fn a_clone_of_the_disk_is_found_by_the_backups_of_the_other() {
    let shared = Shared::new();
    let original = original(&shared, 3);
    let clone = duplicate(&original);
    forget_birth(&clone);
    let first = shared.back_up(&original).0;
    let before = shared.files();
    for (data, ours) in [(&clone, "clone"), (&original, "original"), (&clone, "clone")] {
        assert!(shared.back_up(data).1, "{ours}");
    }
    assert!(before.iter().all(|name| shared.files().contains(name)), "{before:?}");
    shared.run(&clone, &["restore", "-y", "--from-latest"]).fails(29, &[argument(&first)]);
    shared.run(&original, &["restore", "-y", "--from-latest"]).fails(29, &[]);
}

/// The original's daily backup is not the clone's.
#[test]
fn a_clone_takes_its_own_backup_although_its_original_has_a_recent_one() {
    let shared = Shared::new();
    let original = original(&shared, 1);
    let clone = duplicate(&original);
    let is_due = |data: &Data| !shared.run(data, &["backup", "--if-older", "1h"]).succeeds().is_empty();
    assert!(!is_due(&clone), "the backup from before the copy is its own");
    for file in shared.files() {
        fs::remove_file(shared.0.path(&file)).expect("removed");
    }
    shared.back_up(&original);
    let key = seqbac_header::SecretKey::parse(&original.key(), "the test").expect("a key");
    for (data, newest) in [(&original, true), (&clone, false)] {
        // The folder in the environment is `Backups/` for this process.
        let volume = volume::Volume::open(data.root()).expect("a volume");
        for file in shared.files() {
            fs::copy(shared.0.path(&file), volume.own_backups().join(file)).expect("copied");
        }
        let id = volume::Instance::load(&volume).expect("loads").expect("is there").id;
        let found = engine::backup::newest_scheduled(&volume, &key, id, jiff::Timestamp::now()).expect("listed");
        assert_eq!(found.is_some(), newest);
    }
    assert!(!is_due(&original));
    assert!(is_due(&clone));
    assert!(!is_due(&clone));
}

#[test]
fn a_volume_set_back_by_a_snapshot_is_the_same_one_after_instance_adopt() {
    let shared = Shared::new();
    let data = original(&shared, 1);
    let files = ["backups.json", "instance.json"].map(|name| format!(".moorline/{name}"));
    let snapshot = files.clone().map(|name| data.read(&name));
    data.file("config.json", "later");
    shared.back_up_in_peace(&data, 3);
    for (name, content) in files.iter().zip(snapshot) {
        data.file(name, &content);
    }
    data.file("config.json", "original");
    assert!(shared.back_up(&data).1);
    assert_eq!(shared.files().len(), 4, "nothing is removed");
    shared
        .run(&data, &["restore", "-y", "--from-latest"])
        .fails(29, &["set back by a snapshot: `moorline instance adopt`"]);
    let epoch = shared.instance(&data)["restore_epoch"].as_u64().expect("a number");
    let adopted = shared.run(&data, &["instance", "adopt", "--json"]).json();
    assert_eq!((&adopted["twins"], &adopted["restore_epoch"]), (&Value::Null, &(epoch + 1).into()));
    shared.back_up_in_peace(&data, 1);
    assert_eq!(shared.files().len(), 3);
    shared.run(&data, &["restore", "-y", "--from-latest"]).succeeds();
}

#[test]
fn a_volume_that_moved_to_another_disk_needs_one_instance_adopt_if_its_backups_stayed() {
    let shared = Shared::new();
    let old = original(&shared, 3);
    let new = duplicate(&old);
    drop(old);
    shared.run(&new, &["restore", "-y", "--from-latest"]).succeeds();
    assert!(shared.back_up(&new).1);
    shared.run(&new, &["instance", "adopt"]).succeeds();
    shared.back_up_in_peace(&new, 2);
    assert_eq!(shared.files().len(), 3);
}

#[test]
fn a_volume_that_moved_to_another_disk_with_its_backups_is_no_clone() {
    let data = Data::with_state();
    let back_up = |data: &Data| {
        let mut command = data.command(&["backup", "--scheduled"]);
        command.env("MOORLINE_BACKUPS_TO_KEEP", "2");
        let ran = Ran::of(command);
        assert!(!ran.stderr.contains("no backup is removed"), "{ran:#?}");
        ran.succeeds();
    };
    back_up(&data);
    back_up(&data);
    let moved = duplicate(&data);
    back_up(&moved);
    assert_eq!(names(&moved.path("Backups")).len(), 2);
    assert_eq!(moved.moorline(&["instance", "--json"]).json()["twins"], Value::Null);
    // Its new place counts from now on.
    back_up(&duplicate(&moved));
}

#[test]
fn a_volume_without_a_record_takes_all_backups_of_its_instance_as_its_own() {
    let shared = Shared::new();
    let data = original(&shared, 3);
    fs::remove_file(data.path(".moorline/backups.json")).expect("as before the upgrade");
    shared.run(&data, &["restore", "-y", "--from-latest"]).succeeds();
    shared.back_up_in_peace(&data, 1);
    assert_eq!(shared.files().len(), 3);
    shared.run(&data, &["restore", "-y", "--from-latest"]).succeeds();
}

#[test]
fn an_empty_volume_that_a_backup_fills_is_no_clone() {
    let shared = Shared::new();
    let data = original(&shared, 1);
    let (key, backup) = (data.key(), shared.0.path(&shared.files()[0]));
    let key = format!("--secret-key={key}");
    let profile = without_apps(&shared);
    for apps in ["--enable-apps", &profile] {
        let filled = Data::empty();
        shared
            .run(&filled, &["restore", "-y", "--profile-mismatch=accept", apps, &key, "--backup", argument(&backup)])
            .succeeds();
        shared.back_up_in_peace(&filled, 2);
        shared.back_up_in_peace(&data, 1);
        for data in [&filled, &data] {
            shared.run(data, &["restore", "-y", "--from-latest"]).succeeds();
        }
    }
}

#[test]
fn a_rollback_brings_back_the_record_of_its_instance() {
    let shared = Shared::new();
    let data = original(&shared, 2);
    let backup = shared.0.path(&shared.files()[0]);
    let profile = without_apps(&shared);
    let restore = ["restore", "-y", "--profile-mismatch=accept", &profile, "--backup", argument(&backup)];
    let id = shared.instance(&data)["instance_id"].clone();
    shared.run(&data, &restore).succeeds();
    assert_ne!(shared.instance(&data)["instance_id"], id, "a copy");
    shared.back_up_in_peace(&data, 1);
    shared.run(&data, &["rollback", "-y"]).succeeds();
    let shown = shared.instance(&data);
    assert_eq!((&shown["instance_id"], &shown["recorded"]), (&id, &2.into()), "{shown:#}");
    shared.back_up_in_peace(&data, 1);
}

#[test]
fn backups_of_a_read_only_sidecar_are_no_clones() {
    let shared = Shared::new();
    let data = original(&shared, 1);
    let script = r#"
        mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"
        MOORLINE_BACKUP_LOCATION="$2" "$3" --storage "$1" backup --scheduled
    "#;
    let program = std::ffi::OsStr::new(env!("MOORLINE_PROGRAM"));
    data.file("config.json", "of the sidecar");
    let ran = in_mount_namespace(script, &[data.root().as_os_str(), shared.0.root().as_os_str(), program]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(shared.files().len(), 2);
    assert_eq!(shared.instance(&data)["twins"], Value::Null);
    shared.run(&data, &["restore", "-y", "--from-latest"]).succeeds();
    assert_eq!(data.read("config.json"), "of the sidecar");
    shared.back_up_in_peace(&data, 2);
    assert_eq!(shared.files().len(), 3, "the sidecar's counts as any other");
}

#[test]
fn a_streamed_backup_that_comes_into_the_folder_is_no_clones() {
    let shared = Shared::new();
    let data = original(&shared, 1);
    let mut command = data.command(&["backup", "-o", "-"]);
    command.stdout(fs::File::create(shared.0.path("streamed.seqbac")).expect("a file"));
    Ran::of(command).succeeds();
    shared.back_up_in_peace(&data, 1);
}

#[test]
fn a_forged_header_is_no_backup_of_a_clone() {
    let shared = Shared::new();
    let data = original(&shared, 1);
    let clone = duplicate(&data);
    let (file, _) = shared.back_up(&clone);
    let mut bytes = fs::read(&file).expect("reads");
    // The id is authenticated; the checksum of the header is made to fit again.
    bytes[30] ^= 1;
    let length = usize::try_from(u32::from_le_bytes(bytes[12..16].try_into().expect("four"))).expect("small");
    let crc = crc32c::crc32c(&bytes[..length - 4]);
    bytes[length - 4..length].copy_from_slice(&crc.to_le_bytes());
    fs::write(&file, bytes).expect("writes");
    shared.back_up_in_peace(&data, 1);
}

#[test]
fn what_a_restore_replaced_stays_while_a_clone_is_likely() {
    let shared = Shared::new();
    let data = original(&shared, 1);
    shared.run(&data, &["restore", "-y", "--from-latest"]).succeeds();
    let clone = duplicate(&data);
    shared.back_up(&clone);
    let kept = |data: &Data| {
        let mut command = data.command(&["backup"]);
        command.env("MOORLINE_BACKUP_LOCATION", shared.0.root()).env("MOORLINE_KEEP_REPLACED", "0s");
        Ran::of(command).succeeds();
        shared.run(data, &["status", "--json"]).json()["restores"][0]["can_roll_back"] == true
    };
    assert!(kept(&data) && kept(&clone));
    shared.run(&data, &["instance", "adopt"]).succeeds();
    assert!(!kept(&data));
}

#[test]
fn a_damaged_record_stops_the_removal_and_not_the_backup() {
    let shared = Shared::new();
    let data = original(&shared, 3);
    data.file(".moorline/backups.json", "{");
    let ran = shared.run(&data, &["backup", "--scheduled"]);
    assert!(ran.stderr.contains("backups.json is damaged"), "{ran:#?}");
    ran.succeeds();
    assert_eq!(shared.files().len(), 4);
    shared.run(&data, &["restore", "-y", "--from-latest"]).fails(1, &["is damaged", "`moorline instance adopt`"]);
    shared.run(&data, &["instance", "adopt"]).succeeds();
    shared.back_up_in_peace(&data, 1);
    assert_eq!(shared.files().len(), 3);
}

#[test]
fn immediate_backups_are_all_kept_unless_a_number_is_set() {
    let data = Data::with_state();
    let count = |kind: &str| {
        let files = names(&data.path("Backups"));
        files.iter().filter(|name| name.starts_with("immediate-") == (kind == "immediate")).count()
    };
    for _ in 0..9 {
        data.backup();
    }
    data.moorline(&["backup", "--scheduled"]).succeeds();
    assert_eq!((count("immediate"), count("scheduled")), (9, 1));
    let with = |number: &str, arguments: &[&str]| {
        let mut command = data.command(arguments);
        command.env("MOORLINE_IMMEDIATE_TO_KEEP", number);
        Ran::of(command)
    };
    let newest = with("3", &["backup"]).succeeds();
    assert_eq!((count("immediate"), count("scheduled")), (3, 1));
    assert!(PathBuf::from(newest.trim_end()).exists());
    with("2", &["backup", "--scheduled"]).succeeds();
    assert_eq!((count("immediate"), count("scheduled")), (2, 2));
    edit_record(&data, |record| {
        for (_, one) in record["backups"].as_object_mut().expect("an object") {
            one["uploaded"] = true.into();
        }
    });
    with("1", &["backup"]).succeeds();
    assert_eq!(count("immediate"), 3, "uploads neither count nor go");
    let ran = with("0", &["backup"]);
    assert!(ran.stderr.contains("MOORLINE_IMMEDIATE_TO_KEEP is \"0\""), "{ran:#?}");
}

/// The record of the backups that there are is lost, as if another volume had taken them.
fn lose_record(volume: &TestVolume) {
    let mut all: Value = serde_json::from_str(&volume.read(".moorline/backups.json")).expect("is JSON");
    for record in all.as_object_mut().expect("an object").values_mut() {
        record["since"] = "2020-01-01T00:00:00Z".into();
        record["backups"] = serde_json::json!({});
    }
    volume.write(".moorline/backups.json", all.to_string());
}

#[test]
fn the_console_is_degraded_while_a_clone_is_likely() {
    let volume = TestVolume::in_use();
    let (console, admin) = Console::with_administrator(&volume);
    console.back_up(&admin);
    let health = || console.ask("GET", "/health").by(&admin).send();
    let reason = "not taken by this volume; see `moorline instance show`";
    assert!(!health().value()["Reasons"].to_string().contains(reason));
    lose_record(&volume);
    let degraded = health();
    assert_eq!(degraded.status, 503, "{degraded}");
    assert!(degraded.value()["Reasons"].to_string().contains(reason), "{degraded}");
    let adopted = volume.moorline(["instance", "adopt"]).not_pid_1().wait();
    assert_eq!(adopted.code, 0, "{adopted}");
    assert!(!health().value()["Reasons"].to_string().contains(reason));
}

#[test]
fn health_warns_while_a_clone_is_likely() {
    let volume = TestVolume::in_use();
    let mut server = volume.run_sh("touch \"$MOORLINE_STORAGE/up\"; exec sleep 1000").start();
    server.until("the server is up", || volume.has("up"));
    let moorline = |arguments: &[&str]| {
        let end = volume.moorline(arguments).not_pid_1().wait();
        assert_eq!(end.code, 0, "{end}");
        end.out
    };
    let warns = || moorline(&["health"]).contains("another volume may be taking backups with this instance id");
    moorline(&["backup"]);
    assert!(!warns());
    lose_record(&volume);
    let second = moorline(&["backup"]);
    assert!(warns());
    // What took them away is gone.
    for name in names(&volume.path("Backups")).into_iter().filter(|name| !second.contains(name.as_str())) {
        fs::remove_file(volume.path("Backups").join(name)).expect("removed");
    }
    assert!(!warns());
    server.kill();
}

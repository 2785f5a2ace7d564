//! `restore --from-latest`: the newest sound backup; and how long unsound ones are kept.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use seqbac::{HeaderFields, Options, Reader, Writer};
use seqbac_header::{Id, RelPath, SecretKey};

use crate::fixture::{Data, Ran, argument, names};

/// The same backup, taken so many hours ago, and with a doubt if there should be one.
fn taken(data: &Data, model: &Path, hours: i64, doubt: Option<&str>) -> PathBuf {
    let key = SecretKey::parse(&data.key(), "the test").expect("a key");
    let mut reader = Reader::open(File::open(model).expect("opens"), &key, 1).expect("a backup");
    let created = Timestamp::now() - SignedDuration::from_hours(hours);
    let instance = reader.header().instance;
    let id = Id::random().expect("random");
    let fields = HeaderFields { created, id, instance, writer: "moorline test".to_owned() };
    let file = data.path("Backups").join(format!("seq_{}.seqbac", created.strftime("%Y%m%d-%H%M%SZ")));
    let mut writer = Writer::new(File::create(&file).expect("made"), &key, fields, Options::default()).expect("writes");
    writer.manifest(reader.manifest()).expect("written");
    while let Some(mut member) = reader.next_member().expect("a member") {
        let entry = member.entry().clone();
        writer.member(&entry, &mut member).expect("written");
    }
    if let Some(what) = doubt {
        writer.doubt(&RelPath::new("app.db").expect("a path"), what);
    }
    writer.finish().expect("finished");
    file
}

const DOUBT: Option<&str> = Some("was replaced");

/// A volume whose only backup is a model, outside of `Backups/`.
fn with_model() -> (Data, PathBuf) {
    let data = Data::with_state();
    let made = PathBuf::from(data.moorline(&["backup", "--scheduled"]).succeeds().trim_end());
    let model = data.path(".moorline/model");
    fs::rename(made, &model).expect("moved");
    (data, model)
}

fn latest(data: &Data) -> Ran {
    data.moorline(&["restore", "-y", "--from-latest"])
}

/// The commands in the hint.
fn commands(ran: &Ran) -> Vec<Vec<String>> {
    let hint = ran.stderr.lines().find(|line| line.contains("hint:")).expect("a hint");
    let quoted = hint.split('`').skip(1).step_by(2);
    quoted.map(|command| command.split(' ').skip(1).map(str::to_owned).collect()).collect()
}

#[test]
fn a_sound_backup_of_last_month_is_not_taken_in_place_of_thirty_newer_doubtful_ones() {
    let (data, model) = with_model();
    let sound = taken(&data, &model, 31 * 24, None);
    let doubtful: Vec<PathBuf> = (1..=30).map(|day| taken(&data, &model, day * 24, DOUBT)).collect();
    data.file("config.json", "of today");
    let before = data.everything();
    let ran = latest(&data).fails(29, &["is 30 days older", "app.db was replaced", argument(&doubtful[0])]);
    assert_eq!(data.everything(), before, "nothing has changed");
    let commands = commands(&ran);
    assert_eq!(commands.len(), 2, "{ran:#?}");
    for (command, file) in commands.iter().zip([&sound, &doubtful[0]]) {
        data.file("config.json", "of today");
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let out = data.moorline(&command).succeeds();
        assert!(out.contains(argument(file)), "{command:?}: {out}");
        assert_eq!(data.read("config.json"), "{\"a\": 1}\n");
    }
}

#[test]
fn newer_unsound_backups_of_less_than_two_days_are_passed_over_with_a_warning() {
    let (data, model) = with_model();
    let sound = taken(&data, &model, 49, None);
    let doubtful = taken(&data, &model, 2, DOUBT);
    let damaged = taken(&data, &model, 3, None);
    let bytes = fs::read(&damaged).expect("read");
    fs::write(&damaged, &bytes[..bytes.len() - 40]).expect("cut");
    let ran = latest(&data);
    for file in [&doubtful, &damaged] {
        assert!(ran.stderr.contains(&format!("ignoring a newer backup: {}", file.display())), "{ran:#?}");
    }
    assert!(ran.succeeds().contains(argument(&sound)));
    let listed = data.moorline(&["list", "--json"]).json();
    let last = listed["backups"].as_array().expect("a list").last().expect("a row").clone();
    assert_eq!((&last["soundness"], &last["file"]), (&"damaged".into(), &argument(&damaged).into()));
    assert!(last["reasons"][0].as_str().expect("a reason").contains("cut short"), "{last}");
    let table = data.moorline(&["list"]).succeeds();
    let name = damaged.file_name().expect("a name").to_str().expect("UTF-8");
    assert!(table.lines().any(|line| line.starts_with(name) && line.contains("damaged")), "{table}");
}

#[test]
fn without_a_sound_backup_the_newest_doubtful_one_is_restored_with_a_warning() {
    let (data, model) = with_model();
    let newest = taken(&data, &model, 5, DOUBT);
    taken(&data, &model, 100, DOUBT);
    let ran = latest(&data);
    assert!(ran.stderr.contains("no backup of this instance is sound"), "{ran:#?}");
    assert!(ran.succeeds().contains(argument(&newest)));
    data.moorline(&["restore", "-y", "--from-latest=sound"])
        .fails(29, &["no backup of this instance is sound", "--backup="]);
    data.moorline(&["restore", "-y", "--from-latest=oldest"]).fails(2, &["oldest"]);
}

#[test]
fn an_entry_that_cannot_be_read_may_be_the_newest_backup() {
    let (data, model) = with_model();
    taken(&data, &model, 5, None);
    std::os::unix::fs::symlink("/nowhere", data.path("Backups/seq_20990101.seqbac")).expect("a link");
    latest(&data).fails(1, &["symbolic link to a file that does not exist"]);
    let row = data.moorline(&["list", "--json"]).json()["backups"][1].clone();
    assert!(row["soundness"].is_null() && row["error"].as_str().is_some_and(|error| error.contains("link")), "{row}");
}

fn scheduled(data: &Data) {
    let mut command = data.command(&["backup", "--scheduled"]);
    command.env("MOORLINE_BACKUPS_TO_KEEP", "7");
    Ran::of(command).succeeds();
}

#[test]
fn thirty_doubtful_days_leave_eight_files_and_never_push_out_a_sound_one() {
    let (data, model) = with_model();
    for day in 1..=30 {
        taken(&data, &model, day * 24, DOUBT.filter(|_| day != 20));
    }
    scheduled(&data);
    let listed = data.moorline(&["list", "--json"]).json();
    let all = listed["backups"].as_array().expect("a list");
    let sound = all.iter().filter(|one| one["soundness"] == "sound").count();
    assert_eq!((sound, all.len() - sound), (2, 7), "{listed:#}");

    let (data, model) = with_model();
    for day in 1..=30 {
        taken(&data, &model, day * 24, DOUBT);
    }
    scheduled(&data);
    assert_eq!(names(&data.path("Backups")).len(), 8);
}

#[test]
fn the_state_that_a_restore_replaced_goes_by_its_own_age_though_no_sound_backup_follows() {
    let (data, model) = with_model();
    let doubtful = taken(&data, &model, 5, DOUBT);
    let back_up = || {
        let folder = data.path("pg");
        for name in ["global", "base"] {
            fs::create_dir_all(folder.join(name)).expect("made");
        }
        data.file("pg/global/pg_control", "x");
        data.file("pg/postmaster.pid", "4194303\n");
        data.file("pg/PG_VERSION", "15\n");
        let mut command = data.command(&["backup"]);
        command.env("MOORLINE_KEEP_REPLACED", "0s");
        Ran::of(command).fails(29, &["PostgreSQL"]);
    };
    data.moorline(&["restore", "-y", "--enable-apps", "--backup", argument(&doubtful)]).succeeds();
    let kept = || data.moorline(&["status", "--json"]).json()["restores"][0]["can_roll_back"] == true;
    back_up();
    assert!(kept(), "no backup is sound");
    taken(&data, &model, 50, None);
    back_up();
    assert!(!kept());
}

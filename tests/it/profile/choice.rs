//! Which profile a volume has: flag, variable, the image's file, discovery; and that all children have the same.

use std::{fs, path::Path};

use tempfile::TempDir;

use crate::{
    fixture::{Data, Ran, argument, in_mount_namespace, names},
    support::{KEY, MOORLINE, TestVolume, quoted},
};

const NOTES: &str = "name = 'notes'\nprefix = 'notes'\n[state]\nfiles = ['notes/**']\n";

/// What a backup holds, and the name of the profile that it was made with.
fn taken(data: &Data, arguments: &[&str]) -> (serde_json::Value, Vec<String>) {
    let made = data.moorline(&[&["backup", "--json"], arguments].concat());
    assert_eq!(made.code, Some(0), "{made:#?}");
    let file = made.json()["file"].as_str().expect("a path").to_owned();
    let seen = data.moorline(&["inspect", "--json", &file]).json();
    let member = |member: &serde_json::Value| member["path"].as_str().expect("a path").to_owned();
    let members = seen["members"].as_array().expect("a list").iter().map(member);
    (seen["profile"].clone(), members.filter(|path| path.starts_with("state/")).collect())
}

/// A volume, and the folder of a profile for it.
fn with_notes() -> (Data, TempDir) {
    let data = Data::empty();
    data.file("notes/a", "a");
    data.file("other", "o");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    fs::write(folder.path().join("notes.toml"), NOTES).expect("writes");
    (data, folder)
}

#[test]
fn a_profile_comes_from_the_flag_or_the_variable_and_the_flag_wins() {
    let (data, folder) = with_notes();
    assert_eq!(taken(&data, &[]).1, ["state/notes", "state/notes/a", "state/other"]);
    let file = folder.path().join("notes.toml");
    let (name, members) = taken(&data, &["--profile", argument(&file)]);
    assert_eq!((name.as_str(), members), (Some("notes"), vec!["state/notes".to_owned(), "state/notes/a".to_owned()]));

    let mut command = data.command(&["backup", "--json"]);
    command.env("MOORLINE_PROFILE", &file);
    let answer = Ran::of(command).json();
    assert_eq!(answer["profile"], "notes");
    let mut command = data.command(&["--profile", "synapse", "backup"]);
    command.env("MOORLINE_PROFILE", &file);
    Ran::of(command).fails(10, &["nothing to back up"]);
    let mut command = data.command(&["backup", "--json"]);
    command.env("MOORLINE_PROFILE", "");
    assert_eq!(Ran::of(command).json()["profile"], serde_json::Value::Null, "an empty one is none");
}

#[test]
fn a_file_may_be_relative_and_its_prefix_names_scheduled_backups() {
    let (data, folder) = with_notes();
    let mut command = data.command(&["backup", "--scheduled", "--profile", "notes.toml"]);
    command.current_dir(folder.path());
    let path = Ran::of(command).succeeds();
    let name = Path::new(path.trim_end()).file_name().and_then(|name| name.to_str()).expect("a name");
    assert!(name.starts_with("notes_") && name.ends_with(".seqbac"), "{name}");
}

#[test]
fn the_image_may_bring_a_profile_along() {
    let (data, folder) = with_notes();
    let script =
        "mkdir -p /etc/moorline; mount -t tmpfs none /etc/moorline; cp \"$1\" /etc/moorline/profile.toml; shift
                  exec \"$@\"";
    let file = folder.path().join("notes.toml");
    let root = data.root();
    let all = [
        file.as_os_str(),
        MOORLINE.as_ref(),
        "backup".as_ref(),
        "--json".as_ref(),
        "--storage".as_ref(),
        root.as_os_str(),
    ];
    assert_eq!(in_mount_namespace(script, &all).json()["profile"], "notes");
    let named = [&all[..], &["--profile".as_ref(), "synapse".as_ref()]].concat();
    in_mount_namespace(script, &named).fails(10, &["nothing to back up"]);
    fs::write(&file, "name = 'x'\nnane = 1\n").expect("writes");
    in_mount_namespace(script, &all)
        .fails(2, &["/etc/moorline/profile.toml, line 2: `nane` is not a key", "did you mean `name`?"]);
}

#[test]
fn a_profile_that_is_not_there_is_refused() {
    let data = Data::with_state();
    data.moorline(&["backup", "--profile", "nodered"])
        .fails(2, &["no built-in profile is called \"nodered\"", "did you mean node-red?"]);
    data.moorline(&["backup", "--profile", "/no/such.toml"]).fails(2, &["cannot read the profile /no/such.toml"]);
    data.moorline(&["backup", "--profile", argument(data.root())]).fails(2, &["cannot read the profile"]);
    data.moorline(&["restore", "-y", "--from-latest", "--profile", "x.toml"]).fails(2, &["x.toml"]);
}

#[test]
fn scripts_and_their_commands_and_what_runs_beside_the_server_have_the_profile_of_the_run() {
    let volume = TestVolume::in_use();
    volume.write("notes/a", "a");
    fs::write(volume.beside("notes.toml"), NOTES).expect("writes");
    volume.script("1-shell", "echo \"shell: $MOORLINE_PROFILE\"; moorline backup --json >&2");
    volume.script("2-built-in", "seqsvr backup --json\n");
    volume.script("start.d/3", "echo \"at start: $MOORLINE_PROFILE\"; moorline backup --json");
    volume.script("ready.d/4", "echo \"ready: $MOORLINE_PROFILE\"; moorline backup --json; touch \"$DATA_DIR/ready\"");
    let line = format!(
        "cd {} && exec unshare --pid --fork --mount-proc --kill-child {} run --supervise --health alive:0s --profile notes.toml -- \
         /bin/sh -c 'trap \"exit 0\" TERM; while [ ! -e \"$MOORLINE_STORAGE/ready\" ]; do sleep 0.05; done'",
        quoted(volume.beside("")),
        quoted(MOORLINE)
    );
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", &line]).env_clear().env("PATH", "/usr/bin:/bin").env("MOORLINE_STORAGE", volume.root());
    command.env("MOORLINE_SEQINIT", volume.beside("seqinit")).env("MOORLINE_SECRETKEY", KEY);
    let ran = Ran::of(command);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let profile = volume.beside("notes.toml").canonicalize().expect("is there").display().to_string();
    for stage in ["shell", "at start", "ready"] {
        assert!(ran.stderr.contains(&format!("{stage}: {profile}")), "{stage}: {ran:#?}");
    }
    assert_eq!(ran.stderr.matches("\"profile\": \"notes\"").count(), 4, "{ran:#?}");
}

#[test]
fn the_backup_before_the_server_starts_has_the_profile_of_the_run() {
    let volume = TestVolume::in_use();
    volume.write("notes/a", "a");
    fs::write(volume.beside("notes.toml"), NOTES).expect("writes");
    let end = volume
        .run(["/bin/true"])
        .env("MOORLINE_NO_BOOT_BACKUP", "0")
        .env("MOORLINE_PROFILE", volume.beside("notes.toml"));
    let end = end.wait();
    assert_eq!(end.code, 0, "{end}");
    let made = names(&volume.path("Backups"));
    assert!(made.len() == 1 && made[0].starts_with("notes_"), "{made:?}");
}

#[test]
fn a_bare_command_may_stand_behind_the_flag() {
    let volume = TestVolume::in_use();
    for flag in [&["--profile", "synapse"][..], &["--profile=synapse"]] {
        let end = volume.moorline(flag).args(["/bin/echo", "bare"]).env("MOORLINE_BARE", "1").wait();
        assert_eq!((end.code, end.out.as_str()), (0, "bare\n"), "{end}");
    }
}

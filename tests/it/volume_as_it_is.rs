//! Volumes that lack something or have more than plain files: owners that cannot be changed, mounts inside, holes, and the
//! owner and mode of the storage root.

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
    process::Command,
};

use crate::fixture::{Data, Ran, argument, in_mount_namespace};

const SERVER: u32 = 1000;

/// A volume whose state and root belong to [`SERVER`].
fn of_the_server() -> Data {
    let data = Data::with_state();
    give_away(data.root(), SERVER);
    data
}

fn give_away(path: &Path, owner: u32) {
    std::os::unix::fs::lchown(path, Some(owner), Some(owner)).expect("root");
    if path.symlink_metadata().expect("is there").is_dir() {
        for entry in fs::read_dir(path).expect("a folder") {
            give_away(&entry.expect("an entry").path(), owner);
        }
    }
}

/// Runs moorline below another program, which restricts it.
fn below(program: &[&str], data: &Data, arguments: &[&str]) -> Ran {
    let plain = data.command(arguments);
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Ran::of(command)
}

/// Root without CAP_CHOWN.
const NO_CHOWN: &[&str] = &["setpriv", "--bounding-set=-chown", "--inh-caps=-chown"];
/// Root of a user namespace that maps no other id.
const NO_OTHER_ID: &[&str] = &["unshare", "--user", "--map-root-user"];

fn owner(path: &Path) -> (u32, u32) {
    let meta = path.symlink_metadata().expect("is there");
    (meta.uid(), meta.gid())
}

fn root_facts(data: &Data) -> (u32, u32, u32) {
    let meta = fs::metadata(data.root()).expect("is there");
    (meta.uid(), meta.gid(), meta.mode() & 0o7777)
}

fn set_root(data: &Data, owner: u32, mode: u32) {
    chown(data.root(), Some(owner), Some(owner)).expect("root");
    fs::set_permissions(data.root(), fs::Permissions::from_mode(mode)).expect("changed");
}

#[test]
fn where_owners_cannot_be_changed_files_keep_the_owner_that_they_get() {
    let original = of_the_server();
    fs::set_permissions(original.path("config.json"), fs::Permissions::from_mode(0o6755)).expect("changed");
    let (backup, key) = (original.backup(), original.key());
    for program in [NO_CHOWN, NO_OTHER_ID] {
        let (copy, out) = (Data::empty(), Data::empty());
        let backup = argument(&backup);
        let restore = ["restore", "-y", "--enable-apps", "--secret-key", &key, "--backup", backup];
        let folder = out;
        let out = folder.path("out");
        let extract = ["extract", backup, "--secret-key", &key, "-o", argument(&out)];
        for arguments in [&restore[..], &extract[..]] {
            let ran = below(program, &copy, arguments);
            assert_eq!(ran.code, Some(0), "{program:?}: {ran:#?}");
            assert_eq!(ran.stderr.matches("cannot change the owner").count(), 1, "{program:?}: {ran:#?}");
        }
        for restored in [copy.root().to_owned(), out.join("state")] {
            let file = restored.join("config.json");
            assert_eq!(fs::read_to_string(&file).expect("reads"), original.read("config.json"));
            assert_eq!(owner(&file), (0, 0));
            let mode = fs::metadata(&file).expect("is there").mode() & 0o7777;
            assert_eq!(mode, 0o755, "set-user-id would now mean root");
        }
        assert_eq!(copy.rows("app.db"), ["one", "two", "three"]);
        copy.file("config.json", "changed");
        below(program, &copy, &restore).succeeds();
        below(program, &copy, &["rollback", "-y"]).succeeds();
        assert_eq!(copy.read("config.json"), "changed");
    }
}

#[test]
fn a_mount_inside_the_volume_stays_and_the_rest_is_restored() {
    let data = Data::with_state();
    data.file("conf/app.ini", "mounted in the container");
    data.file("media/one", "before");
    data.file("media/deep/two", "before");
    data.backup();
    data.database("app.db", "wal", &["changed"]);
    data.file("conf/deep/b.txt", "changed");
    data.file("conf/new.txt", "not in the backup");
    let beside = Data::empty();
    beside.file("app.ini", "of the ConfigMap");
    beside.file("media/one", "of the disk");
    let script = r#"
        mount --bind "$3/app.ini" "$1/conf/app.ini"; mount --bind "$3/media" "$1/media"
        "$2" restore -y --from-latest --storage "$1" >&2
        grep -q ConfigMap "$1/conf/app.ini"; grep -q disk "$1/media/one"
        test "$(cat "$1/conf/deep/b.txt")" = b; test ! -e "$1/conf/new.txt"
        "$2" rollback -y --storage "$1" >&2
        grep -q ConfigMap "$1/conf/app.ini"; grep -q disk "$1/media/one"
        test "$(cat "$1/conf/deep/b.txt")" = changed; test -e "$1/conf/new.txt"
        "$2" rollback -y --storage "$1" >&2"#;
    let arguments = [data.root().as_os_str(), env!("MOORLINE_PROGRAM").as_ref(), beside.root().as_os_str()];
    let ran = in_mount_namespace(script, &arguments);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    for warning in [
        "conf/app.ini is a mount point of its own, so",
        "media is a mount point of its own, so it is left as it is; its 4 members",
    ] {
        assert!(ran.stderr.contains(warning), "{warning}: {ran:#?}");
    }
    assert_eq!(data.rows("app.db"), ["one", "two", "three"]);
    assert_eq!(data.read("conf/app.ini"), "mounted in the container", "below the mount");
    assert_eq!(data.read("media/deep/two"), "before");
    assert!(!data.path("conf/new.txt").exists());
}

#[test]
fn files_with_holes_are_restored_with_holes() {
    const SIZE: u64 = 64 << 20;
    let data = Data::with_state();
    let mut file = fs::File::create(data.path("ring.bin")).expect("created");
    file.write_all(b"head").expect("written");
    file.seek(SeekFrom::Start(40 << 20)).expect("sought");
    file.write_all(b"tail").expect("written");
    file.set_len(SIZE).expect("longer");
    fs::write(data.path("zeros.bin"), vec![0; 2 << 20]).expect("written");
    // Delayed allocation: until it is flushed, a file may seem to have no blocks.
    assert!(Command::new("sync").status().expect("runs").success());
    let expected = blake3::hash(&fs::read(data.path("ring.bin")).expect("reads"));
    let backup = data.backup();
    let key = data.key();
    let out = Data::empty();
    data.moorline(&["extract", argument(&backup), "-o", argument(&out.path("out"))]).succeeds();
    // 64 MiB of holes need no room.
    let script = r#"
        mount -t tmpfs -o size=40m none "$1"
        "$2" restore -y --enable-apps --secret-key "$3" --backup "$4" --storage "$1" >&2
        test "$(du -k "$1/ring.bin" | cut -f1)" -lt 256; test "$(du -k "$1/zeros.bin" | cut -f1)" -ge 2048
        b3() { sha256sum < "$1"; }; test "$(b3 "$1/ring.bin")" = "$(b3 "$5")""#;
    let copy = Data::empty();
    let ring = data.path("ring.bin");
    let program = env!("MOORLINE_PROGRAM").as_ref();
    let arguments = [copy.root().as_os_str(), program, key.as_ref(), backup.as_os_str(), ring.as_os_str()];
    let ran = in_mount_namespace(script, &arguments);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    data.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    for path in [data.path("ring.bin"), out.path("out/state/ring.bin")] {
        let meta = fs::metadata(&path).expect("is there");
        assert_eq!(meta.len(), SIZE);
        assert!(meta.blocks() * 512 < 1 << 20, "{} takes {} KiB", path.display(), meta.blocks() / 2);
        assert_eq!(blake3::hash(&fs::read(&path).expect("reads")), expected);
    }
}

#[test]
fn a_new_volume_gets_the_owner_and_mode_of_the_old_storage_root() {
    let original = of_the_server();
    set_root(&original, SERVER, 0o750);
    let (backup, key) = (original.backup(), original.key());
    let restore = |owner: &[&str]| {
        let copy = Data::empty();
        set_root(&copy, 0, 0o755);
        let arguments = ["restore", "-y", "--enable-apps", "--secret-key", &key, "--backup", argument(&backup)];
        copy.moorline(&[&arguments[..], owner].concat()).succeeds();
        copy
    };
    let copy = restore(&[]);
    assert_eq!(root_facts(&copy), (SERVER, SERVER, 0o750));
    copy.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(root_facts(&copy), (0, 0, 0o755));
    copy.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(root_facts(&copy), (SERVER, SERVER, 0o750), "a rollback can be undone");
    assert_eq!(root_facts(&restore(&["--owner", "1234:4321"])), (1234, 4321, 0o750));
}

#[test]
fn a_storage_root_that_the_server_uses_keeps_its_owner() {
    let original = of_the_server();
    set_root(&original, SERVER, 0o750);
    let (backup, key) = (original.backup(), original.key());
    let used = Data::with_state();
    give_away(used.root(), 2000);
    set_root(&used, 2000, 0o770);
    let arguments = ["restore", "-y", "--enable-apps", "--secret-key", &key, "--backup", argument(&backup)];
    let ran = used.moorline(&arguments);
    assert!(ran.stderr.contains("the storage root keeps its owner 2000:2000"), "{ran:#?}");
    ran.succeeds();
    assert_eq!(root_facts(&used), (2000, 2000, 0o770));
    // The same owner: only the mode is restored.
    set_root(&original, SERVER, 0o700);
    original.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    assert_eq!(root_facts(&original), (SERVER, SERVER, 0o750));
    original.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(root_facts(&original), (SERVER, SERVER, 0o700));
}

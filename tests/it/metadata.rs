//! Metadata beside owner, mode and times: access lists (ACLs), extended attributes, capabilities, hard links and holes. They
//! are kept whole, or their loss is named. The tools of the system compare, none of ours.

use std::{
    fs,
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown},
    path::Path,
    process::Command,
};

use crate::{
    fixture::{Data, Ran, argument, in_mount_namespace},
    support::TestVolume,
};

/// Runs a shell script with these arguments; its output.
fn sh(script: &str, arguments: &[&Path]) -> String {
    let mut command = Command::new("sh");
    command.args(["-euc", script, "sh"]).args(arguments);
    Ran::of(command).succeeds()
}

/// Every kind of metadata.
const TREE: &str = r#"cd "$1"
    echo secret > ledger; chmod 640 ledger; setfacl -m u:1234:rw,g:77:r ledger
    mkdir shared; setfacl -d -m g:2000:rwx shared; setfacl -m u:7:rwx shared; echo inherits > shared/file
    mkdir folder; setfattr -n user.folder -v yes folder; chmod 2750 folder
    echo x > tagged; setfattr -n user.origin -v import tagged; setfattr -n user.empty tagged
    setfattr -n user.a=b%3Dc -v 0x0a3d00ff tagged; setfattr -n trusted.secret -v of-root tagged
    head -c 3000 /dev/urandom > blob; setfattr -n user.large -v 0x$(od -An -v -tx1 blob | tr -d ' \n') blob
    cp /bin/true helper; chown 5:6 helper; setcap cap_net_raw+ep helper; chmod 4755 helper
    chmod 400 blob; ln -s ledger link; setfattr -h -n trusted.of-link -v x link
    head -c 3M /dev/urandom > one; ln one two; ln one conf/three; ln conf/link conf/link2; touch -d @1000000000.5 one
    truncate -s 9M holes; head -c 1M /dev/urandom | dd of=holes bs=64k seek=20 conv=notrunc status=none
    head -c 1M /dev/zero | dd of=holes bs=64k seek=80 conv=notrunc status=none
    truncate -s 2M one-hole; truncate -s 5000 small-hole; truncate -s 3M app.log; echo tail >> app.log
    setfattr -n user.root -v yes .; setfacl -d -m u:8:rx .; setfacl -m u:8:rx .; sync"#;

/// All of it, as the tools of the system see it.
const DESCRIBE: &str = r#"cd "$1"
    paths() { find . -path ./.moorline -prune -o -path ./Init -prune -o -path ./Backups -prune -o -print0 | sort -z; }
    paths | xargs -0 getfattr -h -d -m '^(user|trusted|security|system)' -e hex
    paths | xargs -0 getfacl -p -n
    paths | xargs -0 getcap
    # The sidecars of a database come and go.
    paths | grep -zv 'app.db' | grep -zvx '\.' | xargs -0 stat -c '%n %A %u:%g %h'
    # The folders of moorline are links to the storage root.
    stat -c '%n %A %u:%g' .
    find . -type f ! -path './.moorline/*' ! -path './Backups/*' ! -name 'app.db*' -printf '%p %s %T@\n' | sort
    find . -samefile one | sort; find . -samefile conf/link | sort
    du -k holes one-hole small-hole app.log one blob
    for file in ledger tagged blob helper two holes one-hole small-hole app.log; do sha256sum "$file"; done"#;

fn describe(root: &Path) -> String {
    sh(DESCRIBE, &[root])
}

fn with_metadata() -> Data {
    let data = Data::with_state();
    sh(TREE, &[data.root()]);
    data
}

/// A restore onto an empty volume.
fn restore(copy: &Data, backup: &Path, key: &str, more: &[&str]) -> Ran {
    let arguments = ["restore", "-y", "--enable-apps", "--secret-key", key, "--backup", argument(backup)];
    copy.moorline(&[&arguments[..], more].concat())
}

#[test]
fn every_kind_of_metadata_survives_backup_restore_and_rollback() {
    let data = with_metadata();
    let before = describe(data.root());
    for part in [
        "user:1234:rw-",
        "default:group:2000:rwx",
        "trusted.of-link",
        "cap_net_raw",
        r"user.a\075b%3Dc",
        "./conf/three",
    ] {
        assert!(before.contains(part), "{part}: {before}");
    }
    let (backup, key) = (data.backup(), data.key());
    let copy = Data::empty();
    let ran = restore(&copy, &backup, &key, &[]);
    assert_eq!((ran.code, ran.stderr.contains(" are not ")), (Some(0), false), "{ran:#?}");
    assert_eq!(describe(copy.root()), before);
    // A folder with a default list must give none of it to what is restored into it.
    let out = Data::empty();
    sh("setfacl -d -m u:9:rwx \"$1\"; mkdir \"$1/out\"", &[out.root()]);
    out.moorline(&["extract", argument(&backup), "--secret-key", &key, "-o", argument(&out.path("out"))]).succeeds();
    let extracted = sh("cd \"$1\"; getfacl -p -n ledger shared/file tagged folder", &[&out.path("out/state")]);
    assert_eq!(extracted, sh("cd \"$1\"; getfacl -p -n ledger shared/file tagged folder", &[data.root()]));

    sh(
        "cd \"$1\"; rm two; echo other > two; setfacl -b ledger; rm -r shared folder; setfattr -x user.root .",
        &[data.root()],
    );
    let changed = describe(data.root());
    assert_ne!(changed, before);
    data.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    assert_eq!(describe(data.root()), before);
    data.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(describe(data.root()), changed);
    data.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(describe(data.root()), before, "a rollback can be undone");
}

#[test]
fn an_ordinary_user_is_told_each_loss_once() {
    const NOBODY: u32 = 65534;
    let data = with_metadata();
    sh("cd \"$1\"; setfattr -n trusted.too -v x ledger", &[data.root()]);
    let (backup, key) = (data.backup(), data.key());
    let copy = Data::empty();
    chown(copy.root(), Some(NOBODY), Some(NOBODY)).expect("root");
    fs::copy(&backup, copy.path("b.seqbac")).expect("copied");
    chown(copy.path("b.seqbac"), Some(NOBODY), Some(NOBODY)).expect("root");
    let mut command = copy.command(&[
        "restore",
        "-y",
        "--enable-apps",
        "--secret-key",
        &key,
        "--backup",
        argument(&copy.path("b.seqbac")),
    ]);
    std::os::unix::process::CommandExt::gid(std::os::unix::process::CommandExt::uid(&mut command, NOBODY), NOBODY);
    let ran = Ran::of(command);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    for loss in [
        "the file capabilities of 1 path are not on this volume, such as helper: operation not permitted",
        "the extended attributes trusted.* of 3 paths are not on this volume, such as ledger: operation not permitted",
    ] {
        assert_eq!(ran.stderr.matches(loss).count(), 1, "{loss}: {ran:#?}");
    }
    // What the user may set is there.
    let kept = "cd \"$1\"; getfacl -p -n ledger | grep -q user:1234:rw-; getfattr -d tagged | grep -q user.origin
        getfacl -p -n ledger | grep -q ^group::r--; stat -c %h one; test -z \"$(getcap helper)\"";
    assert_eq!(sh(kept, &[copy.root()]), "3\n");
}

/// Ids that a user namespace does not map cannot be in an access list, and a ramfs has neither lists nor attributes.
#[test]
fn without_access_lists_the_group_gets_no_more_than_its_own_rights() {
    let data = Data::with_state();
    sh(
        "cd \"$1\"; echo secret > ledger; chmod 640 ledger; setfacl -m u:1234:rw ledger; setfattr -n user.x -v 1 ledger",
        &[data.root()],
    );
    assert_eq!(fs::metadata(data.path("ledger")).expect("is there").mode() & 0o777, 0o660, "the mask");
    let (backup, key) = (data.backup(), data.key());
    let copy = Data::empty();
    let script = r#"unshare --user --map-root-user "$1" restore -y --enable-apps --secret-key "$2" --backup "$3" --storage "$4""#;
    let mut command = Command::new("sh");
    command.args(["-euc", script, "sh", env!("MOORLINE_PROGRAM"), &key, argument(&backup), argument(copy.root())]);
    let ran = Ran::of(command);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let loss = "the access lists (ACLs) of 1 path are not on this volume, such as ledger: invalid argument";
    assert_eq!(ran.stderr.matches(loss).count(), 1, "{ran:#?}");
    assert_eq!(fs::metadata(copy.path("ledger")).expect("is there").mode() & 0o777, 0o640);

    let script = r#"mount -t ramfs none "$1"; "$2" extract "$4" -o "$1/out" --secret-key "$3"; stat -c %a "$1/out/state/ledger""#;
    let program = env!("MOORLINE_PROGRAM").as_ref();
    let ran = in_mount_namespace(script, &[copy.root().as_os_str(), program, key.as_ref(), backup.as_os_str()]);
    assert_eq!((ran.code, ran.stdout.lines().last()), (Some(0), Some("640")), "{ran:#?}");
    for lost in ["the access lists (ACLs) of 1 path", "the extended attributes user.* of 1 path"] {
        assert_eq!(ran.stderr.matches(lost).count(), 1, "{lost}: {ran:#?}");
    }
}

#[test]
fn without_hard_links_each_name_is_a_whole_file_and_the_loss_is_named() {
    let data = with_metadata();
    let (backup, key) = (data.backup(), data.key());
    let copy = Data::empty();
    let arguments = ["restore", "-y", "--enable-apps", "--secret-key", &key, "--backup", argument(&backup)];
    let plain = copy.command(&arguments);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=linkat", "-e", "inject=linkat:error=EPERM"]);
    command.arg(plain.get_program()).args(plain.get_args()).env("MOORLINE_STORAGE", copy.root());
    let ran = Ran::of(command);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let loss = "the hard links of 3 paths are not on this volume, such as conf/three";
    let loss =
        if ran.stderr.contains(loss) { loss } else { "the hard links of 3 paths are not on this volume, such as " };
    assert_eq!(ran.stderr.matches(loss).count(), 1, "{ran:#?}");
    let names = ["one", "two", "conf/three"].map(|name| copy.path(name));
    for name in &names {
        assert_eq!(fs::metadata(name).expect("is there").nlink(), 1);
        assert!(fs::read(name).expect("reads") == fs::read(data.path("one")).expect("reads"), "{}", name.display());
        assert_eq!(fs::metadata(name).expect("is there").mtime(), 1_000_000_000);
    }
}

#[test]
fn a_single_name_of_a_file_is_extracted_as_a_file() {
    let data = with_metadata();
    let backup = data.backup();
    let out = Data::empty();
    let extract = |member| data.moorline(&["extract", argument(&backup), member, "-o", argument(&out.path("out"))]);
    extract("two").succeeds();
    extract("one").succeeds();
    let inode = |name| fs::metadata(out.path(name)).expect("is there").ino();
    assert_ne!(inode("out/state/one"), inode("out/state/two"), "files of an earlier command are left alone");
    assert!(fs::read(out.path("out/state/two")).expect("reads") == fs::read(data.path("two")).expect("reads"));
}

#[test]
fn a_database_with_two_names_is_named() {
    let data = Data::with_state();
    fs::hard_link(data.path("app.db"), data.path("other.db")).expect("linked");
    let ran = data.moorline(&["backup"]);
    assert!(ran.stderr.contains("other.db is the same file as app.db"), "{ran:#?}");
    ran.succeeds();
}

#[test]
fn owners_are_mapped_by_name_and_number_in_access_lists_too() {
    let data = Data::with_state();
    sh(
        "cd \"$1\"; for name in a b c d; do echo $name > $name; done; chown 1000:1000 a; chown 1000:50 b; chown 7:1000 c
            setfacl -m u:1000:rw,u:7:r,g:1000:r,g:50:rw a; chown 1000:1000 .; chmod 750 .; setfacl -d -m u:1000:rx .",
        &[data.root()],
    );
    let (backup, key) = (data.backup(), data.key());
    let seen = "cd \"$1\"; stat -c '%n %u:%g' a b c d; getfacl -p -n -c a | sort; getfacl -p -n -c . | grep ^default:user:[0-9]";
    let expected = "a 2000:3000\nb 2000:50\nc 1:3000\nd 0:0\n\ngroup:3000:r--\ngroup:50:rw-\ngroup::r--\nmask::rw-\nother::r--\nuser:1:r--\nuser:2000:rw-\nuser::rw-\n";
    let map = ["--owner-map", "1000:1000=2000:3000", "--owner-map", "7=daemon"];
    let copy = Data::empty();
    restore(&copy, &backup, &key, &map).succeeds();
    assert_eq!(sh(seen, &[copy.root()]), format!("{expected}default:user:2000:r-x\n"));
    let root = fs::metadata(copy.root()).expect("is there");
    assert_eq!((root.uid(), root.gid(), root.mode() & 0o777), (2000, 3000, 0o750));
    // The map comes before the owner of the file that is replaced; other files keep theirs.
    chown(copy.path("a"), Some(5), Some(5)).expect("root");
    chown(copy.path("d"), Some(5), Some(5)).expect("root");
    restore(&copy, &backup, &key, &map).succeeds();
    assert_eq!(sh("cd \"$1\"; stat -c '%n %u:%g' a d", &[copy.root()]), "a 2000:3000\nd 5:5\n");

    let out = Data::empty();
    let folder = out.path("mapped");
    let extract = ["extract", argument(&backup), "--secret-key", &key, "-o"];
    out.moorline(&[&extract[..], &[argument(&folder)], &map[..]].concat()).succeeds();
    let seen = "cd \"$1\"; stat -c '%n %u:%g' a b c d; getfacl -p -n -c a | sort";
    assert_eq!(sh(seen, &[&folder.join("state")]), expected);
    let folder = out.path("owned");
    out.moorline(&[&extract[..], &[argument(&folder), "--owner", "9:8"]].concat()).succeeds();
    assert_eq!(sh("cd \"$1\"; stat -c '%u:%g' a b c d conf conf/link | sort -u", &[&folder.join("state")]), "9:8\n");
}

#[test]
fn owner_maps_that_make_no_sense_are_usage_errors() {
    let data = Data::with_state();
    let backup = data.backup();
    for map in ["1000", "1000=", "=5", "a=5", "1:2=3", "1=2:3", ":=:", "1=nobody-of-this-name", "4294967296=1"] {
        let ran = data.moorline(&["restore", "-y", "--from-latest", "--owner-map", map]);
        assert_eq!(ran.code, Some(2), "{map}: {ran:#?}");
    }
    let twice = ["extract", argument(&backup), "-o", "x", "--owner-map", "1=2", "--owner-map", "1=3"];
    data.moorline(&twice).fails(2, &["gives the user 1 two new ids, 2 and 3"]);
    let both = ["extract", argument(&backup), "-o", "x", "--owner", "1:1", "--owner-map", "1=3"];
    data.moorline(&both).fails(2, &["--owner"]);
}

/// The user could not have made them.
#[test]
fn a_script_of_the_servers_user_gets_no_capabilities() {
    let volume = TestVolume::in_use();
    let tree = "cd \"$1\"; cp /bin/true helper; setcap cap_net_raw+ep helper; setfattr -n trusted.x -v 1 helper
        setfattr -n user.x -v 1 helper; setfattr -n trusted.x -v 1 .; setfacl -m u:1234:r helper";
    sh(tree, &[&volume.root()]);
    volume.moorline(["backup"]).wait();
    sh("cd \"$1\"; setfattr -x trusted.x .; rm helper; chown -R 1000:1000 .", &[&volume.root()]);
    volume.script("x", "seqsvr restore -y --from-latest\n");
    let end = volume.moorline(["run", "--user", "1000:1000", "--", "/bin/true"]).wait();
    assert_eq!(end.code, 0, "{end}");
    let kept = "cd \"$1\"; getfattr -d -m . -h helper .; getcap helper; getfacl -c -p -n helper | grep 1234";
    assert_eq!(
        sh(kept, &[&volume.root()]).lines().filter(|line| !line.is_empty()).collect::<Vec<_>>(),
        [
            "# file: helper",
            "system.posix_acl_access=0sAgAAAAEABwD/////AgAEANIEAAAEAAUA/////xAABQD/////IAAFAP////8=",
            "user.x=\"1\"",
            "user:1234:r--",
        ]
    );
    for lost in ["the file capabilities of 1 path", "the extended attributes trusted.* of 1 path"] {
        assert!(end.err.contains(lost), "{lost}: {end}");
    }
}

#[test]
fn a_file_that_moorline_rewrites_keeps_its_attributes() {
    let data = Data::empty();
    data.file("config.json", "{}");
    let path = data.path("config.json");
    sh(
        "setfacl -m u:1234:r \"$1\"; setfattr -n user.x -v 1 \"$1\"; setfacl -d -m u:9:rwx \"$(dirname \"$1\")\"",
        &[&path],
    );
    let seen = "getfattr -d -m - --absolute-names \"$1\"; getfacl -p \"$1\"";
    let before = sh(seen, &[&path]);
    volume::durable::replace(&path, b"{\"new\": 1}").expect("replaces");
    assert_eq!((sh(seen, &[&path]), data.read("config.json").as_str()), (before, "{\"new\": 1}"));
}

#[test]
fn holes_are_neither_read_nor_written() {
    let data = Data::with_state();
    let file = fs::File::create(data.path("index.mdb")).expect("made");
    file.set_len(1 << 30).expect("longer");
    file.write_all_at(b"data", 700 << 20).expect("written");
    let trace = data.path(".trace");
    let plain = data.command(&["backup"]);
    let mut command = Command::new("strace");
    command.args([
        "-f",
        "-qq",
        "-o",
        argument(&trace),
        "-e",
        "trace=pread64,read",
        "-P",
        argument(&data.path("index.mdb")),
    ]);
    command.arg(plain.get_program()).args(plain.get_args()).env("MOORLINE_STORAGE", data.root());
    let backup = Ran::of(command).succeeds();
    let backup = Path::new(backup.trim_end());
    let reads = fs::read_to_string(&trace).expect("reads").lines().count();
    assert!((1..10).contains(&reads), "{reads} reads");
    fs::remove_file(trace).expect("removed");
    assert!(fs::metadata(backup).expect("is there").len() < 16 << 20);
    data.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    let file = fs::File::open(data.path("index.mdb")).expect("is there");
    let meta = file.metadata().expect("is there");
    assert_eq!((meta.len(), meta.blocks() <= 64), (1 << 30, true), "{} blocks", meta.blocks());
    let mut found = [0; 4];
    file.read_exact_at(&mut found, 700 << 20).expect("reads");
    assert_eq!(&found, b"data");
    assert_eq!(fs::metadata(data.path("config.json")).expect("is there").permissions().mode() & 0o777, 0o644);
}

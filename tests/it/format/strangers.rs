//! Strangers' tools: stock Tink, `zstd` and GNU `tar` open a backup of ours as `docs/seqbac.md` says, and we read one
//! that they made.

use std::{
    ffi::OsString,
    fs,
    io::Read,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use seqbac::{Archive, Entry, Kind, Reader};

use sha2::{Digest as _, Sha256};

use crate::fixture::{Data, argument};

use super::samples::{KEY, MANIFEST, OTHER_KEY, file, key, noise, path, write};
use super::vectors::{folder, hex, open};

/// The Python that has Tink.
fn python() -> OsString {
    let ours = Path::new(env!("MOORLINE_REPOSITORY")).join("target/venv/bin/python3");
    let python = std::env::var_os("MOORLINE_TEST_PYTHON").unwrap_or_else(|| ours.into());
    assert!(
        Path::new(&python).exists(),
        "{} is missing: `scripts/test` makes it (python3 -m venv, pip install tink==1.16.1)",
        python.display()
    );
    python
}

/// Runs a command in a folder; its output.
fn run(folder: &Path, program: impl Into<OsString>, arguments: &[&str]) -> Vec<u8> {
    let program = program.into();
    let output = Command::new(&program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|cause| panic!("{}: {cause}", program.display()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {arguments:?}: {}: {errors}", program.display(), output.status);
    output.stdout
}

fn script() -> String {
    Path::new(env!("MOORLINE_REPOSITORY")).join("docs/seqbac-tink.py").to_str().expect("UTF-8").to_owned()
}

fn members() -> Vec<(Entry, Vec<u8>)> {
    let noise = noise(3_000_001);
    let text = b"all work and no play\n".repeat(200_000);
    let secs = 1_234_567_890;
    vec![
        (Entry { kind: Kind::Directory, mode: 0o750, ..file("folder", 0) }, Vec::new()),
        (Entry { mtime_secs: secs, mtime_nanos: 123_456_789, ..file("folder/noise", noise.len()) }, noise),
        (file("text", text.len()), text),
        (file("empty", 0), Vec::new()),
        (file(format!("{}/{}", "d".repeat(120), "n".repeat(200)), 4), b"long".to_vec()),
        (file("grüße und leerzeichen", 3), b"hi\n".to_vec()),
        (file(b"latin\xe9", 1), b"1".to_vec()),
        (file([b"latin\xe9-".as_slice(), &[b'x'; 150]].concat(), 1), b"2".to_vec()),
        (Entry { kind: Kind::Symlink("../far/away".into()), ..file("link", 0) }, Vec::new()),
        (Entry { kind: Kind::Symlink("y".repeat(180).into()), ..file("longlink", 0) }, Vec::new()),
    ]
}

#[test]
fn tink_zstd_and_tar_open_a_backup_of_ours() {
    let folder = tempfile::tempdir().expect("a folder");
    let members = members();
    fs::write(folder.path().join("key.txt"), format!("{KEY}\n")).expect("writes");
    fs::write(folder.path().join("backup.seqbac"), write(&members)).expect("writes");
    let stream = run(folder.path(), python(), &[&script(), "open", "key.txt", "backup.seqbac"]);
    fs::write(folder.path().join("backup.tar.zst"), stream).expect("writes");
    run(folder.path(), "zstd", &["-q", "-d", "backup.tar.zst", "-o", "backup.tar"]);
    let out = folder.path().join("out");
    fs::create_dir(&out).expect("makes a folder");
    run(folder.path(), "tar", &["-xf", "backup.tar", "-C", "out"]);

    assert_eq!(fs::read(out.join("manifest.json")).expect("reads"), MANIFEST);
    for (entry, content) in &members {
        let at = entry.path.under(&out);
        let found = fs::symlink_metadata(&at).unwrap_or_else(|cause| panic!("{}: {cause}", entry.path));
        match &entry.kind {
            Kind::Symlink(target) => assert_eq!(fs::read_link(&at).expect("a link"), *target),
            Kind::Directory => assert!(found.is_dir()),
            Kind::File => {
                assert!(fs::read(&at).expect("reads") == *content, "{}", entry.path);
                assert_eq!(found.permissions().mode() & 0o7777, entry.mode);
                assert_eq!((found.mtime(), found.mtime_nsec()), (entry.mtime_secs, i64::from(entry.mtime_nanos)));
            }
        }
    }
    let digest: serde_json::Value =
        serde_json::from_slice(&fs::read(out.join("digest.json")).expect("reads")).expect("JSON");
    assert_eq!(digest["complete"], true);
    assert_eq!(digest["members"].as_array().map(Vec::len), Some(members.len() + 1));
}

/// Every byte, and with `--xattrs` every attribute. Without it, no user has more rights than before.
#[test]
fn tink_zstd_and_tar_restore_a_volume_with_all_kinds_of_metadata() {
    let data = Data::with_state();
    let tree = r#"cd "$1"; printf secret > ledger; chmod 640 ledger; setfacl -m u:1234:rw ledger
        setfattr -n user.a=b%c -v 0x3d0a00ff25 ledger; setfattr -n trusted.t -v t ledger
        cp /bin/true helper; setcap cap_net_raw+ep helper
        head -c 300000 /dev/urandom > one; ln one two; ln two conf/three
        truncate -s 5M sparse; printf x | dd of=sparse bs=1 seek=3M conv=notrunc status=none; truncate -s 8M hole"#;
    run(data.root(), "sh", &["-euc", tree, "sh", argument(data.root())]);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    fs::rename(data.backup(), folder.path().join("backup.seqbac")).expect("renamed");
    fs::write(folder.path().join("key.txt"), data.key()).expect("writes");
    let stream = run(folder.path(), python(), &[&script(), "open", "key.txt", "backup.seqbac"]);
    fs::write(folder.path().join("backup.tar.zst"), stream).expect("writes");
    run(folder.path(), "zstd", &["-q", "-d", "backup.tar.zst", "-o", "backup.tar"]);
    let plain = r#"mkdir plain; tar -xpf backup.tar -C plain
        for name in ledger helper one two conf/three sparse hole config.json; do cmp "plain/state/$name" "$1/$name"; done
        test "$(stat -c %A plain/state/ledger)" = -rw-r-----"#;
    run(folder.path(), "sh", &["-euc", plain, "sh", argument(data.root())]);
    let whole = r#"mkdir whole; tar --xattrs --xattrs-include='*' -xpf backup.tar -C whole
        for name in ledger helper; do
            (cd whole/state; getfattr -d -m '^(user|trusted|security.cap)' -e hex $name) > restored
            (cd "$1"; getfattr -d -m '^(user|trusted|security.cap)' -e hex $name) | cmp - restored
        done"#;
    run(folder.path(), "sh", &["-euc", whole, "sh", argument(data.root())]);
}

#[test]
fn tink_is_told_a_wrong_key_by_its_fingerprint() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("key.txt"), OTHER_KEY).expect("writes");
    fs::write(folder.path().join("backup.seqbac"), write(&[])).expect("writes");
    let output = Command::new(python())
        .args([&script(), "open", "key.txt", "backup.seqbac"])
        .current_dir(folder.path())
        .output()
        .expect("runs");
    assert!(!output.status.success() && output.stdout.is_empty());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("wrong key: ") && errors.contains(&key().fingerprint().to_string()), "{errors}");
}

#[test]
fn tink_and_zstd_agree_with_every_good_vector() {
    let mut opened = 0;
    for vector in fs::read_dir(folder()).expect("lists") {
        let (fields, mut body) = open(&vector.expect("lists").path());
        // The script cuts off a whole footer, and knows of no other.
        if fields["expect"] != "success" || fields.contains_key("warnings") {
            continue;
        }
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("key.txt"), &fields["key"]).expect("writes");
        let mut backup = fs::File::create(folder.path().join("backup.seqbac")).expect("makes a file");
        std::io::copy(&mut body, &mut backup).expect("writes");
        let stream = run(folder.path(), python(), &[&script(), "open", "key.txt", "backup.seqbac"]);
        fs::write(folder.path().join("backup.tar.zst"), stream).expect("writes");
        let tar = run(folder.path(), "zstd", &["-q", "-d", "-c", "backup.tar.zst"]);
        assert_eq!(hex(&Sha256::digest(&tar)), fields["payload-sha256"]);
        opened += 1;
    }
    assert!(opened > 10, "{opened} vectors were opened");
}

/// A tree, its digest, and the names in the order of the tar: made with nothing of ours.
fn make_tree(root: &Path) -> Vec<PathBuf> {
    fs::create_dir_all(root.join("folder")).expect("makes a folder");
    fs::write(root.join("manifest.json"), MANIFEST).expect("writes");
    fs::write(root.join("folder/noise"), noise(5_000_000)).expect("writes");
    fs::write(root.join("x".repeat(200)), b"a long name").expect("writes");
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"latin\xe9")), b"raw").expect("writes");
    symlink("nowhere", root.join("link")).expect("links");
    ["manifest.json", "folder", "folder/noise", &"x".repeat(200)]
        .iter()
        .map(PathBuf::from)
        .chain([PathBuf::from(std::ffi::OsStr::from_bytes(b"latin\xe9")), "link".into()])
        .collect()
}

fn write_digest(root: &Path, names: &[PathBuf]) {
    let members: Vec<_> = names
        .iter()
        .map(|name| {
            let kind = fs::symlink_metadata(root.join(name)).expect("is there").file_type();
            let content = if kind.is_file() { fs::read(root.join(name)).expect("reads") } else { Vec::new() };
            let name = serde_json::to_value(path(name.as_os_str().as_bytes())).expect("JSON");
            let blake3 = blake3::hash(&content).to_hex().to_string();
            serde_json::json!({"path": name, "size": content.len(), "blake3": blake3})
        })
        .collect();
    let json = serde_json::json!({"complete": true, "members": members});
    fs::write(root.join("digest.json"), json.to_string()).expect("writes");
}

#[test]
fn we_read_a_backup_that_tink_zstd_and_tar_made() {
    // Frames of any size: one for all of it with its size unknown, small ones, and a window of the largest kind.
    for zstd in [
        "zstd -q -3 -c < made.tar",
        "split -b 300000 --filter='zstd -q -c' made.tar",
        "zstd -q -19 --zstd=wlog=22 -c made.tar",
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("tree");
        let names = make_tree(&root);
        write_digest(&root, &names);
        let mut list: Vec<u8> = names.iter().flat_map(|name| [name.as_os_str().as_bytes(), b"\0"].concat()).collect();
        list.extend(b"digest.json\0");
        fs::write(folder.path().join("names"), list).expect("writes");
        fs::write(folder.path().join("key.txt"), KEY).expect("writes");
        let tar = ["--format=pax", "--no-recursion", "--null", "-C", "tree", "-T", "names", "-cf", "made.tar"];
        run(folder.path(), "tar", &tar);
        fs::write(folder.path().join("made.tar.zst"), run(folder.path(), "sh", &["-c", zstd])).expect("writes");
        let backup = run(folder.path(), python(), &[&script(), "seal", "key.txt", "made.tar.zst"]);
        check(&backup, &root, &names);
    }
}

fn check(backup: &[u8], root: &Path, names: &[PathBuf]) {
    let mut reader = Reader::open(backup, &key(), 2).expect("opens");
    assert_eq!(reader.header().writer.as_deref(), Some("seqbac-tink.py"));
    assert_eq!(reader.manifest(), MANIFEST);
    for name in &names[1..] {
        let mut member = reader.next_member().expect("reads").expect("a member");
        assert_eq!(member.entry().path.as_path(), name);
        match &member.entry().kind {
            Kind::Directory => {}
            Kind::Symlink(target) => assert_eq!(target, Path::new("nowhere")),
            Kind::File => {
                let found = fs::metadata(root.join(name)).expect("is there");
                assert_eq!(member.entry().mtime_secs, found.mtime());
                assert_eq!(i64::from(member.entry().mtime_nanos), found.mtime_nsec());
                let mut content = Vec::new();
                member.read_to_end(&mut content).expect("reads");
                assert!(content == fs::read(root.join(name)).expect("reads"), "{}", name.display());
            }
        }
    }
    let verified = reader.finish().expect("whole");
    assert_eq!(verified.warnings, Vec::<String>::new());

    let mut archive = Archive::open(std::io::Cursor::new(backup), &key()).expect("opens without a seek table");
    let mut content = Vec::new();
    archive.member(&path("folder/noise")).expect("is there").read_to_end(&mut content).expect("reads");
    assert!(content == noise(5_000_000));
}

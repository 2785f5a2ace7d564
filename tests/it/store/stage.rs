//! Members of an archive, put under a staging directory.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, chown, symlink},
    },
    path::Path,
};

use engine::store::{Owners, Shapes, Stager};
use seqbac::{Entry, Kind};
use seqbac_header::RelPath;
use volume::error::{Code, Result};

use super::support::{Volume, as_nobody};

fn entry(path: impl AsRef<Path>, kind: Kind, mode: u32, size: u64) -> Entry {
    let path = RelPath::new(path).expect("a plain path");
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let (mtime_secs, mtime_nanos) = (1_000_000_000, 123_456_789);
    Entry { path, kind, size, mode, uid, gid, mtime_secs, mtime_nanos, xattrs: Default::default(), torn: false }
}

fn file(path: &str, content: &str) -> Entry {
    entry(path, Kind::File, 0o640, content.len() as u64)
}

fn stage(volume: &Volume, members: &[(Entry, &str)]) -> Result<Vec<String>> {
    stage_with(volume, Owners::default(), members)
}

fn stage_with(volume: &Volume, owners: Owners, members: &[(Entry, &str)]) -> Result<Vec<String>> {
    let mut stager = Stager::new(&volume.out(""), owners)?;
    for (entry, content) in members {
        stager.put(entry, &mut content.as_bytes())?;
    }
    stager.finish()
}

#[test]
fn content_mode_and_time_are_as_archived() {
    let volume = Volume::new();
    let odd = OsStr::from_bytes(b"caf\xe9\nx");
    let members = [
        (entry("d", Kind::Directory, 0o500, 0), ""),
        (entry("d/e", Kind::Directory, 0o711, 0), ""),
        (file("d/x", "content"), "content"),
        (entry("d/run", Kind::File, 0o4755, 0), ""),
        (entry("d/e/link", Kind::Symlink("/nowhere/at all".into()), 0o777, 0), ""),
        (entry(odd, Kind::File, 0o600, 1), "x"),
        (file("implied/by/x", "y"), "y"),
    ];
    assert_eq!(stage(&volume, &members).expect("stages"), Vec::<String>::new());
    let meta = |name: &str| volume.out(name).symlink_metadata().expect("is there");
    assert_eq!(fs::read_to_string(volume.out("d/x")).expect("reads"), "content");
    let modes = ["d", "d/e", "d/x", "d/run", "implied"].map(|name| meta(name).mode() & 0o7777);
    assert_eq!(modes, [0o500, 0o711, 0o640, 0o4755, 0o755]);
    for name in ["d", "d/e", "d/x", "d/run", "d/e/link"] {
        assert_eq!((meta(name).mtime(), meta(name).mtime_nsec()), (1_000_000_000, 123_456_789), "{name}");
    }
    assert_eq!(fs::read_link(volume.out("d/e/link")).expect("reads"), Path::new("/nowhere/at all"));
    assert!(volume.out("").join(odd).exists());
    fs::set_permissions(volume.out("d"), PermissionsExt::from_mode(0o700)).expect("can be removed again");
}

#[test]
fn nothing_is_written_through_a_link() {
    let volume = Volume::new();
    let elsewhere = volume.path("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder");
    fs::write(elsewhere.join("x"), "safe").expect("writes");
    let link = |target: &Path| (entry("link", Kind::Symlink(target.to_owned()), 0o777, 0), "");
    let error = stage(&volume, &[link(&elsewhere), (file("link/x", "evil"), "evil")]).expect_err("refuses");
    assert_eq!(error.code(), Code::ContentMismatch, "{error}");
    let fresh = Volume::new();
    let error = stage(&fresh, &[link(&elsewhere.join("x")), (file("link", "evil"), "evil")]).expect_err("refuses");
    assert_eq!(error.code(), Code::ContentMismatch, "{error}");
    // One that was there before is no better.
    symlink(&elsewhere, fresh.out("planted")).expect("links");
    stage(&fresh, &[(file("planted/y", "evil"), "evil")]).expect_err("refuses");
    stage(&fresh, &[(entry("planted/y", Kind::Directory, 0o755, 0), "")]).expect_err("refuses");
    assert_eq!(fs::read_dir(&elsewhere).expect("lists").count(), 1);
    assert_eq!(fs::read_to_string(elsewhere.join("x")).expect("reads"), "safe");
}

#[test]
fn nothing_is_written_twice() {
    for second in
        [file("x", "b"), entry("x", Kind::Directory, 0o755, 0), entry("x", Kind::Symlink("y".into()), 0o777, 0)]
    {
        let volume = Volume::new();
        let error = stage(&volume, &[(file("x", "a"), "a"), (second, "b")]).expect_err("refuses");
        assert_eq!((error.code(), error.message()), (Code::ContentMismatch, "x is in the backup twice"));
        assert_eq!(fs::read_to_string(volume.out("x")).expect("reads"), "a");
    }
    let volume = Volume::new();
    let directory = (entry("d", Kind::Directory, 0o755, 0), "");
    assert_eq!(stage(&volume, &[directory.clone(), directory]).expect_err("refuses").code(), Code::ContentMismatch);
}

#[test]
fn a_member_of_the_wrong_size_is_refused() {
    for size in [2, 4] {
        let error = stage(&Volume::new(), &[(entry("x", Kind::File, 0o600, size), "abc")]).expect_err("refuses");
        assert_eq!(error.code(), Code::ContentMismatch);
        assert!(error.message().contains("3 bytes"), "{error}");
    }
}

fn with_links(volume: &Volume, members: &[(Entry, &str)]) -> Vec<String> {
    let path = |path: &str| RelPath::new(path).expect("a plain path");
    let links = [(path("b"), path("a")), (path("c"), path("a"))].into();
    let shapes = Shapes { links, ..Shapes::default() };
    let mut stager = Stager::new(&volume.out(""), Owners::default()).expect("opens").with_shapes(shapes);
    for (entry, content) in members {
        stager.put(entry, &mut content.as_bytes()).expect("stages");
    }
    stager.finish().expect("stages")
}

#[test]
fn names_of_one_file_are_linked_only_if_their_content_is_equal() {
    let long = "x".repeat(600_000);
    let later = format!("{}y", &long[1..]);
    for (second, is_linked) in
        [(long.as_str(), true), (&long[1..], false), (&later, false), (&format!("{long}more"), false)]
    {
        let volume = Volume::new();
        let members =
            [(file("a", &long), long.as_str()), (file("b", second), second), (file("c", &long), long.as_str())];
        let notes = with_links(&volume, &members);
        assert_eq!(notes.is_empty(), is_linked, "{notes:?}");
        let inode = |name: &str| volume.out(name).metadata().expect("is there").ino();
        assert_eq!(inode("a") == inode("b"), is_linked);
        assert_eq!(inode("a"), inode("c"));
        assert!(fs::read_to_string(volume.out("b")).expect("reads") == second);
        if !is_linked {
            assert!(notes[0].starts_with("the hard links of 1 path are not on this volume, such as b: "), "{notes:?}");
        }
    }
    // Without the first name, the others are plain files.
    let volume = Volume::new();
    fs::write(volume.out("a"), "here before").expect("writes");
    assert_eq!(with_links(&volume, &[(file("b", "x"), "x"), (file("c", "x"), "x")]), Vec::<String>::new());
    assert_eq!(fs::read_to_string(volume.out("b")).expect("reads"), "x");
}

#[test]
fn zeros_become_holes_only_where_the_file_had_holes() {
    let content = format!("{}{}{}", "\0".repeat(1 << 20), "data".repeat(1 << 10), "\0".repeat(1 << 20));
    let size = content.len() as u64;
    let sparse = |extents: Option<Vec<(u64, u64)>>| Some([(RelPath::new("x").expect("a path"), extents)].into());
    let all = [
        (None, 16_u64),
        (sparse(None), 16),
        (sparse(Some(Vec::new())), 16),
        (sparse(Some(vec![(1 << 20, 4096)])), 16),
        (sparse(Some(vec![(0, 1 << 20)])), (1 << 20) + 16),
        (Some([].into()), size),
    ];
    for (number, (sparse, at_least)) in all.into_iter().enumerate() {
        let entry = Entry { path: RelPath::new("x").expect("a path"), ..file("x", &content) };
        let volume = Volume::new();
        let shapes = Shapes { sparse, ..Shapes::default() };
        let mut stager = Stager::new(&volume.out(""), Owners::default()).expect("opens").with_shapes(shapes);
        stager.put(&entry, &mut content.as_bytes()).expect("stages");
        stager.finish().expect("stages");
        let file = fs::File::open(volume.out("x")).expect("opens");
        file.sync_all().expect("flushed");
        assert!(fs::read_to_string(volume.out("x")).expect("reads") == content);
        let used = file.metadata().expect("is there").blocks() * 512;
        assert!(used >= at_least && used < at_least + (64 << 10), "{number}: {used} bytes");
    }
}

#[test]
fn a_directory_may_come_after_what_is_in_it() {
    let volume = Volume::new();
    stage(&volume, &[(file("d/x", "a"), "a"), (entry("d", Kind::Directory, 0o510, 0), "")]).expect("stages");
    assert_eq!(volume.out("d").metadata().expect("is there").mode() & 0o7777, 0o510);
}

#[test]
fn root_sets_owners_and_keeps_those_of_the_volume() {
    if !nix::unistd::geteuid().is_root() {
        return eprintln!("skipped: only root can set owners");
    }
    let owned = |path: &str, uid, gid| Entry { uid, gid, ..file(path, "x") };
    let members = [(owned("new", 1000, 1001), "x"), (owned("d/there", 1000, 1001), "x"), (owned("same", 5, 6), "x")];
    let owners = |volume: &Volume, name: &str| {
        let meta = volume.out(name).metadata().expect("is there");
        (meta.uid(), meta.gid())
    };
    let volume = Volume::new();
    volume.write("d/there", "");
    volume.write("same", "");
    chown(volume.path("d"), Some(70), Some(71)).expect("sets");
    chown(volume.path("d/there"), Some(2000), Some(2001)).expect("sets");
    chown(volume.path("same"), Some(5), Some(6)).expect("sets");
    let live = Owners { live: Some(volume.root()), ..Owners::default() };
    let notes = stage_with(&volume, live, &members).expect("stages");
    assert_eq!(notes, ["kept the owner 2000:2001 on this volume for 1 path; in the backup it is 1000:1001"]);
    let found = ["new", "d", "d/there", "same"].map(|name| owners(&volume, name));
    assert_eq!(found, [(1000, 1001), (70, 71), (2000, 2001), (5, 6)]);

    let given = Volume::new();
    let owner = Owners { live: Some(volume.root()), requested: Some((9, 8)), ..Owners::default() };
    assert!(stage_with(&given, owner, &members).expect("stages").is_empty());
    assert_eq!(["new", "d", "d/there"].map(|name| owners(&given, name)), [(9, 8); 3]);
}

#[test]
fn without_privileges_all_is_ours_and_said_once() {
    let volume = Volume::new();
    fs::set_permissions(volume.out(""), PermissionsExt::from_mode(0o777)).expect("sets");
    let members = [(Entry { uid: 1000, ..file("x", "a") }, "a"), (Entry { uid: 1000, ..file("d/y", "b") }, "b")];
    let notes = as_nobody(|| stage(&volume, &members).expect("stages"));
    assert_eq!(
        notes,
        ["2 paths now owned by the current user instead of the owner in the backup, because only root can set owners"]
    );
    assert_eq!(volume.out("x").metadata().expect("is there").mode() & 0o7777, 0o640);
}

#[test]
fn many_megabytes_arrive_whole() {
    let volume = Volume::new();
    let content = "0123456789abcdef".repeat(2 << 20);
    stage(&volume, &[(file("big", &content), &content)]).expect("stages");
    assert!(fs::read_to_string(volume.out("big")).expect("reads") == content);
}

#[test]
fn damage_to_the_backup_keeps_its_name() {
    struct Damaged;
    impl std::io::Read for Damaged {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(seqbac::Error::TrailingData { end: 7 }.into())
        }
    }
    let volume = Volume::new();
    let mut stager = Stager::new(&volume.out(""), Owners::default()).expect("opens");
    let error = stager.put(&file("x", "abc"), &mut Damaged).expect_err("fails");
    assert_eq!(error.code(), Code::TrailingData, "{error}");
}

//! Plain files, while a server writes to them.

use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    iter,
    os::unix::fs::{FileExt, symlink},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use engine::store::{
    SurveyEntry,
    files::{Captured, Files},
};
use nix::{sys::stat::Mode, unistd::mkfifo};

use super::support::{Volume, as_nobody};

fn content(captured: Captured) -> Vec<u8> {
    read(captured).0
}

/// The content, and whether it is torn.
fn read(mut captured: Captured) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    captured.read_to_end(&mut bytes).expect("reads");
    assert_eq!(bytes.len() as u64, captured.size);
    let torn = captured.is_torn(blake3::hash(&bytes)).expect("reads again");
    (bytes, torn)
}

#[test]
fn small_and_large_files_are_read_whole() {
    let volume = Volume::new();
    let large: Vec<u8> = (0..5_000_000_u32).map(|byte| byte.to_le_bytes()[byte as usize % 3]).collect();
    let all: [(&str, &[u8]); 4] = [("a", b""), ("b", b"x"), ("c", &large[..1 << 20]), ("d", &large)];
    for (name, bytes) in all {
        volume.write(name, bytes);
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(volume.path("e"))
        .expect("opens")
        .set_len(3 << 20)
        .expect("a hole");
    let survey = volume.survey();
    let mut files = Files::new(&volume.root(), &survey, false).expect("opens");
    let mut capture = |found: &SurveyEntry| files.capture(found).expect("reads").expect("is there");
    for (found, (name, bytes)) in survey.files.iter().zip(all) {
        assert!(read(capture(found)) == (bytes.to_vec(), false), "{name}");
    }
    assert!(content(capture(&survey.files[4])) == vec![0; 3 << 20], "a hole is zeros");
    assert!(volume.spooled().is_empty());
}

/// Captures `file` of `volume` as often as `times` says, while a thread writes to it.
fn torn_under_a_writer(size: usize, appends: bool, mut times: impl Iterator<Item = ()>) -> bool {
    let volume = Volume::new();
    volume.write("file", vec![b'x'; size]);
    let survey = volume.survey();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = OpenOptions::new().write(true).append(appends).open(volume.path("file")).expect("opens");
            for number in 0_u64.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                if appends {
                    file.write_all(&[b'x'; 512]).expect("writes");
                } else {
                    file.write_all_at(&number.to_le_bytes(), 0).expect("writes");
                }
                // Slower than it is read, because each reading of a file that grows is as long as the file is by then.
                thread::sleep(Duration::from_micros(50));
            }
        });
        let mut files = Files::new(&volume.root(), &survey, false).expect("opens");
        let torn = times.any(|()| read(files.capture(&survey.files[0]).expect("reads").expect("is there")).1);
        done.store(true, Ordering::Relaxed);
        torn
    })
}

#[test]
fn a_file_that_only_grows_is_not_torn() {
    for size in [16 << 20, 4096] {
        assert!(!torn_under_a_writer(size, true, iter::repeat_n((), 20)), "{size}");
    }
}

#[test]
fn a_file_that_changes_in_place_is_torn() {
    for size in [16 << 20, 4096] {
        // As often as it takes, because a write falls between two readings of a small file only if the writer gets a processor.
        assert!(torn_under_a_writer(size, false, iter::repeat(())), "{size}");
    }
}

#[test]
fn a_file_with_holes_is_torn_if_its_data_or_its_holes_change() {
    for (change, is_torn) in
        [(None, false), (Some((0, "same")), false), (Some((0, "diff")), true), (Some((2 << 20, "new")), true)]
    {
        let volume = Volume::new();
        volume.write("x", "same");
        let file = OpenOptions::new().write(true).open(volume.path("x")).expect("opens");
        file.set_len(8 << 20).expect("a hole");
        file.write_all_at(b"end", (8 << 20) - 3).expect("writes");
        let survey = volume.survey();
        let mut files = Files::new(&volume.root(), &survey, true).expect("opens");
        let mut captured = files.capture(&survey.files[0]).expect("reads").expect("is there");
        let mut bytes = Vec::new();
        captured.read_to_end(&mut bytes).expect("reads");
        assert!(bytes.starts_with(b"same\0") && bytes.ends_with(b"\0end") && bytes.len() == 8 << 20);
        if let Some((at, text)) = change {
            file.write_all_at(text.as_bytes(), at).expect("writes");
        }
        assert_eq!(captured.is_torn(blake3::hash(&bytes)).expect("reads again"), is_torn, "{change:?}");
    }
    // A hole that was filled with zeros has the same content.
    let volume = Volume::new();
    volume.write("x", "same");
    let file = OpenOptions::new().write(true).open(volume.path("x")).expect("opens");
    file.set_len(8 << 20).expect("a hole");
    let survey = volume.survey();
    let mut files = Files::new(&volume.root(), &survey, true).expect("opens");
    let mut captured = files.capture(&survey.files[0]).expect("reads").expect("is there");
    let mut bytes = Vec::new();
    captured.read_to_end(&mut bytes).expect("reads");
    file.write_all_at(&[0; 1 << 20], 1 << 20).expect("writes");
    assert!(!captured.is_torn(blake3::hash(&bytes)).expect("reads again"));
}

/// ext4 gives the inode number of a removed file to the next one, so a list that is written anew and renamed twice has the
/// number that it had before.
#[test]
fn a_file_that_has_replaced_another_is_recognised_although_it_has_its_inode_number() {
    let volume = Volume::new();
    volume.write("list", "one");
    let survey = volume.survey();
    let found = &survey.files[0];
    for number in 0..50 {
        volume.write("list.new", format!("version {number}"));
        fs::rename(volume.path("list.new"), volume.path("list")).expect("renames");
        let mut files = Files::new(&volume.root(), &survey, false).expect("opens");
        assert!(!files.capture(found).expect("reads").expect("is there").is(found), "version {number}");
    }
    let survey = volume.survey();
    let mut files = Files::new(&volume.root(), &survey, false).expect("opens");
    let found = &survey.files[0];
    OpenOptions::new().append(true).open(volume.path("list")).expect("opens").write_all(b"more").expect("writes");
    assert!(files.capture(found).expect("reads").expect("is there").is(found), "it has only grown");
}

#[test]
fn what_has_gone_or_changed_its_kind_is_not_captured() {
    let volume = Volume::new();
    for name in ["gone", "pipe", "link", "dir/x", "folder"] {
        volume.write(name, "x");
    }
    let survey = volume.survey();
    volume.write("secret", "not for you");
    fs::remove_file(volume.path("gone")).expect("removes");
    for name in ["pipe", "link", "folder"] {
        fs::remove_file(volume.path(name)).expect("removes");
    }
    mkfifo(&volume.path("pipe"), Mode::S_IRWXU).expect("a pipe");
    symlink("secret", volume.path("link")).expect("a link");
    fs::create_dir(volume.path("folder")).expect("a folder");
    fs::rename(volume.path("dir"), volume.path("moved")).expect("renames");
    symlink("moved", volume.path("dir")).expect("a link");
    let mut files = Files::new(&volume.root(), &survey, false).expect("opens");
    let regular = survey.files.iter().filter(|found| found.path.to_string() != "dir");
    assert_eq!(regular.clone().count(), 5);
    for found in regular {
        assert!(files.capture(found).expect("is no error").is_none(), "{}", found.path);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let volume = Volume::new();
    volume.write("secret", "x");
    let survey = volume.survey();
    fs::set_permissions(volume.path("secret"), std::os::unix::fs::PermissionsExt::from_mode(0o000)).expect("sets");
    let error = as_nobody(|| {
        let mut files = Files::new(&volume.root(), &survey, false).expect("opens");
        files.capture(&survey.files[0]).expect_err("refuses")
    });
    assert!(error.message().contains("data/secret: permission denied"), "{error}");
}

#[test]
fn a_database_that_takes_the_place_of_a_file_is_not_opened() {
    let volume = Volume::new();
    volume.write("x", "a file");
    let _open = volume.bank("bank.db", "wal", 4096, 10);
    let survey = volume.survey();
    fs::remove_file(volume.path("x")).expect("removes");
    fs::hard_link(volume.path("bank.db"), volume.path("x")).expect("links");
    let mut files = Files::new(&volume.root(), &survey, false).expect("opens");
    assert!(files.capture(&survey.files[0]).expect("is no error").is_none());
}

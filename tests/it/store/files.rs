//! Plain files, while a server writes to them.

use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    os::unix::fs::symlink,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use engine::store::{
    SurveyEntry,
    files::{Captured, Files},
};
use nix::{sys::stat::Mode, unistd::mkfifo};

use super::support::{Volume, as_nobody};

fn content(captured: Captured) -> Vec<u8> {
    let Captured { size, mut content, .. } = captured;
    let mut bytes = Vec::new();
    content.read_to_end(&mut bytes).expect("reads");
    assert_eq!(bytes.len() as u64, size);
    bytes
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
    let (survey, spool) = (volume.survey(), volume.spool());
    let mut files = Files::new(&volume.root(), &survey, &spool).expect("opens");
    let mut read = |found: &SurveyEntry| files.capture(found).expect("reads").expect("is there");
    for (found, (name, bytes)) in survey.files.iter().zip(all) {
        let captured = read(found);
        assert!(!captured.torn);
        assert!(content(captured) == bytes, "{name}");
    }
    assert!(content(read(&survey.files[4])) == vec![0; 3 << 20], "a hole is zeros");
    assert!(volume.spooled().is_empty());
}

#[test]
fn a_file_that_never_holds_still_is_torn_and_its_end_is_not_chased() {
    let volume = Volume::new();
    volume.write("log", vec![b'x'; 16 << 20]);
    let (survey, spool) = (volume.survey(), volume.spool());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut log = OpenOptions::new().append(true).open(volume.path("log")).expect("opens");
            while !done.load(Ordering::Relaxed) {
                log.write_all(&[b'x'; 512]).expect("writes");
            }
        });
        let mut files = Files::new(&volume.root(), &survey, &spool).expect("opens");
        // How often depends on who gets the processor.
        let mut captures = (0..200).map(|_| files.capture(&survey.files[0]).expect("reads").expect("is there"));
        let torn = captures.find(|captured| captured.torn);
        done.store(true, Ordering::Relaxed);
        assert!(content(torn.expect("one at least")).iter().all(|&byte| byte == b'x'));
    });
}

#[test]
fn what_has_gone_or_changed_its_kind_is_not_captured() {
    let volume = Volume::new();
    for name in ["gone", "pipe", "link", "dir/x", "folder"] {
        volume.write(name, "x");
    }
    let (survey, spool) = (volume.survey(), volume.spool());
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
    let mut files = Files::new(&volume.root(), &survey, &spool).expect("opens");
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
    let (survey, spool) = (volume.survey(), volume.spool());
    fs::set_permissions(volume.path("secret"), std::os::unix::fs::PermissionsExt::from_mode(0o000)).expect("sets");
    let error = as_nobody(|| {
        let mut files = Files::new(&volume.root(), &survey, &spool).expect("opens");
        files.capture(&survey.files[0]).expect_err("refuses")
    });
    assert!(error.message().contains("data/secret: permission denied"), "{error}");
}

#[test]
fn a_database_that_takes_the_place_of_a_file_is_not_opened() {
    let volume = Volume::new();
    volume.write("x", "a file");
    let _open = volume.bank("bank.db", "wal", 4096, 10);
    let (survey, spool) = (volume.survey(), volume.spool());
    fs::remove_file(volume.path("x")).expect("removes");
    fs::hard_link(volume.path("bank.db"), volume.path("x")).expect("links");
    let mut files = Files::new(&volume.root(), &survey, &spool).expect("opens");
    assert!(files.capture(&survey.files[0]).expect("is no error").is_none());
}

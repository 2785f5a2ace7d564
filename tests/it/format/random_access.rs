//! Single members, without reading the rest.

use std::{
    cell::Cell,
    io::{self, Cursor, Read, Seek, SeekFrom},
    rc::Rc,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use seqbac::{Archive, Entry, Error, Kind, Reader};

use super::forge::{self, Backup, Digest};
use super::samples::{KEY, MANIFEST, file, key, noise, path, read, read_singly, write};

/// Counts the bytes that are read.
struct Counting<R>(R, Rc<Cell<u64>>);

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1.set(self.1.get() + count as u64);
        Ok(count)
    }
}

impl<R: Seek> Seek for Counting<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

fn members() -> Vec<(Entry, Vec<u8>)> {
    let noise = noise(9 << 20);
    let link = Kind::Symlink("../elsewhere".into());
    vec![
        (file("large", noise.len()), noise),
        (Entry { kind: Kind::Directory, ..file("folder", 0) }, Vec::new()),
        (file("folder/small", 5), b"small".to_vec()),
        (Entry { kind: link, ..file("link", 0) }, Vec::new()),
        (file("n".repeat(300), 1), b"1".to_vec()),
        (file(b"caf\xe9", 3), b"\xe9\xe9\xe9".to_vec()),
        (Entry { torn: true, ..file("torn", 4) }, b"torn".to_vec()),
        (file("text", 3_000_000), b"text, ".repeat(500_000)),
    ]
}

#[test]
fn every_member_comes_back_both_ways() {
    let members = members();
    let backup = write(&members);
    let expected: Vec<_> = members.iter().map(|(entry, content)| (entry.path.clone(), content.clone())).collect();
    assert_eq!(read_singly(&backup, &key()).expect("reads"), expected);

    let mut reader = Reader::open(backup.as_slice(), &key(), 3).expect("opens");
    assert_eq!(reader.manifest(), MANIFEST);
    for (entry, content) in &members {
        let mut member = reader.next_member().expect("reads").expect("a member");
        assert_eq!(*member.entry(), Entry { torn: false, ..entry.clone() });
        let mut found = Vec::new();
        member.read_to_end(&mut found).expect("reads");
        assert!(found == *content, "{}", entry.path);
    }
    assert!(reader.next_member().expect("reads").is_none());
    let verified = reader.finish().expect("whole");
    assert!(verified.warnings.is_empty());
    assert_eq!(verified.bytes, backup.len() as u64);
    for (found, (entry, content)) in verified.members.iter().zip(&members) {
        assert_eq!((&found.path, found.size, found.torn), (&entry.path, entry.size, entry.torn));
        assert_eq!(found.blake3, blake3::hash(content));
    }
}

#[test]
fn one_member_costs_only_its_segments() {
    let backup = write(&members());
    let count = Rc::new(Cell::new(0));
    let mut archive = Archive::open(Counting(Cursor::new(&backup), Rc::clone(&count)), &key()).expect("opens");
    let mut content = String::new();
    let mut small = archive.member(&path("folder/small")).expect("is there");
    assert_eq!(small.entry().mode, 0o640);
    small.read_to_string(&mut content).expect("reads");
    assert_eq!(content, "small");
    drop(small);
    assert_eq!(archive.manifest().expect("reads"), MANIFEST);
    assert!(backup.len() > 9 << 20);
    assert!(count.get() < 8 << 20, "{} bytes were read", count.get());
    assert!(archive.member(&path("torn")).expect("is there").entry().torn);
    let missing = archive.member(&path("nowhere")).expect_err("is not there");
    assert_eq!(missing.to_string(), "the backup has no member nowhere");
}

#[test]
fn a_member_is_found_in_a_file_without_a_footer() {
    let backup = write(&members());
    for cut in [24, 7] {
        assert_eq!(read_singly(&backup[..backup.len() - cut], &key()).expect("reads").len(), members().len());
    }
}

#[test]
fn an_empty_backup_is_a_backup() {
    let backup = write(&[]);
    assert!(read(&backup, &key()).expect("whole").members.is_empty());
    assert!(read_singly(&backup, &key()).expect("reads").is_empty());
}

#[test]
fn a_member_that_is_not_what_the_digest_says_is_never_whole() {
    let key_bytes = BASE64_STANDARD.decode(KEY).expect("base64").try_into().expect("32 bytes");
    let wrong = Backup { digest: Digest::Wrong, ..Backup::new(key_bytes, vec![forge::file("a", "12345")]) };
    let mut archive = Archive::open(Cursor::new(wrong.build().file()), &key()).expect("opens");
    let mut content = [0; 5];
    let cause = archive.member(&path("a")).expect("is there").read_exact(&mut content).expect_err("refuses");
    assert_eq!(Error::from_io(cause).name(), "ContentMismatch");
}

//! A small backup of ours, and what is in it.

use std::{
    ffi::OsStr,
    io::{self, Read},
    os::unix::ffi::OsStrExt,
};

use seqbac::{Archive, Entry, Error, HeaderFields, Kind, Options, Reader, TarStream, Verified, Writer};
use seqbac_header::{Id, RelPath, SecretKey};

pub const KEY: &str = "8D2RNAbAgmV7ur8nQCLT7PlCWCk+kW488nSg3Narj/4=";
pub const OTHER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub const MANIFEST: &[u8] = br#"{"profile":"sample"}"#;

pub fn key() -> SecretKey {
    SecretKey::parse(KEY, "a test").expect("a key")
}

pub fn other_key() -> SecretKey {
    SecretKey::parse(OTHER_KEY, "a test").expect("a key")
}

pub fn path(bytes: impl AsRef<[u8]>) -> RelPath {
    RelPath::new(OsStr::from_bytes(bytes.as_ref())).expect("a plain path")
}

pub fn file(name: impl AsRef<[u8]>, size: usize) -> Entry {
    Entry {
        path: path(name),
        kind: Kind::File,
        size: size as u64,
        mode: 0o640,
        uid: 0,
        gid: 0,
        mtime_secs: 1_700_000_000,
        mtime_nanos: 0,
        xattrs: Default::default(),
        torn: false,
    }
}

/// Bytes that do not compress, the same each time.
pub fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(b"noise").finalize_xof().fill(&mut bytes);
    bytes
}

/// A backup with these members.
pub fn write(members: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let fields = HeaderFields {
        created: jiff::Timestamp::from_millisecond(1_700_000_000_123).expect("a time"),
        id: Id([3; 16]),
        instance: Some(Id([4; 16])),
        writer: "moorline test".to_owned(),
    };
    let mut writer = Writer::new(Vec::new(), &key(), fields, Options::default()).expect("begins");
    writer.manifest(MANIFEST).expect("writes the manifest");
    for (entry, content) in members {
        writer.member(entry, &mut content.as_slice()).expect("writes a member");
    }
    let (bytes, summary) = writer.finish().expect("finishes");
    assert_eq!(summary.bytes, bytes.len() as u64);
    assert_eq!(summary.members, members.len() as u64);
    bytes
}

/// A backup of a kilobyte.
pub fn small() -> Vec<u8> {
    let content = b"some content\n".to_vec();
    write(&[(file("a/b", content.len()), content), (file("empty", 0), Vec::new())])
}

/// Reads all of it, as a restore does.
pub fn read(bytes: &[u8], key: &SecretKey) -> Result<Verified, Error> {
    Reader::open(bytes, key, 1)?.finish()
}

/// The bytes of the tar that are given out, and how it ended.
pub fn tar_bytes(source: impl Read, key: &SecretKey, threads: usize, mut out: impl FnMut(&[u8])) -> Result<(), Error> {
    let mut stream = TarStream::open(source, key, threads)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return stream.finish().map(drop),
            Ok(count) => out(&buffer[..count]),
            Err(cause) => return Err(Error::from_io(cause)),
        }
    }
}

/// All members through random access.
pub fn read_singly(bytes: &[u8], key: &SecretKey) -> Result<Vec<(RelPath, Vec<u8>)>, Error> {
    let mut archive = Archive::open(io::Cursor::new(bytes), key)?;
    let paths: Vec<RelPath> = archive.members().iter().map(|member| member.path.clone()).collect();
    let mut contents = Vec::new();
    for path in paths {
        let mut content = Vec::new();
        archive.member(&path)?.read_to_end(&mut content).map_err(Error::from_io)?;
        contents.push((path, content));
    }
    Ok(contents)
}

//! The golden vectors in `tests/vectors/`: each one's error, and the hash of the tar that is released before it.
//!
//! A vector is never made anew: a reader that once gave an answer must give it for ever. Those that are missing are
//! written by the generator, `cargo test --test it -- --ignored write_the_missing_vectors`.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::{Path, PathBuf},
};

use seqbac::{Error, Reader};
use seqbac_header::SecretKey;
use sha2::{Digest as _, Sha256};

use super::{
    samples::{read_singly, tar_bytes},
    scenarios::{Scenario, scenarios},
};

pub fn folder() -> PathBuf {
    Path::new(env!("MOORLINE_REPOSITORY")).join("tests/vectors")
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string");
        text
    })
}

/// A vector's fields, and a reader of the file that it describes.
pub fn open(path: &Path) -> (BTreeMap<String, String>, Box<dyn Read>) {
    let mut file = BufReader::new(fs::File::open(path).expect("opens"));
    let mut fields = BTreeMap::new();
    loop {
        let mut line = String::new();
        file.read_line(&mut line).expect("a line of text");
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        fields.insert(name.to_owned(), value.to_owned());
    }
    let body: Box<dyn Read> = match fields.get("compressed").map(String::as_str) {
        None => Box::new(file),
        Some("zstd") => Box::new(zstd::Decoder::with_buffer(file).expect("zstd")),
        Some(other) => panic!("{other}"),
    };
    (fields, body)
}

fn describe(result: Result<(), Error>) -> (String, Option<u32>) {
    match result {
        Ok(()) => ("success".to_owned(), None),
        Err(Error::Corrupt { segment, .. }) => ("Corrupt".to_owned(), segment),
        Err(error) => (error.name().to_owned(), None),
    }
}

#[test]
fn every_vector_has_its_error_and_releases_what_it_may() {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder()).expect("lists") {
        let path = entry.expect("lists").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        check(&name, &path);
        names.push(name);
    }
    names.sort();
    let mut known: Vec<_> = scenarios().iter().map(|scenario| scenario.name.to_owned()).collect();
    known.sort();
    assert_eq!(names, known, "every scenario has its vector, and the other way round");
}

fn check(name: &str, path: &Path) {
    let (fields, body) = open(path);
    let expected = (fields["expect"].clone(), fields.get("segment").map(|number| number.parse().expect("a number")));
    let key = match SecretKey::parse(&fields["key"], "a vector") {
        Ok(key) => key,
        Err(_) => return assert_eq!(expected.0, "InvalidKey", "{name}"),
    };
    let mut hash = Sha256::new();
    let stream_end = tar_bytes(body, &key, 2, |plain| hash.update(plain));
    assert_eq!(hex(&hash.finalize()), fields["payload-sha256"], "{name}: the plaintext released ({stream_end:?})");

    let read = |threads| Reader::open(open(path).1, &key, threads).and_then(Reader::finish);
    let end = read(2);
    let warnings = end.as_ref().map_or(0, |verified| verified.warnings.len());
    assert_eq!(warnings, fields.get("warnings").map_or(0, |count| count.parse().expect("a number")), "{name}");
    assert_eq!(describe(end.map(drop)), expected, "{name}");
    // What is wrong inside the tar, the layer below cannot see.
    if !["ContentMismatch", "Incomplete"].contains(&expected.0.as_str()) {
        assert_eq!(describe(stream_end), expected, "{name}: the stream");
    }
    // Not of the largest: it would take as long again.
    if name != "segments_257" {
        assert_eq!(describe(read(1).map(drop)), expected, "{name}: with one thread");
    }
    check_random_access(name, path, &key, &expected.0);
}

/// Random access may succeed where the damage is elsewhere; it is never wrong about a good file, nor calls a wrong key
/// damage.
fn check_random_access(name: &str, path: &Path, key: &SecretKey, expected: &str) {
    let mut file = Vec::new();
    open(path).1.take(8 << 20).read_to_end(&mut file).expect("reads");
    if file.len() == 8 << 20 {
        return;
    }
    let singly = read_singly(&file, key);
    if expected == "success" {
        let mut reader = Reader::open(Cursor::new(&file), key, 1).expect("opens");
        for (path, content) in singly.unwrap_or_else(|error| panic!("{name}: {error}")) {
            let mut member = reader.next_member().expect("reads").expect("a member");
            let mut found = Vec::new();
            member.read_to_end(&mut found).expect("reads");
            assert_eq!(*member.entry().path.as_bytes(), *path.as_bytes(), "{name}");
            assert!(found == content, "{name}: {path}");
        }
    } else if let Err(error) = singly {
        // A segment that is wrongly sealed as the last is found when it is read, not on the way to the end.
        let also = if name == "two_last_segments" { "Corrupt" } else { expected };
        assert!([expected, also].contains(&error.name()), "{name}: random access: {error}");
    }
}

/// The text in front of the file, and the file.
fn encode(scenario: &Scenario) -> Vec<u8> {
    let built = (scenario.build)();
    let mut text = format!("expect: {}\n", scenario.expect);
    if let Some(segment) = scenario.segment {
        writeln!(text, "segment: {segment}").expect("a string");
    }
    if scenario.warnings > 0 {
        writeln!(text, "warnings: {}", scenario.warnings).expect("a string");
    }
    writeln!(text, "key: {}", scenario.key).expect("a string");
    writeln!(text, "payload-sha256: {}", hex(&Sha256::digest(&built.released))).expect("a string");
    if !scenario.comment.is_empty() {
        writeln!(text, "comment: {}", scenario.comment).expect("a string");
    }
    let compress = built.file.len() > 16 << 10;
    if compress {
        text.push_str("compressed: zstd\n");
    }
    text.push('\n');
    let body = if compress { zstd::encode_all(built.file.as_slice(), 19).expect("compresses") } else { built.file };
    [text.as_bytes(), &body].concat()
}

#[test]
#[ignore = "writes into the repository"]
fn write_the_missing_vectors() {
    for scenario in scenarios() {
        let path = folder().join(scenario.name);
        match fs::File::create_new(&path) {
            Ok(mut file) => io::Write::write_all(&mut file, &encode(&scenario)).expect("writes"),
            Err(cause) => assert_eq!(cause.kind(), io::ErrorKind::AlreadyExists),
        }
    }
}

/// The generator still makes what is in the repository, for all vectors that no library's version can change.
#[test]
fn the_generator_makes_the_vectors_in_the_repository() {
    for scenario in scenarios() {
        let golden = fs::read(folder().join(scenario.name)).expect("there is a vector");
        if !golden.windows(12).any(|window| window == b"\ncompressed:") {
            assert!(encode(&scenario) == golden, "{}", scenario.name);
        }
    }
}

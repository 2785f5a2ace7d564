//! Encodes and parses the headers of members in a PAX tar (POSIX.1-2001).
//!
//! Only files, directories, symbolic links and extended headers are supported, because backups contain nothing else. A
//! value that does not fit into a ustar header (a long name, a large number, a fraction of a second, an extended attribute)
//! is in an extended header in front of it. Names are bytes and are never converted.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io::Read,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};

use tar::{EntryType, Header};

use super::{Entry, Error, Kind, Result, unseal::read_full};
use seqbac_header::RelPath;

pub(super) const BLOCK: usize = 512;
/// The two zero blocks at the end of a tar.
pub(super) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
/// In bytes: far more than a name and a link of 4 KiB each and the usual attributes need. Readers refuse more.
const LARGEST_EXTENDED: u64 = 1 << 20;
/// The keys of extended attributes, as `tar --xattrs` has them, begin with this.
const XATTR: &str = "SCHILY.xattr.";
const NAME: usize = 100;
const OCTAL_7: u32 = 0o777_7777;
const OCTAL_11: u64 = 0o777_7777_7777;

/// Number of zero bytes after content of this size.
pub(super) const fn padding(size: u64) -> usize {
    (size.wrapping_neg() % BLOCK as u64) as usize
}

/// Encodes the header of a member, after an extended header if needed. `None` if that would be larger than a reader accepts.
pub(super) fn encode(entry: &Entry) -> Option<Vec<u8>> {
    let mut name = entry.path.as_bytes().to_vec();
    let (kind, link) = match &entry.kind {
        Kind::File => (EntryType::Regular, &[][..]),
        Kind::Directory => (EntryType::Directory, &[][..]),
        Kind::Symlink(target) => (EntryType::Symlink, target.as_os_str().as_bytes()),
    };
    if entry.kind == Kind::Directory {
        name.push(b'/');
    }
    let mut blocks = Vec::with_capacity(BLOCK);
    let records = records(entry, &name, link);
    if records.len() as u64 > LARGEST_EXTENDED {
        return None;
    }
    if !records.is_empty() {
        blocks.extend_from_slice(ustar(b"PaxHeaders/member", EntryType::XHeader, records.len() as u64).as_bytes());
        blocks.extend_from_slice(&records);
        blocks.resize(blocks.len() + padding(records.len() as u64), 0);
    }
    let mut header = ustar(&name, kind, entry.size);
    header.set_mode(entry.mode & 0o7777);
    header.set_uid(u64::from(entry.uid.min(OCTAL_7)));
    header.set_gid(u64::from(entry.gid.min(OCTAL_7)));
    header.set_mtime(u64::try_from(entry.mtime_secs).unwrap_or(0).min(OCTAL_11));
    if let Some(ustar) = header.as_ustar_mut() {
        fill(&mut ustar.linkname, link);
    }
    header.set_cksum();
    blocks.extend_from_slice(header.as_bytes());
    Some(blocks)
}

fn ustar(name: &[u8], kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    if let Some(ustar) = header.as_ustar_mut() {
        fill(&mut ustar.name, name);
    }
    header.set_entry_type(kind);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size.min(OCTAL_11));
    header.set_cksum();
    header
}

fn fill(field: &mut [u8; NAME], bytes: &[u8]) {
    let length = bytes.len().min(NAME);
    field[..length].copy_from_slice(&bytes[..length]);
}

/// The records of the extended header: the values that do not fit into the ustar header.
fn records(entry: &Entry, name: &[u8], link: &[u8]) -> Vec<u8> {
    let mut records = Vec::new();
    if name.len() > NAME {
        put(&mut records, "path", name);
    }
    if link.len() > NAME {
        put(&mut records, "linkpath", link);
    }
    if entry.size > OCTAL_11 {
        put(&mut records, "size", entry.size.to_string().as_bytes());
    }
    if entry.uid > OCTAL_7 {
        put(&mut records, "uid", entry.uid.to_string().as_bytes());
    }
    if entry.gid > OCTAL_7 {
        put(&mut records, "gid", entry.gid.to_string().as_bytes());
    }
    let fits = u64::try_from(entry.mtime_secs).is_ok_and(|seconds| seconds <= OCTAL_11);
    if entry.mtime_nanos != 0 || !fits {
        put(&mut records, "mtime", time_text(entry.mtime_secs, entry.mtime_nanos).as_bytes());
    }
    for (name, value) in &entry.xattrs {
        put(&mut records, [XATTR.as_bytes(), &escaped(name.as_bytes())].concat(), value);
    }
    records
}

/// A `=` would end the key, so GNU tar writes it as `%3D`, and `%` as `%25`.
fn escaped(name: &[u8]) -> Vec<u8> {
    let escape = |byte: &u8| match byte {
        b'%' => b"%25".to_vec(),
        b'=' => b"%3D".to_vec(),
        other => vec![*other],
    };
    name.iter().flat_map(escape).collect()
}

fn unescaped(mut name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    while let Some((first, rest)) = name.split_first() {
        let (byte, length) = match name.get(..3) {
            Some(b"%25") => (b'%', 3),
            Some(b"%3D") => (b'=', 3),
            _ => (*first, name.len() - rest.len()),
        };
        plain.push(byte);
        name = &name[length..];
    }
    plain
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
fn put(records: &mut Vec<u8>, key: impl AsRef<[u8]>, value: &[u8]) {
    let key = key.as_ref();
    let rest = 1 + key.len() + 1 + value.len() + 1;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(format!("{length} ").as_bytes());
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// Seconds with a fraction. Before 1970 the fraction counts backwards as well: -1.5 is half a second before -1.
fn time_text(seconds: i64, nanos: u32) -> String {
    match (seconds, nanos) {
        (seconds, 0) => seconds.to_string(),
        (0.., _) => format!("{seconds}.{nanos:09}"),
        _ => format!("-{}.{:09}", -(seconds + 1), 1_000_000_000 - nanos),
    }
}

fn parse_time(text: &str) -> Option<(i64, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    let nanos: u32 = digits.parse().ok()?;
    let seconds: i64 = whole.parse().ok()?;
    match (whole.starts_with('-'), nanos) {
        (true, 1..) => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos)),
        _ => Some((seconds, nanos)),
    }
}

pub(super) enum Next {
    Member(Entry),
    End,
    /// The tar ends without the zero blocks.
    Cut,
}

/// Reads the header of the next member, so that its content comes next.
pub(super) fn next(tar: &mut impl Read) -> Result<Next> {
    let mut extended = Extended::default();
    loop {
        let mut header = Header::new_old();
        if read_full(tar, header.as_mut_bytes())? < BLOCK {
            return Ok(Next::Cut);
        }
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            return end(tar);
        }
        check(&header)?;
        match header.entry_type() {
            EntryType::XHeader => match records_of(tar, &header)? {
                Some(records) => extended.read(&records)?,
                None => return Ok(Next::Cut),
            },
            EntryType::XGlobalHeader => match records_of(tar, &header)? {
                Some(records) => Extended::default().read_global(&records)?,
                None => return Ok(Next::Cut),
            },
            _ => return entry(&header, extended).map(Next::Member),
        }
    }
}

fn end(tar: &mut impl Read) -> Result<Next> {
    let mut second = [0; BLOCK];
    let got = read_full(tar, &mut second)?;
    if second[..got].iter().any(|byte| *byte != 0) {
        return Err(Error::mismatch("the tar continues after a block of zeros"));
    }
    Ok(if got < BLOCK { Next::Cut } else { Next::End })
}

fn check(header: &Header) -> Result<()> {
    let sum: u32 = header
        .as_bytes()
        .iter()
        .enumerate()
        // The checksum counts itself as spaces.
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
        .sum();
    if header.cksum().ok() == Some(sum) { Ok(()) } else { Err(Error::mismatch("a tar header has a wrong checksum")) }
}

fn records_of(tar: &mut impl Read, header: &Header) -> Result<Option<Vec<u8>>> {
    let size = number(header.entry_size(), "size")?;
    if size > LARGEST_EXTENDED {
        return Err(Error::mismatch(format!("an extended tar header has {size} bytes, more than {LARGEST_EXTENDED}")));
    }
    let size = usize::try_from(size).unwrap_or(0);
    let mut records = vec![0; size + padding(size as u64)];
    let whole = read_full(tar, &mut records)? == records.len();
    records.truncate(size);
    Ok(whole.then_some(records))
}

fn number(field: std::io::Result<u64>, name: &str) -> Result<u64> {
    field.map_err(|_| Error::mismatch(format!("a tar header has an invalid {name}")))
}

fn entry(header: &Header, extended: Extended) -> Result<Entry> {
    let name = extended.path.unwrap_or_else(|| header.path_bytes().into_owned());
    let path = RelPath::new(OsStr::from_bytes(&name))
        .map_err(|_| Error::mismatch(format!("a member has the invalid name {:?}", String::from_utf8_lossy(&name))))?;
    let size = extended.size.map_or_else(|| number(header.entry_size(), "size"), Ok)?;
    let link = || extended.linkpath.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
    let kind = match header.entry_type() {
        EntryType::Regular | EntryType::Continuous => Kind::File,
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => {
            let target = link().filter(|target| !target.is_empty() && !target.contains(&0));
            let target =
                target.ok_or_else(|| Error::mismatch(format!("the symbolic link {path} has no valid target")))?;
            Kind::Symlink(PathBuf::from(OsStr::from_bytes(&target)))
        }
        other => {
            let kind = char::from(other.as_byte());
            return Err(Error::mismatch(format!(
                "the member {path} has the type {kind:?}, which backups do not support"
            )));
        }
    };
    if kind != Kind::File && size != 0 {
        return Err(Error::mismatch(format!("the member {path} has content but is not a file")));
    }
    let small =
        |wide: Result<u64>| u32::try_from(wide?).map_err(|_| Error::mismatch("a user or group id exceeds 32 bits"));
    let seconds = || number(header.mtime(), "time").map(|seconds| (i64::try_from(seconds).unwrap_or(i64::MAX), 0));
    let (mtime_secs, mtime_nanos) = extended.mtime.map_or_else(seconds, Ok)?;
    Ok(Entry {
        path,
        kind,
        size,
        mode: header.mode().map_err(|_| Error::mismatch("a tar header has an invalid mode"))? & 0o7777,
        uid: small(extended.uid.map_or_else(|| number(header.uid(), "owner"), Ok))?,
        gid: small(extended.gid.map_or_else(|| number(header.gid(), "group"), Ok))?,
        mtime_secs,
        mtime_nanos,
        xattrs: extended.xattrs,
        torn: false,
    })
}

/// The known values of an extended header. Others (access times, what other programs add) are ignored.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    linkpath: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<(i64, u32)>,
    xattrs: BTreeMap<OsString, Vec<u8>>,
}

impl Extended {
    fn read(&mut self, mut records: &[u8]) -> Result<()> {
        while !records.is_empty() {
            let (key, value, rest) = record(records).ok_or_else(|| malformed("record"))?;
            self.take(key, value)?;
            records = rest;
        }
        Ok(())
    }

    /// Refuses a global header that would change the path, link target or size of members.
    fn read_global(mut self, records: &[u8]) -> Result<()> {
        self.read(records)?;
        let changes = self.path.is_some() || self.linkpath.is_some() || self.size.is_some();
        if changes { Err(Error::mismatch("a global tar header changes members")) } else { Ok(()) }
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let text = || str::from_utf8(value).map_err(|_| malformed("value"));
        let decimal = || text()?.parse::<u64>().map_err(|_| malformed("number"));
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.linkpath = Some(value.to_vec()),
            b"size" => self.size = Some(decimal()?),
            b"uid" => self.uid = Some(decimal()?),
            b"gid" => self.gid = Some(decimal()?),
            b"mtime" => self.mtime = Some(parse_time(text()?).ok_or_else(|| malformed("time"))?),
            key if key.starts_with(XATTR.as_bytes()) => {
                let name = unescaped(&key[XATTR.len()..]);
                // The kernel accepts no other names.
                if name.is_empty() || name.len() > 255 || name.contains(&0) {
                    return Err(malformed("attribute"));
                }
                self.xattrs.insert(OsString::from_vec(name), value.to_vec());
            }
            key if key.starts_with(b"GNU.sparse") => {
                return Err(Error::mismatch("a tar member is sparse, which backups do not support"));
            }
            _ => {}
        }
        Ok(())
    }
}

fn malformed(what: &str) -> Error {
    Error::mismatch(format!("an extended tar header has an invalid {what}"))
}

/// Splits off the first record: key, value, and the remaining records.
fn record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().position(|byte| *byte == b' ')?;
    let length: usize = str::from_utf8(&records[..space]).ok()?.parse().ok()?;
    let (record, rest) = records.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &[u8]) -> Entry {
        Entry {
            path: RelPath::new(OsStr::from_bytes(path)).expect("a path"),
            kind: Kind::File,
            size: 5,
            mode: 0o4755,
            uid: 1000,
            gid: 100,
            mtime_secs: 1_700_000_000,
            mtime_nanos: 0,
            xattrs: BTreeMap::new(),
            torn: false,
        }
    }

    fn round_trip(entry: &Entry) -> Entry {
        let blocks = encode(entry).expect("small");
        assert_eq!(blocks.len() % BLOCK, 0);
        match next(&mut blocks.as_slice()).expect("reads") {
            Next::Member(entry) => entry,
            _ => panic!("no member"),
        }
    }

    #[test]
    fn values_that_do_not_fit_go_into_the_extended_header() {
        let long = "n\u{e9}w\nline ".repeat(30);
        let link = Kind::Symlink(PathBuf::from("../".repeat(60)));
        let entries = [
            file(b"a"),
            file(&[b'x'; 100]),
            file(&[b'x'; 101]),
            file(long.trim_end().as_bytes()),
            file(b"caf\xe9"),
            Entry { size: 1 << 40, uid: u32::MAX, gid: 1 << 30, mtime_nanos: 1, ..file(b"big") },
            Entry { mtime_secs: -1, mtime_nanos: 500_000_000, ..file(b"old") },
            Entry { mtime_secs: -7, ..file(b"older") },
            Entry { mtime_secs: 1 << 40, ..file(b"late") },
            Entry { size: 0, kind: Kind::Directory, ..file(b"dir") },
            Entry { size: 0, kind: link, ..file(b"link") },
            Entry {
                xattrs: BTreeMap::from([
                    ("user.empty".into(), Vec::new()),
                    ("user.a=b%3Dc".into(), b"x=1\ny\0\xff".to_vec()),
                    ("security.capability".into(), vec![0; 70_000]),
                ]),
                ..file(b"attributes")
            },
        ];
        for entry in entries {
            assert_eq!(round_trip(&entry), entry);
        }
    }

    #[test]
    fn a_record_counts_its_own_length() {
        for length in [1, 88, 89, 90, 91, 985, 986, 987, 988, 989] {
            let mut records = Vec::new();
            put(&mut records, "path", &vec![b'x'; length]);
            let (key, value, rest) = record(&records).expect("a record");
            assert_eq!((key, value.len(), rest.len()), (&b"path"[..], length, 0));
        }
    }

    #[test]
    fn more_attributes_than_a_reader_accepts_are_refused() {
        let large = |number: usize| (format!("user.{number}").into(), vec![b'x'; 64 << 10]);
        let entry = |count| Entry { xattrs: (0..count).map(large).collect(), ..file(b"large") };
        assert_eq!(round_trip(&entry(15)), entry(15));
        assert!(encode(&entry(17)).is_none());
    }

    #[test]
    fn attributes_without_a_valid_name_are_refused() {
        for name in [&b""[..], b"user.\0", &[b'x'; 256]] {
            let mut records = Vec::new();
            put(&mut records, [XATTR.as_bytes(), name].concat(), b"value");
            assert!(Extended::default().read(&records).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_name_that_leaves_the_root_is_refused() {
        for name in ["../x", "/etc/passwd", "a/../../b", "./a", ""] {
            let header = {
                let mut header = ustar(name.as_bytes(), EntryType::Regular, 0);
                header.set_cksum();
                header
            };
            assert!(matches!(next(&mut &header.as_bytes()[..]), Err(Error::ContentMismatch { .. })), "{name}");
        }
    }
}

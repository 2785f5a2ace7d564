//! The members of a tar that another program has written, and where the content of each is.
//!
//! A tar that lacks its end is refused, and so is a member that is not a file, a folder or a link below the tar's own folder.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::{Read, Seek, SeekFrom},
    os::unix::ffi::OsStrExt,
};

use tar::{Archive, EntryType};

use super::SurveyEntry;
use crate::prelude::*;

const BLOCK: u64 = 512;

/// One member.
#[derive(Debug)]
pub struct TarMember {
    /// Its path is relative to the folder that the tar stands for.
    pub found: SurveyEntry,
    /// Where its content begins.
    pub offset: u64,
}

/// The members of a tar of `length` bytes, without the folder itself.
pub fn members<R: Read + Seek>(tar: &mut R, length: u64) -> Result<Vec<TarMember>> {
    let mut members: BTreeMap<RelPath, TarMember> = BTreeMap::new();
    let mut order = Vec::new();
    let mut end = 0;
    for entry in Archive::new(&mut *tar).entries_with_seek().map_err(|cause| unreadable(&cause))? {
        let entry = entry.map_err(|cause| unreadable(&cause))?;
        let found = member(entry, &members)?;
        end = found.end;
        let Some(member) = found.member else { continue };
        let path = member.found.path.clone();
        if members.insert(path.clone(), member).is_some() {
            return Err(refused(&path, "is in the tar twice"));
        }
        order.push(path);
    }
    refuse_without_end(tar, end, length)?;
    for path in &order {
        let mut above = path.parent();
        while let Some(folder) = above {
            if members.get(&folder).is_some_and(|found| found.found.kind != PathKind::Directory) {
                return Err(refused(path, "is below a path that is not a folder"));
            }
            above = folder.parent();
        }
    }
    Ok(order.iter().filter_map(|path| members.remove(path)).collect())
}

struct Found {
    member: Option<TarMember>,
    /// Where the next header is.
    end: u64,
}

fn member<R: Read>(mut entry: tar::Entry<'_, R>, others: &BTreeMap<RelPath, TarMember>) -> Result<Found> {
    let kind = entry.header().entry_type();
    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let refuse = |what: &str| Err(refused(&name, what));
    let offset = entry.raw_file_position();
    let end = offset + entry.size().next_multiple_of(BLOCK);
    if kind == EntryType::XGlobalHeader {
        return Ok(Found { member: None, end });
    }
    let mut is_sparse = kind == EntryType::GNUSparse;
    for extension in entry.pax_extensions().map_err(|cause| unreadable(&cause))?.into_iter().flatten().flatten() {
        is_sparse |= extension.key_bytes().starts_with(b"GNU.sparse");
    }
    if is_sparse {
        return refuse("is stored with holes, which moorline does not read; write the tar without --sparse");
    }
    let bytes = entry.path_bytes().into_owned();
    let Some(path) = plain(&bytes) else { return refuse("is not a path below the folder of the tar") };
    // The folder itself keeps the owner and the mode that it has on the volume.
    let Some(path) = path else { return Ok(Found { member: None, end }) };
    let link = entry.link_name_bytes().map(|link| PathBuf::from(OsStr::from_bytes(&link)));
    let number = |found: io::Result<u64>| found.map_err(|cause| unreadable(&cause));
    let header = entry.header();
    let [uid, gid] = [number(header.uid())?, number(header.gid())?].map(|id| u32::try_from(id).unwrap_or(u32::MAX));
    let mut found = SurveyEntry {
        path: path.clone(),
        kind: PathKind::File,
        target: None,
        size: 0,
        allocated: 0,
        mode: header.mode().map_err(|cause| unreadable(&cause))? & 0o7777,
        uid,
        gid,
        mtime_secs: i64::try_from(number(header.mtime())?).unwrap_or(i64::MAX),
        mtime_nanos: 0,
        dev: 0,
        ino: 0,
        links: 1,
        born: None,
    };
    let member = match (kind, link) {
        (EntryType::Regular | EntryType::Continuous, _) => {
            found.size = entry.size();
            TarMember { found, offset }
        }
        (EntryType::Directory, _) => TarMember { found: SurveyEntry { kind: PathKind::Directory, ..found }, offset },
        (EntryType::Symlink, Some(target)) if stays_below(&path, &target) => {
            let found = SurveyEntry { kind: PathKind::Symlink, target: Some(target), ..found };
            TarMember { found, offset }
        }
        (EntryType::Symlink, _) => return refuse("is a link that leads out of the folder of the tar"),
        // Each name becomes a file of its own.
        (EntryType::Link, Some(target)) => {
            let known = plain(target.as_os_str().as_bytes()).flatten().and_then(|target| others.get(&target));
            match known.filter(|known| known.found.kind == PathKind::File) {
                Some(known) => TarMember { found: SurveyEntry { path, ..known.found.clone() }, offset: known.offset },
                None => return refuse("is a hard link to a file that is not in the tar before it"),
            }
        }
        _ => return refuse("is neither a file nor a folder nor a link"),
    };
    Ok(Found { member: Some(TarMember { found: with_blocks(member.found), ..member }), end })
}

/// A file of a tar has no holes.
fn with_blocks(found: SurveyEntry) -> SurveyEntry {
    SurveyEntry { allocated: found.size, ..found }
}

/// A name in a tar as a path; `Some(None)` is the folder itself.
fn plain(name: &[u8]) -> Option<Option<RelPath>> {
    let mut name = name.strip_suffix(b"/").unwrap_or(name);
    while let Some(rest) = name.strip_prefix(b"./") {
        name = rest;
    }
    match name {
        b"." | b"" => Some(None),
        _ => RelPath::new(OsStr::from_bytes(name)).ok().map(Some),
    }
}

fn stays_below(path: &RelPath, target: &Path) -> bool {
    use std::path::Component;
    let mut depth = path.as_path().iter().count() - 1;
    target.components().all(|part| match part {
        Component::Normal(_) => {
            depth += 1;
            true
        }
        Component::ParentDir => depth.checked_sub(1).is_some_and(|less| {
            depth = less;
            true
        }),
        Component::CurDir => true,
        _ => false,
    })
}

/// A tar ends with two blocks of zeros at least. Nothing else may follow the last member.
fn refuse_without_end<R: Read + Seek>(tar: &mut R, end: u64, length: u64) -> Result<()> {
    let incomplete = |what: &str| {
        Error::new(Code::Unexpected, format!("the command ended with exit code 0, but its tar {what}"))
            .hint("run the backup with MOORLINE_LOG=debug, which logs what the command writes to stderr")
    };
    if end + 2 * BLOCK > length {
        return Err(incomplete("has no end"));
    }
    tar.seek(SeekFrom::Start(end)).map_err(|cause| unreadable(&cause))?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match tar.read(&mut buffer).map_err(|cause| unreadable(&cause))? {
            0 => return Ok(()),
            count if buffer[..count].iter().all(|byte| *byte == 0) => {}
            _ => return Err(incomplete("goes on after its end")),
        }
    }
}

fn unreadable(cause: &io::Error) -> Error {
    Error::new(Code::Unexpected, format!("the command's output is not a whole tar: {cause}"))
        .hint("let the command write an uncompressed tar to stdout, and nothing else")
}

fn refused(name: impl std::fmt::Display, what: &str) -> Error {
    Error::new(Code::Unexpected, format!("{name} in the command's tar {what}"))
}

//! Extended attributes of files, among them access lists (POSIX ACLs) and file capabilities. No link is ever followed.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use rustix::{
    fs::{XattrFlags, fremovexattr, fsetxattr, lgetxattr, llistxattr, lsetxattr},
    io::Errno,
};

/// Attributes by name.
pub type Xattrs = BTreeMap<OsString, Vec<u8>>;

/// The access list (ACL) of a file or folder.
pub const ACCESS: &str = "system.posix_acl_access";
/// The access list that new files in a folder get.
pub const DEFAULT: &str = "system.posix_acl_default";
/// The capabilities of a program.
pub const CAPABILITY: &str = "security.capability";

/// What the kernel allows for one value, and for the list of all names, in bytes.
const LARGEST: usize = 64 << 10;

/// The names of the attributes; none if the file system has none.
pub fn names(path: &Path) -> io::Result<Vec<OsString>> {
    let list = match read(|buffer| llistxattr(path, buffer)) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Vec::new()),
        other => other?,
    };
    let names = list.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| OsStr::from_bytes(name).to_owned()).collect())
}

/// The value of one attribute; `None` if it does not exist.
pub fn value(path: &Path, name: &OsStr) -> io::Result<Option<Vec<u8>>> {
    match read(|buffer| lgetxattr(path, name, buffer)) {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        other => Ok(Some(other?)),
    }
}

/// Whether an attribute belongs to the file, and not to the machine: labels and signatures follow the policy of the machine
/// (SELinux, Smack, AppArmor, IMA, EVM), and other attributes in `system.` are how a file system shows what it has anyway.
#[must_use]
pub fn is_kept(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let of_machine: [&[u8]; 5] =
        [b"security.selinux", b"security.SMACK64", b"security.apparmor", b"security.ima", b"security.evm"];
    match name.split(|byte| *byte == b'.').next() {
        Some(b"user" | b"trusted") => true,
        Some(b"security") => !of_machine.iter().any(|label| name.starts_with(label)),
        _ => [ACCESS, DEFAULT].iter().any(|list| list.as_bytes() == name),
    }
}

/// All attributes of a path that [`is_kept`] accepts and that this process may read.
pub fn kept(path: &Path) -> io::Result<Xattrs> {
    let mut all = Xattrs::new();
    for name in unless_refused(names(path))?.into_iter().filter(|name| is_kept(name)) {
        if let Some(value) = unless_refused(value(path, &name))? {
            all.insert(name, value);
        }
    }
    Ok(all)
}

fn unless_refused<T: Default>(read: io::Result<T>) -> io::Result<T> {
    match read {
        Err(cause) if crate::is_refused(&cause) => Ok(T::default()),
        other => other,
    }
}

/// Whether only root can set an attribute.
#[must_use]
pub fn is_privileged(name: &OsStr) -> bool {
    [&b"security."[..], b"trusted."].iter().any(|space| name.as_bytes().starts_with(space))
}

/// Gives attributes to an open file or folder whose owner and mode are set. Returns those that could not be set.
pub fn give(file: impl AsFd, attributes: &Xattrs) -> Vec<(OsString, io::Error)> {
    let failed = |(name, value): (&OsString, &Vec<u8>)| {
        set(Target::Open(file.as_fd()), name, value).err().map(|cause| (name.clone(), cause))
    };
    attributes.iter().filter_map(failed).collect()
}

/// First with a small buffer, which is nearly always large enough.
fn read(get: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut small = [0; 1024];
    match get(&mut small) {
        Err(Errno::RANGE) => {
            let mut large = vec![0; LARGEST];
            let length = get(&mut large)?;
            large.truncate(length);
            Ok(large)
        }
        other => Ok(small[..other?].to_vec()),
    }
}

/// Where to set an attribute.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// An open file or folder.
    Open(BorrowedFd<'a>),
    /// A symbolic link.
    Link(&'a Path),
}

/// Creates or replaces one attribute.
pub fn set(target: Target<'_>, name: &OsStr, value: &[u8]) -> io::Result<()> {
    let flags = XattrFlags::empty();
    let done = match target {
        Target::Open(file) => fsetxattr(file, name, value, flags),
        Target::Link(path) => lsetxattr(path, name, value, flags),
    };
    done.map_err(io::Error::from)
}

/// Removes the access lists that an open file or folder got from the folder it is in.
pub fn remove_lists(file: impl AsFd) -> io::Result<()> {
    remove(file, &[ACCESS.into(), DEFAULT.into()])
}

/// Removes attributes of an open file or folder, if they exist.
pub fn remove(file: impl AsFd, names: &[OsString]) -> io::Result<()> {
    for name in names {
        match fremovexattr(&file, name) {
            // A file has no list for new files.
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::ACCESS) => {}
            other => other?,
        }
    }
    Ok(())
}

/// Whether files that are created in a folder get an access list from it. A link may lead to the folder.
pub fn passes_lists_on(folder: &Path) -> bool {
    rustix::fs::getxattr_query(folder, DEFAULT).is_ok()
}

/// The rights (3 bits) that a file's own group has according to an access list. `None` if the list has no mask: then the
/// group's bits of the mode are the group's rights; otherwise they are the mask.
#[must_use]
pub fn group_rights(list: &[u8]) -> Option<u32> {
    let rights = |wanted: u16| entries(list)?.find(|(tag, ..)| *tag == wanted).map(|(_, rights, _)| rights);
    Some(u32::from(rights(GROUP_OBJECT)? & rights(MASK)? & 0o7))
}

/// A mode for volumes without access lists: the group has no more rights than the list gives it.
#[must_use]
pub fn narrowed(mode: u32, attributes: &Xattrs) -> u32 {
    match attributes.get(OsStr::new(ACCESS)).and_then(|list| group_rights(list)) {
        Some(rights) => (mode & !0o070) | (rights << 3),
        None => mode,
    }
}

/// The value of an attribute, with other ids of users and groups if it is an access list.
#[must_use]
pub fn with_ids(name: &OsStr, value: &[u8], user: impl Fn(u32) -> u32, group: impl Fn(u32) -> u32) -> Vec<u8> {
    let is_list = [ACCESS, DEFAULT].iter().any(|list| name == *list);
    let Some(entries) = entries(value).filter(|_| is_list) else { return value.to_vec() };
    let mut list = VERSION.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        let id = match tag {
            USER => user(id),
            GROUP => group(id),
            _ => id,
        };
        list.extend([&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat());
    }
    list
}

/// The entries of an access list: tag, rights, and the id of a user or group. `None` if the list is malformed.
fn entries(list: &[u8]) -> Option<impl Iterator<Item = (u16, u16, u32)>> {
    let list = list.strip_prefix(&VERSION.to_le_bytes())?;
    let (entries, rest) = list.as_chunks::<ENTRY>();
    let entry = |[a, b, c, d, e, f, g, h]: &[u8; ENTRY]| {
        (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]), u32::from_le_bytes([*e, *f, *g, *h]))
    };
    rest.is_empty().then(|| entries.iter().map(entry))
}

// As <linux/posix_acl_xattr.h> has it, little-endian everywhere.
const VERSION: u32 = 2;
const ENTRY: usize = 8;
const USER: u16 = 0x02;
const GROUP_OBJECT: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let entry = |(tag, rights, id): &(u16, u16, u32)| {
            [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        [VERSION.to_le_bytes().to_vec(), entries.iter().flat_map(entry).collect()].concat()
    }

    #[test]
    fn the_group_never_gets_the_rights_of_the_mask() {
        let none = u32::MAX;
        let entries = [(1, 6, none), (2, 6, 1234), (4, 4, none), (0x10, 6, none), (0x20, 0, none)];
        let with = |list: Vec<u8>| Xattrs::from([(ACCESS.into(), list)]);
        assert_eq!(narrowed(0o2660, &with(list(&entries))), 0o2640);
        assert_eq!(narrowed(0o660, &with(list(&[(4, 7, none), (0x10, 5, none)]))), 0o650);
        assert_eq!(narrowed(0o660, &with(list(&[(4, 4, none)]))), 0o660, "without a mask");
        assert_eq!(narrowed(0o660, &with(b"\x02\0\0\0\x04".to_vec())), 0o660, "cut");
        assert_eq!(narrowed(0o660, &Xattrs::new()), 0o660);
    }

    #[test]
    fn only_named_users_and_groups_get_other_ids() {
        let before = list(&[(1, 6, u32::MAX), (2, 6, 7), (2, 6, 8), (4, 4, u32::MAX), (8, 4, 7), (0x10, 6, u32::MAX)]);
        let after =
            list(&[(1, 6, u32::MAX), (2, 6, 70), (2, 6, 8), (4, 4, u32::MAX), (8, 4, 700), (0x10, 6, u32::MAX)]);
        let mapped = |name: &str, value: &[u8]| {
            with_ids(
                name.as_ref(),
                value,
                |uid| if uid == 7 { 70 } else { uid },
                |gid| if gid == 7 { 700 } else { gid },
            )
        };
        assert_eq!(mapped(ACCESS, &before), after);
        assert_eq!(mapped("user.x", &before), before);
        assert_eq!(mapped(DEFAULT, b"\x02\0\0"), b"\x02\0\0");
    }
}

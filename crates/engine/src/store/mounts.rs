//! The mount points of this process's mount namespace. A restore cannot move them.

use std::{collections::HashSet, ffi::OsStr, os::unix::ffi::OsStrExt};

use crate::prelude::*;

const MOUNTINFO: &str = "/proc/self/mountinfo";

/// All mount points. None without `/proc`; a mounted folder is then recognised only by its device number.
pub(crate) fn points() -> Result<Vec<PathBuf>> {
    let text = presence::read(Path::new(MOUNTINFO))?.unwrap_or_default();
    let fields = text.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    Ok(fields.map(|field| PathBuf::from(OsStr::from_bytes(&unescape(field)))).collect())
}

/// The mount points below `root`.
pub(super) fn below(root: &Path) -> Result<HashSet<PathBuf>> {
    let canonical = presence::canonical(root).on("access", root)?;
    let below = |point: PathBuf| Some(root.join(point.strip_prefix(&canonical).ok()?));
    Ok(points()?.into_iter().filter_map(below).collect())
}

/// mountinfo writes space, tab, newline and backslash as `\ooo`.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.filter(|_| byte == b'\\').and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(value) => {
                plain.push(value);
                rest = &after[3..];
            }
            None => {
                plain.push(byte);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_with_spaces_are_read() {
        assert_eq!(unescape(br"/data/my\040files\134x"), b"/data/my files\\x");
    }

    #[test]
    fn the_root_is_a_mount_point() {
        assert!(points().expect("reads").contains(&PathBuf::from("/")));
    }
}

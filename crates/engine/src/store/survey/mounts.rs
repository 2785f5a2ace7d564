//! Mount points below the storage root, folders and files. A restore cannot move them.

use std::{collections::HashSet, ffi::OsStr, os::unix::ffi::OsStrExt};

use crate::prelude::*;

/// All mount points below `root`. Empty without `/proc`; a mounted folder is then recognised only by its device number.
pub(super) fn below(root: &Path) -> HashSet<PathBuf> {
    let Ok(canonical) = root.canonicalize() else { return HashSet::new() };
    let text = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let fields = text.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    let points = fields.map(|field| PathBuf::from(OsStr::from_bytes(&unescape(field))));
    points.filter_map(|point| Some(root.join(point.strip_prefix(&canonical).ok()?))).collect()
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

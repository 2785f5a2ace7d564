//! Names of backup files.

use super::BackupKind;
use crate::prelude::*;

pub use volume::backups::EXTENSION;

/// `immediate-YYYYMMDDTHHMMSS.mmmZ.seqbac`.
#[must_use]
pub fn immediate(created: jiff::Timestamp) -> String {
    format!("immediate-{}.{EXTENSION}", created.strftime("%Y%m%dT%H%M%S.%3fZ"))
}

/// `<prefix>_YYYYMMDD.seqbac`.
#[must_use]
pub fn scheduled(prefix: &str, created: jiff::Timestamp) -> String {
    format!("{prefix}_{}.{EXTENSION}", created.strftime("%Y%m%d"))
}

/// The second choice if a backup's name is taken: adds `-HHMMSSZ`.
pub(super) fn with_time(path: &Path, created: jiff::Timestamp) -> PathBuf {
    with(path, &created.strftime("%H%M%SZ").to_string())
}

/// The third choice: also adds the first eight digits of the backup's id.
pub(super) fn with_time_and_id(path: &Path, created: jiff::Timestamp, id: Id) -> PathBuf {
    let id: String = id.to_string().chars().take(8).collect();
    with(&with_time(path, created), &id)
}

fn with(path: &Path, more: &str) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{more}.{EXTENSION}"))
}

/// The kind that a file name implies, or `None` if it is not the name of a backup.
pub(super) fn kind_of(path: &Path) -> Option<BackupKind> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_suffix(".seqbac")?;
    if stem.starts_with('.') {
        return None;
    }
    let (_, date) = stem.rsplit_once('_').unwrap_or(("", ""));
    let day = date.split('-').next().unwrap_or_default();
    let is_day = day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit());
    Some(if is_day { BackupKind::Scheduled } else { BackupKind::Immediate })
}

/// The day in the name of a scheduled backup, as `YYYYMMDD`.
pub(super) fn day(path: &Path) -> Option<String> {
    let (_, date) = path.file_stem()?.to_str()?.rsplit_once('_')?;
    date.get(..8).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_documented() {
        let at: jiff::Timestamp = "2026-11-22T03:04:05.678Z".parse().expect("a time");
        assert_eq!(immediate(at), "immediate-20261122T030405.678Z.seqbac");
        assert_eq!(scheduled("seq", at), "seq_20261122.seqbac");
        let taken = with_time(Path::new("/b/seq_20261122.seqbac"), at);
        assert_eq!(taken, Path::new("/b/seq_20261122-030405Z.seqbac"));
        assert_eq!(kind_of(&taken), Some(BackupKind::Scheduled));
        let id = Id::random().expect("an id");
        let taken = with_time_and_id(Path::new("/b/seq_20261122.seqbac"), at, id);
        assert_eq!(taken, Path::new(&format!("/b/seq_20261122-030405Z-{}.seqbac", &id.to_string()[..8])));
        assert_eq!(kind_of(&taken), Some(BackupKind::Scheduled));
        assert_eq!(kind_of(Path::new(&immediate(at))), Some(BackupKind::Immediate));
        assert_eq!(kind_of(Path::new("notes.txt")), None);
    }
}

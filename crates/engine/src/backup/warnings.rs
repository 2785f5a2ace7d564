//! Warnings about links, mounts and foreign databases in the volume.

use crate::store::{ForeignDatabase, Note, NoteKind, foreign};

/// Links and mounts named in a warning; the manifest lists all.
const NAMED: usize = 5;

/// Warns about paths whose content the backup lacks, or whose content a restore cannot replace.
pub(super) fn warn_about(notes: &[Note]) {
    let of = |kind| notes.iter().filter(move |note| note.kind() == kind);
    let list = |kind| {
        let first: Vec<_> = of(kind).take(NAMED).map(|note| note.path.to_string()).collect();
        let more = of(kind).count().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", first.join(", "))
    };
    let count = |kind, one: &str, many: &str| match of(kind).count() {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    };
    warn_about_two_names(notes);
    if of(NoteKind::Link).next().is_some() {
        let links = count(NoteKind::Link, "symbolic link leads", "symbolic links lead");
        let names = list(NoteKind::Link);
        log::warn!("{links} out of the volume, and the backup contains the link, but not its target: {names}");
    }
    if of(NoteKind::Mount).next().is_some() {
        let mounts = count(NoteKind::Mount, "mount is", "mounts are");
        let names = list(NoteKind::Mount);
        log::warn!(
            "{mounts} inside the volume; the backup contains the content, but a restore will not replace it: {names}"
        );
    }
}

/// Names the databases that a restore gives a file of its own for each name.
fn warn_about_two_names(notes: &[Note]) {
    let two_names = notes.iter().filter(|note| note.kind() == NoteKind::TwoNames);
    two_names.take(NAMED).for_each(|note| log::warn!("{} is {}; a restore makes them two", note.path, note.what));
}

/// Reports the databases of other engines: a warning for each that is in use, else whether the copy is consistent.
pub(super) fn warn_about_foreign(found: &[ForeignDatabase]) {
    foreign::reasons(found).iter().for_each(|reason| log::warn!("{reason}"));
    found
        .iter()
        .filter(|database| !database.is_live())
        .take(NAMED)
        .for_each(|other| log::info!("{}", other.in_words()));
}

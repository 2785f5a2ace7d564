//! Stores that are suddenly empty: a server that began anew on a volume that lost its state must not have the backups of
//! that state pruned by those of the new one.
//!
//! Compared with the newest sound backup of this instance that is not suspect itself: a database is, if three quarters of
//! the tables that had rows then have none now; a glob of files, if it had some then and has none now. Suspect backups are
//! kept like any other, and retention removes nothing until a person has said that it is as it should be.

use std::path::{Path, PathBuf};
use volume::backups::is_in_the_future;

use super::{Manifest, catalog, inspect::open_archive, manifest::state_of};
use crate::store::{DatabaseFacts, Note, Survey, SurveyEntry};
use profile::{PathKind, Scope};
use seqbac_header::{Id, RelPath, SecretKey};
use volume::{Volume, error::Result};

/// Of the tables that had rows, one in so many has to have some still.
const STILL_FILLED: u32 = 4;

/// What is suddenly empty. What backups that cannot be read held, nobody knows.
pub(super) fn look(
    volume: &Volume,
    key: &SecretKey,
    instance: Id,
    now: jiff::Timestamp,
    (scope, survey, databases): (&Scope, &Survey, &[DatabaseFacts]),
) -> Vec<Note> {
    let Some((file, before)) = last_good(volume, key, instance, now) else { return Vec::new() };
    let mut suspect = emptied(&before.databases, databases);
    match files_of(&file, key, &before) {
        Ok(files) => suspect.extend(without_files(scope, &files, survey)),
        Err(error) => log::warn!("what files were in the last backup cannot be told: {error}"),
    }
    suspect
}

/// The newest backup to compare with.
fn last_good(volume: &Volume, key: &SecretKey, instance: Id, now: jiff::Timestamp) -> Option<(PathBuf, Manifest)> {
    let unseen = |error: &volume::error::Error| log::warn!("this backup is not compared with the last one: {error}");
    let files = volume::backups::files(&volume.backups()).inspect_err(unseen).ok()?;
    let mut ours: Vec<_> = files
        .into_iter()
        .filter_map(|file| Some((volume::backups::header(&file).ok()?, file)))
        .filter(|(header, _)| header.instance == Some(instance) && !is_in_the_future(header.created, now))
        .collect();
    ours.sort_by_key(|(header, _)| std::cmp::Reverse(header.created));
    let readable = ours.into_iter().filter_map(|(_, file)| Some((catalog::manifest(&file, key).ok()?, file)));
    readable.map(|(manifest, file)| (file, manifest)).find(|(_, one)| one.is_sound() && one.suspect.is_empty())
}

fn emptied(before: &[DatabaseFacts], now: &[DatabaseFacts]) -> Vec<Note> {
    let emptied = |old: &DatabaseFacts| {
        let new = now.iter().find(|new| new.path == old.path)?;
        let (had, has) = (old.filled_tables.filter(|had| *had > 0)?, new.filled_tables?);
        let what = format!("{had} of its tables had rows in the last backup, and {has} have some now");
        (has * STILL_FILLED <= had).then(|| Note { path: new.path.clone(), what })
    };
    before.iter().filter_map(emptied).collect()
}

/// Files that had content. A directory has none.
fn files_of(file: &Path, key: &SecretKey, manifest: &Manifest) -> Result<Vec<RelPath>> {
    let archive = open_archive(file, key)?;
    let with_content = archive.members().iter().filter(|member| member.size > 0);
    let of_the_state = with_content.filter_map(|member| state_of(&member.path));
    Ok(of_the_state.filter(|path| manifest.database(path).is_none()).collect())
}

fn without_files(scope: &Scope, before: &[RelPath], survey: &Survey) -> Vec<Note> {
    let has_content = |found: &&SurveyEntry| found.kind == PathKind::File && found.size > 0;
    let now: Vec<&RelPath> = survey.files.iter().filter(has_content).map(|found| &found.path).collect();
    let emptied = |glob: &String| {
        let matcher = Scope { files: vec![glob.clone()], ..Scope::default() }.compile().ok()?;
        let is_of_it = |path: &&RelPath| matcher.takes(path, PathKind::File);
        let first = before.iter().find(is_of_it)?;
        let what = format!("{glob} had files in the last backup, and has none now");
        now.iter().all(|path| !is_of_it(path)).then(|| Note { path: first.clone(), what })
    };
    if !scope.discover {
        return scope.files.iter().filter_map(emptied).collect();
    }
    let first = before.first().filter(|_| now.is_empty());
    let what = "there were files in the last backup, and there are none now".to_owned();
    first.map(|path| Note { path: path.clone(), what }).into_iter().collect()
}

//! Stores that are suddenly empty. If a volume loses its state and the server starts afresh, retention must not replace
//! the good backups with empty ones.
//!
//! We compare with the newest sound backup of this instance that is not suspect itself. A database is suspect if at
//! least three quarters of the tables that had rows then have none now. A glob for files is suspect if it matched files
//! with content then and matches none now. Retention removes nothing until a backup is not suspect, or a user accepts
//! the empty stores.

use super::{Manifest, Soundness, catalog, inspect::open_archive, manifest::state_of};
use crate::{
    prelude::*,
    store::{DatabaseFacts, Matcher, Note, Survey, SurveyEntry},
};

/// A database is suspect if at most one in this many of its filled tables still has rows.
const STILL_FILLED: u32 = 4;

/// Finds the stores that are suddenly empty. Ignores backups that cannot be read.
pub(super) fn find(
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
        Err(error) => log::warn!("cannot check whether stores of files are suddenly empty: {error}"),
    }
    suspect
}

fn last_good(volume: &Volume, key: &SecretKey, instance: Id, now: jiff::Timestamp) -> Option<(PathBuf, Manifest)> {
    let failed = |error: &volume::error::Error| log::warn!("cannot check whether stores are suddenly empty: {error}");
    let files = volume::backups::files(&volume.backups()).inspect_err(failed).ok()?;
    let ours = catalog::of_instance(files, instance, now);
    let readable = ours.into_iter().filter_map(|(_, file)| Some((catalog::manifest(&file, key).ok()?, file)));
    readable.map(|(manifest, file)| (file, manifest)).find(|(file, manifest)| {
        catalog::assess(file, key, manifest).is_ok_and(|assessed| assessed.soundness == Soundness::Sound)
    })
}

fn emptied(before: &[DatabaseFacts], now: &[DatabaseFacts]) -> Vec<Note> {
    let emptied = |old: &DatabaseFacts| {
        let new = now.iter().find(|new| new.path == old.path)?;
        let (had, has) = (old.filled_tables.filter(|had| *had > 0)?, new.filled_tables?);
        let what = format!("tables with rows: {had} in the last backup, {has} now");
        (has * STILL_FILLED <= had).then(|| Note { path: new.path.clone(), what })
    };
    before.iter().filter_map(emptied).collect()
}

/// Files with content in the backup.
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
        let matcher = Matcher::of(&Scope { files: vec![glob.clone()], ..Scope::default() }).ok()?;
        let is_of_it = |path: &&RelPath| matcher.takes(path, PathKind::File);
        let first = before.iter().find(is_of_it)?;
        let what = format!("{glob} matched files in the last backup, but matches none now");
        now.iter().all(|path| !is_of_it(path)).then(|| Note { path: first.clone(), what })
    };
    if !scope.discover {
        return scope.files.iter().filter_map(emptied).collect();
    }
    let first = before.first().filter(|_| now.is_empty());
    let what = "the last backup contains files, but the volume has none now".to_owned();
    first.map(|path| Note { path: path.clone(), what }).into_iter().collect()
}

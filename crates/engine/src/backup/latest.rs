//! Which backup `restore --from-latest` takes: the newest sound one.
//!
//! Newer backups that are not sound are ignored with a warning, as long as that costs less than [`MOST`] of the server's
//! history. Beyond that a person decides, and nothing is changed.

use super::{
    Soundness, Twins, Verifications,
    catalog::{Summary, is_damage, summary},
};
use crate::{prelude::*, quarantine::QuarantineRecord};
use volume::backups::{files, header, is_in_the_future, named};

/// How much older than the newest backup the restored one may be.
const MOST: jiff::SignedDuration = jiff::SignedDuration::from_hours(48);

/// Backups shown of each line if another volume has taken backups, too.
const SHOWN: usize = 10;

/// One backup of the instance, and whether it can be relied on.
struct Candidate {
    file: PathBuf,
    created: jiff::Timestamp,
    soundness: Soundness,
    /// The first reason, if it is not sound.
    reason: String,
}

impl Candidate {
    fn in_words(&self) -> String {
        let Self { file, created, soundness, reason } = self;
        format!("{} of {created:.0} is {}: {reason}", file.display(), soundness.word())
    }
}

/// The newest sound backup of this instance, or the newest doubtful one if none is sound. Ignores backups from the future, as
/// seen at `now`. With `sound_only`, it may be older than newer unsound ones by any time.
///
/// # Errors
/// `Unverified` if a person has to choose. An entry that cannot be read, or whose header cannot be decoded, is an error, because
/// it may be the newest backup.
pub fn latest(
    volume: &Volume,
    key: &SecretKey,
    instance: Id,
    now: jiff::Timestamp,
    sound_only: bool,
) -> Result<PathBuf> {
    let (mut all, in_the_future) = candidates(volume, key, instance, now)?;
    all.sort_by_key(|candidate| std::cmp::Reverse(candidate.created));
    // A volume that is only a copy has taken all of them, or its original had before it was copied.
    if let Some(twins) = Twins::find(volume, key, instance, now)?.filter(|twins| !twins.unrecorded.is_empty()) {
        return Err(of_twins(volume, &twins, &all)?);
    }
    let of = |soundness| all.iter().position(|candidate| candidate.soundness == soundness);
    let sound = of(Soundness::Sound);
    let chosen = sound.or_else(|| of(Soundness::Doubtful).filter(|_| !sound_only));
    let Some(chosen) = chosen else {
        return Err(match all.first() {
            Some(_) => choose(volume, "no backup of this instance is sound", &all, None)?,
            None => none(&volume.backups(), instance, in_the_future),
        });
    };
    let (newer, found) = (&all[..chosen], &all[chosen]);
    let behind = newer.first().map(|newest| newest.created.duration_since(found.created));
    if behind.is_some_and(|behind| behind >= MOST) && !sound_only {
        let days = behind.map_or(0, |behind| behind.as_hours() / 24);
        let what = format!(
            "the newest {} backup, {} of {:.0}, is {days} days older than the newest one",
            found.soundness.word(),
            found.file.display(),
            found.created
        );
        return Err(choose(volume, &what, newer, sound.map(|_| found))?);
    }
    for ignored in newer {
        log::warn!("ignoring a newer backup: {}", ignored.in_words());
    }
    if sound.is_none() {
        log::warn!("no backup of this instance is sound, so the newest doubtful one is restored: {}", found.in_words());
    }
    Ok(found.file.clone())
}

/// All backups of this instance, and how many others are from the future.
fn candidates(volume: &Volume, key: &SecretKey, instance: Id, now: jiff::Timestamp) -> Result<(Vec<Candidate>, usize)> {
    let verifications = Verifications::load(volume)?;
    let advice = "move the file out of Backups/ to use the newest of the others, or name a backup with --backup";
    let undecided = |error: Error| error.context("cannot determine the newest backup").hint(advice);
    let (mut all, mut in_the_future) = (Vec::new(), 0);
    for file in files(&volume.backups())? {
        let header = header(&file).map_err(undecided)?;
        if header.instance != Some(instance) {
            log::info!("{} is a backup of another instance", file.display());
            continue;
        }
        header.authenticate(key).map_err(|error| undecided(named(&file, error)))?;
        if is_in_the_future(header.created, now) {
            in_the_future += 1;
            log::warn!("ignoring {}, because its creation time is in the future: {}", file.display(), header.created);
            continue;
        }
        let (soundness, reason) = match summary(&file, Some(key)) {
            Err(error) if is_damage(error.code()) => (Soundness::Damaged, error.message().to_owned()),
            Err(error) => return Err(undecided(error)),
            Ok(Summary { soundness, reasons, .. }) => match verifications.failed.get(&header.id) {
                Some(why) => (Soundness::Damaged, why.clone()),
                None => (soundness.unwrap_or(Soundness::Damaged), reasons.into_iter().next().unwrap_or_default()),
            },
        };
        all.push(Candidate { file, created: header.created, soundness, reason });
    }
    Ok((all, in_the_future))
}

/// The error if a person has to choose, with the commands to choose from.
fn choose(volume: &Volume, what: &str, newer: &[Candidate], sound: Option<&Candidate>) -> Result<Error> {
    for candidate in newer {
        log::warn!("{}", candidate.in_words());
    }
    let older = sound.map(|_| "to restore the newest sound one: `moorline restore -y --from-latest=sound`".to_owned());
    let readable = newer.iter().find(|candidate| candidate.soundness != Soundness::Damaged);
    let newest = match readable {
        Some(Candidate { file, soundness, .. }) => {
            Some(format!("to restore the newest {} one: {}", soundness.word(), command(volume, file)?))
        }
        None => None,
    };
    let commands: Vec<_> = older.into_iter().chain(newest).collect();
    let hint = if commands.is_empty() { "`moorline verify` names all damage".to_owned() } else { commands.join("; ") };
    Ok(Error::new(Code::Unverified, what.to_owned()).hint(hint))
}

/// The error if some backups are another volume's, or this volume's before a snapshot set it back.
fn of_twins(volume: &Volume, twins: &Twins, all: &[Candidate]) -> Result<Error> {
    let is_ours = |candidate: &&Candidate| twins.unrecorded.iter().all(|theirs| theirs.file != candidate.file);
    let (ours, theirs): (Vec<_>, Vec<_>) = all.iter().partition(is_ours);
    for (line, whose) in [(&ours, "taken by this volume"), (&theirs, "not taken by this volume")] {
        for Candidate { file, created, soundness, .. } in line.iter().take(SHOWN) {
            log::warn!("{whose}: {} of {created:.0}, {}", file.display(), soundness.word());
        }
        let more = line.len().saturating_sub(SHOWN);
        if more > 0 {
            log::warn!("{whose}: {more} older ones");
        }
    }
    let mut advice = twins.advice(&volume.backups());
    let by = |soundness| ours.iter().find(|candidate| candidate.soundness == soundness);
    if let Some(newest) = by(Soundness::Sound).or_else(|| by(Soundness::Doubtful)) {
        let what = format!("to restore the newest {} one that this volume has taken", newest.soundness.word());
        advice.insert(0, format!("{what}: {}", command(volume, &newest.file)?));
    }
    let hint = advice.join("; ");
    Ok(Error::new(Code::Unverified, twins.in_words()).hint(hint))
}

/// The command that restores a backup as `--from-latest` does: apps stay as they were, unless this volume is in quarantine.
fn command(volume: &Volume, file: &Path) -> Result<String> {
    let apps = if QuarantineRecord::load(volume)?.is_some() { "" } else { " --enable-apps" };
    Ok(format!("`moorline restore -y{apps} --backup={}`", file.display()))
}

fn none(folder: &Path, instance: Id, in_the_future: usize) -> Error {
    let folder = folder.display();
    if in_the_future > 0 {
        let what = format!("the creation time of every backup of this instance in {folder} is in the future");
        return Error::new(Code::TryAgain, what)
            .hint("correct the clock of this machine, or name a backup with --backup");
    }
    Error::new(Code::NotFound, format!("found no backup of this instance ({instance}) in {folder}"))
        .hint("name a backup with --backup; for a backup of another instance, pass its --secret-key too")
}

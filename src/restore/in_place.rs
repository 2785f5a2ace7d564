//! Quarantine without a restore: the apps of the volume itself, switched off and on while no server runs.
//!
//! ```text
//! request    a server runs: written down, and carried out by the next start
//! disable    memory, durable and `pending` → the changes → memory
//! release    the changes → memory, store by store
//! settle     at a start, before the server: what is `pending` is done again, what was asked for is released
//! ```
//! Whoever changes the memory holds [`AppsLock`], so that no request is lost; whoever changes the state holds the
//! volume's lock, which the caller shows. A person's verb refuses to run beside a backup; a start does not wait for one,
//! and the backup notices.

use std::{collections::BTreeSet, os::fd::RawFd};

use serde::Serialize;

use super::{obstacles, quarantine::failed, recover, refuse_unfinished};
use crate::{
    apps::{self, App, Chosen, Memory, Release, Requests},
    error::{Code, Error, Result},
    profile::{Apps, Profile, step::Step},
    volume::{AppsLock, BackupLock, Lock, Volume, durable},
};

/// Apps that were switched off without a restore.
#[derive(Debug, Serialize)]
pub struct Disabled {
    /// All that are off now.
    pub apps: Vec<App>,
    /// How many of them had been on until now.
    pub switched_off: usize,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// What was done before the server starts.
#[derive(Debug)]
pub struct Settled {
    /// Whether apps were switched off that a crash had kept from it.
    pub resumed: bool,
    /// What came of the release that was asked for.
    pub release: Option<Release>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Switches all apps off that the profile finds on.
///
/// # Errors
/// `AppsUnknown` where nobody has said what they are, or a step fails; `TryAgain` while a database of the state is in use,
/// or a backup is being made.
pub fn disable(volume: &Volume, profile: &Profile, _held: &Lock) -> Result<Disabled> {
    let _locks = (no_backup(volume)?, AppsLock::take(volume)?);
    // Whoever switches everything off does not want released what was asked for before.
    let before = Memory::load(volume)?.map(Memory::without_requests);
    let steps = match (profile.apps, &before) {
        (Apps::Listed, _) => profile.steps.clone(),
        (Apps::None, _) => Vec::new(),
        (Apps::Unknown, Some(memory)) => steps_of(memory),
        (Apps::Unknown, None) => return Err(unknown()),
    };
    obstacles::no_database_in_use(volume, std::slice::from_ref(&profile.scope))?;
    let known: BTreeSet<_> = before.iter().flat_map(Memory::apps).map(|app| app.id).collect();
    let (memory, notes) = switch_off(volume, &steps, before)?;
    let apps: Vec<App> = memory.apps().collect();
    let switched_off = apps.iter().filter(|app| !known.contains(&app.id)).count();
    Ok(Disabled { apps, switched_off, notes })
}

/// What came of a request to put apps back on.
#[derive(Debug)]
pub enum Answered {
    /// It was carried out.
    Released(Release),
    /// It is carried out by the next start.
    Requested {
        /// Who keeps the state from being changed now.
        because: String,
        /// All that is asked for by now.
        requests: Requests,
    },
}

/// Puts the chosen apps back on: now, where no server runs; otherwise it is written down for the next start. `inherited`
/// is the descriptor of the volume's lock that a parent left to this process.
///
/// # Errors
/// `NotFound` where there is no quarantine, or no such app. `TryAgain` while a restore is unfinished or a backup is being
/// made. Where an app cannot be put back: what could be until then is, and the rest is still remembered.
pub fn release(volume: &Volume, profile: &Profile, chosen: &Chosen, inherited: Option<RawFd>) -> Result<Answered> {
    let request = |error: Error| request(volume, chosen, error.message().to_owned());
    let _held = match Lock::try_take(volume, "apps release", inherited)? {
        Ok(lock) => lock,
        Err(holder) => return request(holder.refusal(volume)),
    };
    for line in recover(volume)? {
        log::info!("{line}");
    }
    match obstacles::no_database_in_use(volume, std::slice::from_ref(&profile.scope)) {
        Err(error) if error.code() == Code::TryAgain => request(error),
        other => other.and_then(|()| release_now(volume, chosen)),
    }
}

fn release_now(volume: &Volume, chosen: &Chosen) -> Result<Answered> {
    let _locks = (no_backup(volume)?, AppsLock::take(volume)?);
    let mut memory = Memory::load(volume)?.ok_or_else(|| not_in_quarantine(volume))?;
    apps::refuse_unknown(&memory, chosen)?;
    if memory.pending {
        let steps = steps_of(&memory);
        memory = switch_off(volume, &steps, Some(memory))?.0;
    }
    let released = switch_on(volume, &mut memory, chosen)?;
    forget_requests(&mut memory);
    memory.save(volume)?;
    Ok(Answered::Released(released))
}

fn request(volume: &Volume, chosen: &Chosen, because: String) -> Result<Answered> {
    refuse_unfinished(volume)?;
    let _lock = AppsLock::take(volume)?;
    let mut memory = Memory::load(volume)?.ok_or_else(|| not_in_quarantine(volume))?;
    apps::refuse_unknown(&memory, chosen)?;
    memory.requested.add(chosen);
    memory.save(volume)?;
    Ok(Answered::Requested { because, requests: memory.requested })
}

/// Makes the volume ready for the server: what a crash cut off is done again, and what was asked for is released.
///
/// # Errors
/// Where that fails: the server must not start then, and the next start tries again.
pub fn settle(volume: &Volume, _held: &Lock) -> Result<Settled> {
    let _lock = AppsLock::take(volume)?;
    let mut settled = Settled { resumed: false, release: None, notes: Vec::new() };
    let Some(mut memory) = Memory::load(volume)? else { return Ok(settled) };
    if memory.pending {
        let steps = steps_of(&memory);
        (memory, settled.notes) = switch_off(volume, &steps, Some(memory))?;
        settled.resumed = true;
    }
    // An earlier start may have been cut off when it had carried out half of it.
    forget_requests(&mut memory);
    if let Some(chosen) = asked_for(&memory.requested) {
        settled.release = Some(switch_on(volume, &mut memory, &chosen)?);
    }
    memory.requested = Requests::default();
    memory.save(volume)?;
    Ok(settled)
}

/// What a backup has read as off must still be remembered when it ends.
fn no_backup(volume: &Volume) -> Result<BackupLock> {
    BackupLock::take(volume).map_err(|error| error.context("no app is switched off or on beside a backup"))
}

fn switch_off(volume: &Volume, steps: &[Step], before: Option<Memory>) -> Result<(Memory, Vec<String>)> {
    let mut kept = false;
    let mut keep = |memory: &Memory| {
        kept = true;
        memory.save(volume)
    };
    let done = apps::quarantine(volume.root(), steps, before, &mut keep).map_err(failed);
    done.map_err(|error| match kept {
        true => {
            error.hint("apps may be half off: the next start goes on with it, and starts no server before it is done")
        }
        false => error,
    })
}

/// What cannot be put back is forgotten, so that quarantine can end; a copy of the memory keeps it for a person.
fn switch_on(volume: &Volume, memory: &mut Memory, chosen: &Chosen) -> Result<Release> {
    let before = memory.to_bytes()?;
    let mut release =
        apps::release(volume.root(), memory, chosen, &mut |memory| memory.save(volume)).map_err(failed)?;
    if release.steps.iter().flat_map(|step| &step.left).any(|left| !left.remembered) {
        let path = volume.own().join(format!("quarantine-{}.json", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ")));
        durable::write_new(&path, &before, 0o600)?;
        release.warnings.push(format!("what was left is forgotten; what it had been is kept in {}", path.display()));
    }
    Ok(release)
}

fn steps_of(memory: &Memory) -> Vec<Step> {
    memory.steps.iter().map(|remembered| remembered.step.clone()).collect()
}

/// Those that are of nothing that is off any more.
fn forget_requests(memory: &mut Memory) {
    let names = std::mem::take(&mut memory.requested.named);
    memory.requested.named = names.into_iter().filter(|name| is_off(memory, name)).collect();
}

fn asked_for(requests: &Requests) -> Option<Chosen> {
    match requests.all {
        true => Some(Chosen::All),
        false if requests.named.is_empty() => None,
        false => Some(Chosen::Named(requests.named.iter().cloned().collect())),
    }
}

fn is_off(memory: &Memory, name: &str) -> bool {
    memory.apps().any(|app| app.id == name || app.step == name)
}

/// That a volume is not in quarantine.
fn not_in_quarantine(volume: &Volume) -> Error {
    Error::new(Code::NotFound, format!("{} is not in quarantine: no app was switched off", volume.root().display()))
        .hint("`moorline apps` shows what `moorline apps disable --all` would switch off")
}

fn unknown() -> Error {
    Error::new(Code::AppsUnknown, "what this server's apps are is unknown, so they cannot be switched off")
        .hint("name the server's profile with --profile (or MOORLINE_PROFILE)")
}

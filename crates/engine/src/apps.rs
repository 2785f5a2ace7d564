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

use crate::store::Matcher;
use std::{collections::BTreeSet, os::fd::OwnedFd};

use serde::Serialize;

use crate::{
    metastore::{self, MetastoreLock},
    quarantine::{self as apps, App, Chosen, Persist, StepInspection, QuarantineRecord, Release, ReleasedStep, Requests, failed},
    restore::{events, no_database_in_use, recover, refuse_unfinished},
    store::holds_state,
};
use profile::{Apps, Profile, step::Step};
use volume::{
    AppsLock, BackupLock, Lock, Volume, durable,
    error::{Code, Error, Result},
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
pub struct AppliedPending {
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
    let before = QuarantineRecord::load(volume)?.map(QuarantineRecord::without_requests);
    let console = metastore::is_there(volume)?;
    let steps = match (profile.apps, &before) {
        (Apps::Listed, _) => profile.steps.clone(),
        (Apps::None, _) => Vec::new(),
        (Apps::Unknown, Some(memory)) => steps_of(memory),
        (Apps::Unknown, None) if is_only_console(volume, profile)? => Vec::new(),
        (Apps::Unknown, None) => return Err(unknown()),
    };
    let steps = apps::with_console(steps, console)?;
    let console_held = console.then(|| MetastoreLock::alone(volume)).transpose()?;
    no_database_in_use(volume, std::slice::from_ref(&profile.scope))?;
    let known: BTreeSet<_> = before.iter().flat_map(QuarantineRecord::apps).map(|app| app.id).collect();
    let (memory, notes) = switch_off(volume, &steps, before, console_held.as_ref())?;
    let apps: Vec<App> = memory.apps().collect();
    let switched_off = apps.iter().filter(|app| !known.contains(&app.id)).count();
    events::switched_off(volume, switched_off);
    Ok(Disabled { apps, switched_off, notes })
}

/// What steps would find that are on, where quarantine is not in force; `None` where nobody knows what the server's apps
/// are.
///
/// # Errors
/// Where the volume cannot be read, or a step makes no sense.
pub fn inspect(volume: &Volume, profile: &Profile) -> Result<Option<Vec<StepInspection>>> {
    let steps = match profile.apps {
        Apps::Listed => profile.steps.clone(),
        Apps::None => Vec::new(),
        Apps::Unknown if is_only_console(volume, profile)? => Vec::new(),
        Apps::Unknown => return Ok(None),
    };
    let console = metastore::is_there(volume)?;
    let _held = console.then(|| MetastoreLock::shared(volume)).transpose()?;
    apps::inspect(volume.root(), &apps::with_console(steps, console)?).map(Some)
}

/// Whether the console is the server: it has state, and nobody else has.
fn is_only_console(volume: &Volume, profile: &Profile) -> Result<bool> {
    Ok(metastore::is_there(volume)? && !holds_state(volume.root(), &Matcher::of(&profile.scope)?)?)
}

/// What came of the wish to put apps back on.
#[derive(Debug, Serialize)]
pub struct ReleaseResult {
    /// Those that are on again, or were left as they are, step by step.
    pub released: Vec<ReleasedStep>,
    /// All that is asked of the next start by now; null where this left nothing for it.
    pub requested: Option<Requests>,
    /// Who keeps the server's state from being changed now, where something is left for the next start.
    pub because: Option<String>,
    /// What is off still.
    pub left_off: Vec<App>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

impl ReleaseResult {
    fn of(release: Release, memory: &QuarantineRecord) -> Self {
        Self {
            released: release.steps,
            requested: None,
            because: None,
            left_off: memory.apps().collect(),
            warnings: release.warnings,
        }
    }
}

/// Puts the chosen apps back on: now, where no server runs. Otherwise the console's own are put back on now, and the
/// server's by its next start, for which it is written down. `inherited` is the descriptor of the volume's lock that a
/// parent left to this process.
///
/// The console may call it, while nobody waits for its database: that is let go of first, within seconds.
///
/// # Errors
/// `NotFound` where there is no quarantine, or no such app. `TryAgain` while a restore is unfinished or a backup is being
/// made. Where an app cannot be put back: what could be until then is, and the rest is still remembered.
pub fn release(volume: &Volume, profile: &Profile, chosen: &Chosen, inherited: Option<OwnedFd>) -> Result<ReleaseResult> {
    let _held = match Lock::try_take(volume, "apps release", inherited)? {
        Ok(lock) => lock,
        Err(holder) => return release_beside(volume, chosen, holder.refusal(volume).message()),
    };
    for line in recover(volume)? {
        log::info!("{line}");
    }
    match no_database_in_use(volume, std::slice::from_ref(&profile.scope)) {
        Err(error) if error.code() == Code::TryAgain => release_beside(volume, chosen, error.message()),
        other => other.and_then(|()| release_now(volume, chosen)),
    }
}

fn release_now(volume: &Volume, chosen: &Chosen) -> Result<ReleaseResult> {
    let _locks = (no_backup(volume)?, AppsLock::take(volume)?);
    let mut memory = load(volume, chosen)?;
    let console = console_closed(volume, &memory)?;
    if memory.pending {
        let steps = steps_of(&memory);
        memory = switch_off(volume, &steps, Some(memory), console.as_ref())?.0;
    }
    let released = switch_on(volume, &mut memory, chosen, console.as_ref())?;
    forget_requests(&mut memory);
    memory.save(volume)?;
    events::released(volume, &released, &memory);
    Ok(ReleaseResult::of(released, &memory))
}

/// Beside a server, which is why the rest has to wait.
fn release_beside(volume: &Volume, chosen: &Chosen, because: &str) -> Result<ReleaseResult> {
    refuse_unfinished(volume)?;
    // A backup that is being made is no reason not to write down what the next start is to do.
    let (backup, _apps) = (no_backup(volume), AppsLock::take(volume)?);
    let mut memory = load(volume, chosen)?;
    // What was cut off while apps were switched off is finished by the next start before anything is switched on.
    let (ours, others) = if memory.pending { (None, Some(chosen.clone())) } else { divide(&memory, chosen) };
    if let Some(others) = &others {
        memory.requested.add(others);
    }
    let release = match ours {
        Some(ours) => {
            let _backup = backup?;
            release_console(volume, &mut memory, &ours)?
        }
        None => Release::default(),
    };
    forget_requests(&mut memory);
    memory.save(volume)?;
    events::released(volume, &release, &memory);
    let mut answer = ReleaseResult::of(release, &memory);
    if others.is_some() {
        answer.requested = Some(memory.requested);
        answer.because = Some(because.to_owned());
    }
    Ok(answer)
}

/// Which of the chosen are the console's apps, and which the server's.
fn divide(memory: &QuarantineRecord, chosen: &Chosen) -> (Option<Chosen>, Option<Chosen>) {
    let mut server = memory.clone();
    let console = server.take_console();
    let among = |part: &QuarantineRecord| match chosen {
        Chosen::All => part.apps().next().map(|_| Chosen::All),
        Chosen::Named(names) => {
            let names: Vec<String> = names.iter().filter(|name| is_off(part, name)).cloned().collect();
            (!names.is_empty()).then_some(Chosen::Named(names))
        }
    };
    (among(&console), among(&server))
}

/// The console's apps, in its database, while a server may be running. A crash may leave them on and remembered: that
/// they are as they were is seen when they are released again.
fn release_console(volume: &Volume, memory: &mut QuarantineRecord, chosen: &Chosen) -> Result<Release> {
    let alone = MetastoreLock::alone(volume)?;
    let mut console = memory.take_console();
    let done = release_part(volume, &mut console, chosen, &mut |console| {
        let mut whole = memory.clone();
        whole.put_console(console.clone());
        save(volume, &whole, Some(&alone))
    });
    memory.put_console(console);
    done
}

/// Where backups are kept may have been switched off or on. That is written down first: what a crash leaves undone is
/// still in the memory, and done by whoever asks again.
fn save(volume: &Volume, memory: &QuarantineRecord, console: Option<&MetastoreLock>) -> Result<()> {
    mirror(volume, console)?;
    memory.save(volume)
}

fn mirror(volume: &Volume, console: Option<&MetastoreLock>) -> Result<()> {
    match console {
        Some(held) if metastore::is_there(volume)? => metastore::mirror_now(volume, held),
        _ => Ok(()),
    }
}

fn load(volume: &Volume, chosen: &Chosen) -> Result<QuarantineRecord> {
    let memory = QuarantineRecord::load(volume)?.ok_or_else(|| not_in_quarantine(volume))?;
    apps::refuse_unknown(&memory, chosen)?;
    Ok(memory)
}

/// Where apps of the console's are to be changed: nobody has its database open meanwhile.
fn console_closed(volume: &Volume, memory: &QuarantineRecord) -> Result<Option<MetastoreLock>> {
    let concerned = memory.has_console_apps() || (memory.pending && metastore::is_there(volume)?);
    concerned.then(|| MetastoreLock::alone(volume)).transpose()
}

/// Makes the volume ready for the server: what a crash cut off is done again, and what was asked for is released.
///
/// # Errors
/// Where that fails: the server must not start then, and the next start tries again.
pub fn apply_pending(volume: &Volume, _held: &Lock) -> Result<AppliedPending> {
    let _lock = AppsLock::take(volume)?;
    let mut settled = AppliedPending { resumed: false, release: None, notes: Vec::new() };
    let Some(mut memory) = QuarantineRecord::load(volume)? else { return Ok(settled) };
    let due = memory.pending || !memory.requested.is_empty();
    let console = if due { console_closed(volume, &memory)? } else { None };
    if memory.pending {
        let steps = steps_of(&memory);
        (memory, settled.notes) = switch_off(volume, &steps, Some(memory), console.as_ref())?;
        settled.resumed = true;
    }
    // An earlier start may have been cut off when it had carried out half of it.
    forget_requests(&mut memory);
    if let Some(chosen) = asked_for(&memory.requested) {
        settled.release = Some(switch_on(volume, &mut memory, &chosen, console.as_ref())?);
    }
    memory.requested = Requests::default();
    memory.save(volume)?;
    settled.release.iter().for_each(|release| events::released(volume, release, &memory));
    Ok(settled)
}

/// What a backup has read as off must still be remembered when it ends.
fn no_backup(volume: &Volume) -> Result<BackupLock> {
    BackupLock::take(volume).map_err(|error| error.context("no app is switched off or on beside a backup"))
}

fn switch_off(
    volume: &Volume,
    steps: &[Step],
    before: Option<QuarantineRecord>,
    console: Option<&MetastoreLock>,
) -> Result<(QuarantineRecord, Vec<String>)> {
    let mut kept = false;
    let mut keep = |memory: &QuarantineRecord| {
        kept = true;
        save(volume, memory, console)
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
fn switch_on(
    volume: &Volume,
    memory: &mut QuarantineRecord,
    chosen: &Chosen,
    console: Option<&MetastoreLock>,
) -> Result<Release> {
    release_part(volume, memory, chosen, &mut |memory| save(volume, memory, console))
}

/// The same of a memory that is not kept as it is.
fn release_part(volume: &Volume, memory: &mut QuarantineRecord, chosen: &Chosen, keep: Persist<'_>) -> Result<Release> {
    let before = memory.to_bytes()?;
    let mut release = apps::release(volume.root(), memory, chosen, keep).map_err(failed)?;
    if release.steps.iter().flat_map(|step| &step.left).any(|left| !left.remembered) {
        let path = volume.own().join(format!("quarantine-{}.json", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ")));
        durable::write_new(&path, &before, 0o600)?;
        release.warnings.push(format!("what was left is forgotten; what it had been is kept in {}", path.display()));
    }
    Ok(release)
}

fn steps_of(memory: &QuarantineRecord) -> Vec<Step> {
    memory.steps.iter().map(|remembered| remembered.step.clone()).collect()
}

/// Those that are of nothing that is off any more.
fn forget_requests(memory: &mut QuarantineRecord) {
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

fn is_off(memory: &QuarantineRecord, name: &str) -> bool {
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

//! Quarantine without a restore: the apps of the volume itself, switched off and on while no server runs.
//!
//! ```text
//! request         a server runs: recorded, and carried out by the next start
//! disable         record with `pending`, durable → the changes → record
//! release         the changes → record, store by store
//! apply_pending   at a start, before the server: repeat what is `pending`, release what was requested
//! ```
//! Locks: a change to the record needs [`AppsLock`], so that no request is lost; a change to the state needs the volume's
//! lock, which callers pass in. Commands that a user runs refuse while a backup runs, because the backup must record as
//! quarantined every app that it reads as off. A start does not wait for a backup; the backup notices the start.

use std::{collections::BTreeSet, os::fd::OwnedFd};

use crate::{
    metastore::{self, MetastoreLock},
    prelude::*,
    quarantine::{
        self as apps, App, Chosen, Persist, QuarantineRecord, Release, ReleasedStep, Requests, StepInspection, failed,
    },
    restore::{events, no_database_in_use, recover, refuse_unfinished},
    store::{Matcher, holds_state},
};
use profile::Apps;
use volume::{AppsLock, BackupLock, Lock};

/// The result of [`disable`].
#[derive(Debug, Serialize)]
pub struct Disabled {
    /// All apps that are off now.
    pub apps: Vec<App>,
    /// How many of them were on until now.
    pub switched_off: usize,
    /// Warnings for the user.
    pub notes: Vec<String>,
}

/// The changes that [`apply_pending`] made before the server starts.
#[derive(Debug)]
pub struct AppliedPending {
    /// Whether it finished a `disable` that a crash interrupted.
    pub resumed: bool,
    /// The result of the requested release, if one was requested.
    pub release: Option<Release>,
    /// Warnings for the user.
    pub notes: Vec<String>,
}

/// Switches off all apps that the profile finds on. Fails with `AppsUnknown` if no profile lists the apps, or a step
/// fails; with `TryAgain` while a database of the state is in use, or a backup runs.
pub fn disable(volume: &Volume, profile: &Profile, _held: &Lock) -> Result<Disabled> {
    let _locks = (no_backup(volume)?, AppsLock::take(volume)?);
    // To switch everything off cancels the releases that were requested before.
    let before = QuarantineRecord::load(volume)?.map(QuarantineRecord::without_requests);
    let console = metastore::is_there(volume)?;
    let steps = match (profile.apps, &before) {
        (Apps::Listed, _) => profile.steps.clone(),
        (Apps::None, _) => Vec::new(),
        (Apps::Unknown, Some(record)) => steps_of(record),
        (Apps::Unknown, None) if is_only_console(volume, profile)? => Vec::new(),
        (Apps::Unknown, None) => return Err(unknown()),
    };
    let steps = apps::with_console(steps, console)?;
    let console_held = console.then(|| MetastoreLock::alone(volume)).transpose()?;
    no_database_in_use(volume, std::slice::from_ref(&profile.scope))?;
    let known: BTreeSet<_> = before.iter().flat_map(QuarantineRecord::apps).map(|app| app.id).collect();
    let (record, notes) = switch_off(volume, &steps, before, console_held.as_ref())?;
    let apps: Vec<App> = record.apps().collect();
    let switched_off = apps.iter().filter(|app| !known.contains(&app.id)).count();
    events::switched_off(volume, switched_off);
    Ok(Disabled { apps, switched_off, notes })
}

/// A dry run of [`disable`], without regard to an earlier quarantine. Returns `None` if no profile lists the apps.
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

/// Whether the console is the server: the volume has a console's database, and no other state.
fn is_only_console(volume: &Volume, profile: &Profile) -> Result<bool> {
    Ok(metastore::is_there(volume)? && !holds_state(volume.root(), &Matcher::of(&profile.scope)?)?)
}

/// The result of `apps release`.
#[derive(Debug, Serialize)]
pub struct ReleaseResult {
    /// Chosen apps that are on again or that could not be released, by step.
    pub released: Vec<ReleasedStep>,
    /// All requests that wait for the next start; `None` if this command left nothing for it.
    pub requested: Option<Requests>,
    /// Why the server's apps cannot be released now; `None` unless something was left for the next start.
    pub because: Option<String>,
    /// Apps that are still off.
    pub left_off: Vec<App>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

impl ReleaseResult {
    fn of(release: Release, record: &QuarantineRecord) -> Self {
        Self {
            released: release.steps,
            requested: None,
            because: None,
            left_off: record.apps().collect(),
            warnings: release.warnings,
        }
    }
}

/// Releases the chosen apps: now, if no server runs. Otherwise the console's own are released now, and the
/// others are recorded as requests for the next start. `inherited` is the descriptor of the volume's lock, if the
/// parent process passed one on.
///
/// The console may call it, unless it holds its own database open: we wait for that lock for 20 s. Fails with
/// `NotFound` if the volume is not in quarantine, or an app does not exist; with `TryAgain` while a restore is unfinished or
/// a backup runs. If one app fails, the apps released before it stay released, and all others stay recorded.
pub fn release(
    volume: &Volume,
    profile: &Profile,
    chosen: &Chosen,
    inherited: Option<OwnedFd>,
) -> Result<ReleaseResult> {
    let _held = match Lock::try_take(volume, "apps release", inherited)? {
        Ok(lock) => lock,
        Err(holder) => return release_while_in_use(volume, chosen, holder.refusal(volume).message()),
    };
    for line in recover(volume)? {
        log::info!("{line}");
    }
    match no_database_in_use(volume, std::slice::from_ref(&profile.scope)) {
        Err(error) if error.code() == Code::TryAgain => release_while_in_use(volume, chosen, error.message()),
        other => other.and_then(|()| release_now(volume, chosen)),
    }
}

fn release_now(volume: &Volume, chosen: &Chosen) -> Result<ReleaseResult> {
    let _locks = (no_backup(volume)?, AppsLock::take(volume)?);
    let mut record = load(volume, chosen)?;
    let console = lock_console(volume, &record)?;
    if record.pending {
        let steps = steps_of(&record);
        record = switch_off(volume, &steps, Some(record), console.as_ref())?.0;
    }
    let released = switch_on(volume, &mut record, chosen, console.as_ref())?;
    forget_requests(&mut record);
    record.save(volume)?;
    events::released(volume, &released, &record);
    Ok(ReleaseResult::of(released, &record))
}

/// Releases the console's apps, and records the others as requests because a server may be running.
fn release_while_in_use(volume: &Volume, chosen: &Chosen, because: &str) -> Result<ReleaseResult> {
    refuse_unfinished(volume)?;
    // A running backup prevents changes to the console's database, but not that we record requests.
    let (backup, _apps) = (no_backup(volume), AppsLock::take(volume)?);
    let mut record = load(volume, chosen)?;
    // If `disable` was interrupted, the next start finishes it before anything is switched on, so everything has to
    // wait.
    let (ours, others) = if record.pending { (None, Some(chosen.clone())) } else { divide(&record, chosen) };
    if let Some(others) = &others {
        record.requested.add(others);
    }
    let release = match ours {
        Some(ours) => {
            let _backup = backup?;
            release_console(volume, &mut record, &ours)?
        }
        None => Release::default(),
    };
    forget_requests(&mut record);
    record.save(volume)?;
    events::released(volume, &release, &record);
    let mut answer = ReleaseResult::of(release, &record);
    if others.is_some() {
        answer.requested = Some(record.requested);
        answer.because = Some(because.to_owned());
    }
    Ok(answer)
}

/// Divides the chosen apps into the console's and the server's.
fn divide(record: &QuarantineRecord, chosen: &Chosen) -> (Option<Chosen>, Option<Chosen>) {
    let mut server = record.clone();
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

/// Releases the console's apps while a server may be running. A crash can leave them on and still recorded; the next
/// release then finds that they have their old values already.
fn release_console(volume: &Volume, record: &mut QuarantineRecord, chosen: &Chosen) -> Result<Release> {
    let alone = MetastoreLock::alone(volume)?;
    let mut console = record.take_console();
    let done = release_part(volume, &mut console, chosen, &mut |console| {
        let mut whole = record.clone();
        whole.put_console(console.clone());
        save(volume, &whole, Some(&alone))
    });
    record.put_console(console);
    done
}

/// Writes `settings.json` first, because a step may have changed where backups are kept. After a crash in between, the
/// record still holds the change, and the next attempt repeats it.
fn save(volume: &Volume, record: &QuarantineRecord, console: Option<&MetastoreLock>) -> Result<()> {
    mirror(volume, console)?;
    record.save(volume)
}

fn mirror(volume: &Volume, console: Option<&MetastoreLock>) -> Result<()> {
    match console {
        Some(held) if metastore::is_there(volume)? => metastore::mirror_now(volume, held),
        _ => Ok(()),
    }
}

fn load(volume: &Volume, chosen: &Chosen) -> Result<QuarantineRecord> {
    let record = QuarantineRecord::load(volume)?.ok_or_else(|| not_in_quarantine(volume))?;
    apps::refuse_unknown(&record, chosen)?;
    Ok(record)
}

/// Locks the console's database exclusively if any of its apps are about to change.
fn lock_console(volume: &Volume, record: &QuarantineRecord) -> Result<Option<MetastoreLock>> {
    let concerned = record.has_console_apps() || (record.pending && metastore::is_there(volume)?);
    concerned.then(|| MetastoreLock::alone(volume)).transpose()
}

/// Prepares the volume for the server: finishes an interrupted `disable`, and releases the requested apps. If it fails,
/// the server must not start. The next start tries again.
pub fn apply_pending(volume: &Volume, _held: &Lock) -> Result<AppliedPending> {
    let _lock = AppsLock::take(volume)?;
    let mut settled = AppliedPending { resumed: false, release: None, notes: Vec::new() };
    let Some(mut record) = QuarantineRecord::load(volume)? else { return Ok(settled) };
    let due = record.pending || !record.requested.is_empty();
    let console = if due { lock_console(volume, &record)? } else { None };
    if record.pending {
        let steps = steps_of(&record);
        (record, settled.notes) = switch_off(volume, &steps, Some(record), console.as_ref())?;
        settled.resumed = true;
    }
    // An earlier start may have been interrupted after it carried out some of the requests.
    forget_requests(&mut record);
    if let Some(chosen) = record.requested.chosen() {
        settled.release = Some(switch_on(volume, &mut record, &chosen, console.as_ref())?);
    }
    record.requested = Requests::default();
    record.save(volume)?;
    settled.release.iter().for_each(|release| events::released(volume, release, &record));
    Ok(settled)
}

/// Every app that a backup read as off must still be recorded when the backup ends.
fn no_backup(volume: &Volume) -> Result<BackupLock> {
    BackupLock::take(volume).map_err(|error| error.context("cannot switch apps while a backup runs"))
}

fn switch_off(
    volume: &Volume,
    steps: &[Step],
    before: Option<QuarantineRecord>,
    console: Option<&MetastoreLock>,
) -> Result<(QuarantineRecord, Vec<String>)> {
    let mut kept = false;
    let mut persist = |record: &QuarantineRecord| {
        kept = true;
        save(volume, record, console)
    };
    let hint =
        "some apps may be off already; restart the container: the next start finishes this before the server starts";
    let done = apps::quarantine(volume.root(), steps, before, &mut persist).map_err(failed);
    done.map_err(|error| if kept { error.hint(hint) } else { error })
}

/// Apps that cannot be released are removed from the record, because quarantine could never end otherwise; a copy of
/// the record keeps them for the user.
fn switch_on(
    volume: &Volume,
    record: &mut QuarantineRecord,
    chosen: &Chosen,
    console: Option<&MetastoreLock>,
) -> Result<Release> {
    release_part(volume, record, chosen, &mut |record| save(volume, record, console))
}

/// Releases apps of a record that `persist` does not store as it is.
fn release_part(
    volume: &Volume,
    record: &mut QuarantineRecord,
    chosen: &Chosen,
    persist: Persist<'_>,
) -> Result<Release> {
    let before = record.to_bytes()?;
    let mut release = apps::release(volume.root(), record, chosen, persist).map_err(failed)?;
    if release.steps.iter().flat_map(|step| &step.left).any(|left| !left.remembered) {
        let path = volume.own().join(format!("quarantine-{}.json", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ")));
        durable::write_new(&path, &before, 0o600)?;
        release.warnings.push(format!(
            "apps that could not be released are no longer recorded; their previous state is saved in {}",
            path.display()
        ));
    }
    Ok(release)
}

fn steps_of(record: &QuarantineRecord) -> Vec<Step> {
    record.steps.iter().map(|remembered| remembered.step.clone()).collect()
}

fn forget_requests(record: &mut QuarantineRecord) {
    let names = std::mem::take(&mut record.requested.named);
    record.requested.named = names.into_iter().filter(|name| is_off(record, name)).collect();
}

fn is_off(record: &QuarantineRecord, name: &str) -> bool {
    record.apps().any(|app| app.id == name || app.step == name)
}

fn not_in_quarantine(volume: &Volume) -> Error {
    Error::new(Code::NotFound, format!("{} is not in quarantine: no app was switched off", volume.root().display()))
        .hint("`moorline apps` shows what `moorline apps disable --all` would switch off")
}

fn unknown() -> Error {
    let what = "no profile says which apps (alerts, webhooks, jobs) this server has, so they cannot be switched off";
    Error::new(Code::AppsUnknown, what).hint("pass the server's profile with --profile (or MOORLINE_PROFILE)")
}

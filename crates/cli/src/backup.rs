//! `moorline backup`: takes a backup, records its events, and cleans up old backups and replaced state.

use std::{
    io,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Args;

use super::{
    Context, container_log, environment, output,
    progress::{ProgressReporter, interrupted},
};
use engine::{
    backup::{self, BackupKind, Destination, Job, Keep, Taken},
    restore,
};
use seqbac_header::without_keys;
use volume::{
    Instance, Volume,
    error::{Code, Result},
    events::{self, Event, Kind as EventKind},
};

/// Take an encrypted backup of the server's state
///
/// The server may be running. Only the path of the backup is printed to stdout.
#[derive(Debug, Args)]
pub struct Backup {
    /// Write the backup to this file or folder, or to stdout if - [default: Backups/ on the volume]
    #[arg(short, long, value_name = "FILE|-")]
    output: Option<PathBuf>,
    /// Skip the check of the databases for faults (SQLite's quick_check)
    #[arg(long)]
    no_check: bool,
    /// Accept suddenly empty stores as correct, so that old backups are removed again
    #[arg(long)]
    not_suspect: bool,
    /// Accept a configured key that did not seal this volume's earlier backups [env: MOORLINE_ACCEPT_NEW_KEY]
    #[arg(long)]
    accept_new_key: bool,
    /// Print the backup as a JSON object
    #[arg(long)]
    json: bool,
    /// Take it as the daily backup, then remove all but the newest MOORLINE_BACKUPS_TO_KEEP of these
    #[arg(long, conflicts_with = "output")]
    scheduled: bool,
    /// Take a backup only if the newest one is older than this and the volume holds state
    #[arg(long, value_name = "DURATION", value_parser = environment::parse_duration)]
    if_older: Option<jiff::SignedDuration>,
}

impl Backup {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let volume = context.volume()?;
        volume.prepare()?;
        self.take(context, &volume).inspect_err(|error| {
            // A full disk must not keep the old state of restores, which may be what fills it.
            prune_replaced(context, &volume);
            // A backup that a signal stopped did not fail.
            if interrupted().is_none() {
                let event = Event::new(EventKind::BackupFailed).with("Error", without_keys(error.message()));
                events::record(&volume, &event.with("Kind", serde_json::json!(self.kind())));
            }
        })
    }

    const fn kind(&self) -> BackupKind {
        if self.scheduled { BackupKind::Scheduled } else { BackupKind::Immediate }
    }

    fn take(&self, context: &Context, volume: &Volume) -> Result<ExitCode> {
        let began = Instant::now();
        restore::refuse_unfinished(volume)?;
        let profile = context.profile(volume)?;
        if let Some(age) = self.if_older
            && !backup::is_due(volume, &profile, age, jiff::Timestamp::now())?
        {
            return Ok(ExitCode::SUCCESS);
        }
        let found = context.environment.key_sources()?.ensure(volume, context.accepts_new_key(self.accept_new_key)?)?;
        let kind = self.kind();
        let instance = Instance::ensure(volume)?;
        restore::refuse_unfinished(volume)?;
        let job = Job {
            volume,
            instance: &instance,
            profile: &profile,
            key: &found.key,
            kind,
            check: !self.no_check,
            may_be_empty: self.not_suspect,
            database_wait: context.environment.database_wait()?,
            spool: context.environment.spool()?,
            own_variables: context.environment.own_names(),
            now: jiff::Timestamp::now(),
        };
        let stream = self.output.as_deref() == Some("-".as_ref());
        let mut stdout = io::stdout().lock();
        let destination = match &self.output {
            Some(_) if stream => Destination::Stream(&mut stdout),
            Some(path) => Destination::Path(path),
            None => Destination::Backups,
        };
        let taken = backup::take(&job, destination, &mut ProgressReporter::new())?;
        drop(stdout);
        report(volume, &taken, began.elapsed());
        if !stream {
            prune_replaced(context, volume);
        }
        if self.output.is_none() {
            prune(context, volume, &job, self.scheduled);
        }
        match (stream, self.json) {
            (true, _) => {}
            (false, true) => output::object(&taken.summary)?,
            (false, false) => output::answer(&taken.summary.file.display().to_string()),
        }
        Ok(if taken.is_doubtful { ExitCode::from(Code::Unverified.exit()) } else { ExitCode::SUCCESS })
    }
}

fn report(volume: &Volume, taken: &Taken, took: Duration) {
    record_events(volume, taken, took);
    for (path, finding) in &taken.findings {
        log::warn!("the database {path} has a fault, and so has its copy in the backup: {finding}");
    }
    for note in &taken.suspect {
        log::warn!(
            "{}: {}; this backup does not count as one to keep; if this is correct, run `moorline backup --not-suspect`",
            note.path,
            note.what
        );
    }
    let what = if taken.is_doubtful { "backup complete, but doubtful" } else { "backup complete" };
    let done = format!("{what}: {} bytes, sealed with key {}", taken.summary.bytes, taken.summary.key_fingerprint);
    log::info!("{done}");
    container_log::line(volume, &done);
}

/// A streamed backup has no file name, so its events name none.
fn record_events(volume: &Volume, taken: &Taken, took: Duration) {
    let is_kept = !taken.summary.file.as_os_str().is_empty();
    let about = |kind| if is_kept { Event::new(kind).about(&taken.summary.file) } else { Event::new(kind) };
    let complete = about(if is_kept { EventKind::BackupComplete } else { EventKind::BackupSent })
        .with("FileSizeBytes", taken.summary.bytes)
        .with("ElapsedSeconds", (took.as_secs_f64() * 1000.0).round() / 1000.0)
        .with("Kind", serde_json::json!(taken.summary.kind))
        .with("KeyFingerprint", taken.summary.key_fingerprint.to_string());
    events::record(volume, &complete);
    // Reasons for suspicion come first.
    if let Some(reason) = taken.summary.reasons.get(taken.suspect.len()) {
        let event = about(EventKind::BackupUnverified).with("Error", reason.as_str());
        let reasons = serde_json::json!(taken.summary.reasons);
        events::record(volume, &event.with("Soundness", "doubtful").with("Reasons", reasons));
    }
    if let Some(note) = taken.suspect.first() {
        events::record(
            volume,
            &about(EventKind::BackupSuspect).with("Reason", format!("{}: {}", note.path, note.what)),
        );
    }
}

/// Deletes expired backups. A failure is only a warning: the backup itself succeeded.
fn prune(context: &Context, volume: &Volume, job: &Job, scheduled: bool) {
    let pruned = (|| {
        let environment = &context.environment;
        let scheduled = if scheduled { Some(environment.backups_to_keep(volume)?) } else { None };
        backup::prune(volume, job.key, Keep { scheduled, immediate: environment.immediate_to_keep()? }, job.now)
    })();
    if let Err::<(), volume::error::Error>(error) = pruned {
        log::warn!("cannot delete old backups after the backup: {error}");
    }
}

/// Deletes the state that restores replaced, if it is old enough and the volume has a sound backup at all.
fn prune_replaced(context: &Context, volume: &Volume) {
    let pruned = (|| {
        let keep = context.environment.keep_replaced()?;
        if !restore::is_prunable(volume, keep)? {
            return Ok(());
        }
        let key = context.environment.key_sources()?.active(Some(volume))?;
        let Some((key, instance)) = key.zip(Instance::load(volume)?) else { return Ok(()) };
        match backup::has_sound(volume, &key.key, instance.id, jiff::Timestamp::now())? {
            true => restore::prune(volume, keep),
            false => Ok(()),
        }
    })();
    if let Err::<(), volume::error::Error>(error) = pruned {
        log::warn!("cannot delete the state that a restore replaced: {error}");
    }
}

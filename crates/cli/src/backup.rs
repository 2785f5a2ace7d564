//! `moorline backup`: take one now.

use std::{
    io,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Args;

use super::{
    Context, environment, output,
    progress::{Shown, interrupted},
};
use engine::{
    backup::{self, Destination, Job, Kind, Taken},
    restore,
};
use seqbac_header::without_keys;
use volume::{
    Instance, Volume,
    error::{Code, Result},
    events::{self, Event, Kind as EventKind},
};

/// Take an encrypted backup of the server's state, now
///
/// The server may be running. The backup's path is printed, alone, on stdout.
#[derive(Debug, Args)]
pub struct Backup {
    /// Where to write it: a file, a folder, or - for stdout [default: Backups/ on the volume]
    #[arg(short, long, value_name = "FILE|-")]
    output: Option<PathBuf>,
    /// Do not check the databases for faults
    #[arg(long)]
    no_check: bool,
    /// A store that is suddenly empty is as it should be: let the oldest backups go again
    #[arg(long)]
    not_suspect: bool,
    /// Go on with a configured key that is not the one this volume's backups are sealed with [env: MOORLINE_ACCEPT_NEW_KEY]
    #[arg(long)]
    accept_new_key: bool,
    /// Print the backup as an object
    #[arg(long)]
    pub(super) json: bool,
    /// Take it as the daily one, and remove the oldest
    #[arg(long, conflicts_with = "output")]
    scheduled: bool,
    /// Only if the newest backup is older than this, and there is state
    #[arg(long, value_name = "DURATION", value_parser = environment::parse_duration)]
    if_older: Option<jiff::SignedDuration>,
}

impl Backup {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let volume = context.volume()?;
        volume.prepare()?;
        self.take(context, &volume).inspect_err(|error| {
            // One that somebody stopped did not fail.
            if interrupted().is_none() {
                let event = Event::new(EventKind::BackupFailed).with("Error", without_keys(error.message()));
                events::record(&volume, &event.with("Kind", serde_json::json!(self.kind())));
            }
        })
    }

    const fn kind(&self) -> Kind {
        if self.scheduled { Kind::Scheduled } else { Kind::Immediate }
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
            now: jiff::Timestamp::now(),
        };
        let stream = self.output.as_deref() == Some("-".as_ref());
        let mut stdout = io::stdout().lock();
        let destination = match &self.output {
            Some(_) if stream => Destination::Stream(&mut stdout),
            Some(path) => Destination::Path(path),
            None => Destination::Backups,
        };
        let taken = backup::take(&job, destination, &mut Shown::new())?;
        drop(stdout);
        report(volume, &taken, began.elapsed());
        if taken.summary.verified == Some(true) && taken.suspect.is_empty() && !stream {
            clean_up(context, volume, &job, self.scheduled);
        }
        match (stream, self.json) {
            (true, _) => {}
            (false, true) => output::object(&taken.summary)?,
            (false, false) => output::answer(&taken.summary.file.display().to_string()),
        }
        let sound = taken.findings.is_empty();
        Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(Code::Unverified.exit()) })
    }
}

fn report(volume: &Volume, taken: &Taken, took: Duration) {
    tell(volume, taken, took);
    for (path, finding) in &taken.findings {
        log::warn!("{path} has a fault, which the backup has too: {finding}");
    }
    for note in &taken.suspect {
        log::warn!(
            "{}: {}; no older backup is removed until somebody says that this is as it should be: \
             `moorline backup --not-suspect`",
            note.path,
            note.what
        );
    }
    log::info!("backup complete: {} bytes, sealed with key {}", taken.summary.bytes, taken.summary.key_fingerprint);
}

/// One that was streamed has no name.
fn tell(volume: &Volume, taken: &Taken, took: Duration) {
    let is_kept = !taken.summary.file.as_os_str().is_empty();
    let about = |kind| if is_kept { Event::new(kind).about(&taken.summary.file) } else { Event::new(kind) };
    let complete = about(if is_kept { EventKind::BackupComplete } else { EventKind::BackupSent })
        .with("FileSizeBytes", taken.summary.bytes)
        .with("ElapsedSeconds", (took.as_secs_f64() * 1000.0).round() / 1000.0)
        .with("Kind", serde_json::json!(taken.summary.kind))
        .with("KeyFingerprint", taken.summary.key_fingerprint.to_string());
    events::record(volume, &complete);
    if let Some((path, finding)) = taken.findings.first() {
        events::record(volume, &about(EventKind::BackupUnverified).with("Error", format!("{path}: {finding}")));
    }
    if let Some(note) = taken.suspect.first() {
        events::record(
            volume,
            &about(EventKind::BackupSuspect).with("Reason", format!("{}: {}", note.path, note.what)),
        );
    }
}

/// A verified backup is what lets older things go; that they stay is no failure of the backup.
fn clean_up(context: &Context, volume: &Volume, job: &Job, scheduled: bool) {
    let cleaned = (|| {
        restore::prune(volume, context.environment.keep_replaced()?)?;
        if scheduled {
            backup::prune(volume, job.key, context.environment.backups_to_keep(volume)?, job.now)?;
        }
        Ok::<_, volume::error::Error>(())
    })();
    if let Err(error) = cleaned {
        log::warn!("nothing was cleaned up after the backup: {error}");
    }
}

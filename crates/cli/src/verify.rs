//! `moorline verify`: reads backups to the end, checks them, and records events.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde::Serialize;

use super::{Context, key::KeyArguments, output, progress::ProgressReporter};
use engine::backup::{self, Report, Soundness, Summary};
use seqbac_header::{relpath::AsJson, without_keys};
use volume::{
    Volume,
    error::{Code, Error, Result},
    events::{self, Event, Kind},
};

/// Read backups to the end and check every segment and every digest
#[derive(Args)]
pub struct Verify {
    /// Backup files [default: all in Backups/]
    files: Vec<PathBuf>,
    /// Also extract every member into a scratch folder and check the databases
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    key: KeyArguments,
    /// Print a JSON object: `backups`, each with its report or its error
    #[arg(long)]
    json: bool,
}

/// A readable backup in the `--json` object.
#[derive(Debug, Serialize)]
struct Verified {
    #[serde(flatten)]
    backup: Summary,
    report: Report,
}

impl Verify {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        // A named backup with its key needs no volume.
        let volume = match self.files.is_empty() {
            true => Some(context.volume()?),
            false => Volume::open_in_if_there(&context.storage, &context.environment.places()?)?,
        };
        let volume = volume.as_ref();
        let key = self.key.get(context, volume)?;
        let files = match volume {
            Some(volume) if self.files.is_empty() => all_of(volume)?,
            _ => self.files,
        };
        let mut worst = 0;
        let mut reports = Vec::new();
        for file in files {
            let code = match backup::verify(volume, &file, &key, self.full, &mut ProgressReporter::new()) {
                Ok(report) => {
                    for warning in &report.warnings {
                        log::warn!("{}: {warning}", file.display());
                    }
                    let mut backup = backup::summary(&file, Some(&key))?;
                    let assessed = &report.assessed;
                    for reason in &assessed.reasons {
                        log::warn!("{} is {}: {reason}", file.display(), assessed.soundness.word());
                    }
                    backup.reasons.clone_from(&assessed.reasons);
                    backup.soundness = Some(assessed.soundness);
                    backup.verified = Some(assessed.soundness == Soundness::Sound);
                    let code = if assessed.is_doubtful { Code::Unverified.exit() } else { 0 };
                    let finding = report.findings.first();
                    let fault = finding.map(|finding| format!("{} has a fault: {}", finding.path, finding.finding));
                    record_event(self.full, volume, &file, fault.as_deref());
                    if !self.json && code == 0 {
                        output::answer(&format!("{}: verified, {} members", file.display(), report.members));
                    }
                    reports.push(serde_json::json!(Verified { backup, report }));
                    code
                }
                Err(error) => {
                    let code = output::report(&error);
                    if blames_file(&error) {
                        record_event(self.full, volume, &file, Some(error.message()));
                    }
                    reports.push(
                        serde_json::json!({"file": AsJson(&file), "verified": false, "soundness": Soundness::Damaged, "reasons": [error.message()], "error": output::error_object(&error)}),
                    );
                    code
                }
            };
            worst = if worst == 0 { code } else { worst };
        }
        if self.json {
            output::object(&serde_json::json!({ "backups": reports }))?;
        }
        Ok(ExitCode::from(worst))
    }
}

fn all_of(volume: &Volume) -> Result<Vec<PathBuf>> {
    volume.refuse_missing_backups()?;
    let files = volume::backups::files(&volume.backups())?;
    if files.is_empty() {
        return Err(Error::new(Code::NotFound, format!("there is no backup in {}", volume.backups().display()))
            .hint("run `moorline backup` to take one"));
    }
    Ok(files)
}

/// Records only full verifications, because the console shows the event as "verified".
fn record_event(full: bool, volume: Option<&Volume>, file: &Path, fault: Option<&str>) {
    let Some(volume) = volume else { return };
    let event = match fault {
        _ if !full => return,
        None => Event::new(Kind::BackupVerified).about(file),
        Some(fault) => Event::new(Kind::VerificationFailed).about(file).with("Error", without_keys(fault)),
    };
    events::record(volume, &event);
}

/// Whether the file itself is at fault, as opposed to a wrong key or a signal.
fn blames_file(error: &Error) -> bool {
    (Code::NotABackup.exit()..=Code::Unverified.exit()).contains(&error.code().exit())
}

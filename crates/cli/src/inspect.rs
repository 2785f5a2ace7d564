//! `moorline inspect`: what a backup says of itself.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{Context, key::KeyArguments, output};
use engine::backup::{self, Inspection};
use volume::{Volume, error::Result};

/// Show what a backup is; and with its key, what is in it
#[derive(Debug, Args)]
pub struct Inspect {
    /// The backup
    file: PathBuf,
    #[command(flatten)]
    key: KeyArguments,
    /// Print one object; `manifest` and `members` are null without the key
    #[arg(long)]
    pub(super) json: bool,
}

impl Inspect {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        // The header needs neither a key nor a volume.
        let volume = Volume::open_if_there(&context.storage)?;
        let given = self.key.sources(context)?.from_flag()?;
        let key = match given {
            Some(key) => Some(key),
            None => self.key.find(context, volume.as_ref())?.filter(|key| backup::opens(&self.file, key)),
        };
        let inspection = backup::inspect(&self.file, key.as_ref())?;
        if self.json {
            output::object(&inspection)?;
        } else {
            show(&inspection);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(found: &Inspection) {
    let unknown = || "unknown".to_owned();
    let mut lines = vec![
        format!("id            {}", found.backup.id),
        format!("created       {:.0}", found.backup.created),
        format!("writer        {}", found.writer.clone().unwrap_or_else(unknown)),
        format!("instance      {}", found.backup.instance_id.map_or_else(unknown, |id| id.to_string())),
        format!("key           {}", found.backup.key_fingerprint),
        format!("size          {}", output::size(found.backup.bytes)),
    ];
    match (&found.manifest, &found.members) {
        (Some(manifest), Some(members)) => {
            lines.push(format!("profile       {}", manifest.profile.as_deref().unwrap_or("none: discovered")));
            if manifest.quarantined {
                lines.push("quarantine    apps are off in it".to_owned());
            }
            for database in &manifest.databases {
                lines.push(format!(
                    "database      {} ({} pages of {})",
                    database.path, database.page_count, database.page_size
                ));
            }
            for note in &manifest.notes {
                lines.push(format!("left out      {}: {}", note.path, note.what));
            }
            lines.push(format!("members       {}", members.len()));
            lines.extend(members.iter().map(|member| format!("  {:>10}  {}", output::size(member.size), member.path)));
        }
        _ => lines.push("content       needs the key: --secret-key or --secret-key-file".to_owned()),
    }
    for line in lines {
        output::answer(&output::printable(&line));
    }
}

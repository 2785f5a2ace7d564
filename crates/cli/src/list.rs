//! `moorline list`: lists the backups in `Backups/`, newest first, and warns about unreadable ones.

use clap::Args;

use super::{Context, key::KeyArguments, output};
use engine::backup::{self, BackupKind, Soundness};
use seqbac_header::relpath::AsJson;
use volume::error::Result;

/// List the backups in Backups/, newest first
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    key: KeyArguments,
    /// Print a JSON object: `backups`, and `skipped` with the unreadable files
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let volume = context.volume()?;
        let key = self.key.find(context, Some(&volume))?;
        volume.refuse_missing_backups()?;
        let listed = backup::list(&volume.backups(), key.as_ref())?;
        if self.json {
            let skipped = listed.skipped.iter().map(|skipped| {
                serde_json::json!({"file": AsJson(&skipped.file), "error": skipped.error.message(), "code": skipped.error.code().to_string()})
            });
            let skipped = skipped.collect::<Vec<_>>();
            return output::object(&serde_json::json!({"backups": listed.backups, "skipped": skipped}));
        }
        let rows = listed.backups.iter().map(|backup| {
            let name = backup.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let kind = if backup.kind == BackupKind::Scheduled { "scheduled" } else { "immediate" };
            let sound = backup.soundness.map_or("other key", Soundness::word);
            let fingerprint = backup.key_fingerprint.to_string();
            [name, format!("{:.0}", backup.created), kind.into(), output::size(backup.bytes), sound.into(), fingerprint]
        });
        output::table(["FILE", "CREATED", "KIND", "SIZE", "SOUNDNESS", "KEY"], rows);
        for skipped in &listed.skipped {
            log::warn!("{}", skipped.error);
        }
        Ok(())
    }
}

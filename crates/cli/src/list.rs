//! `moorline list`: lists the backups in `Backups/`, newest first; unreadable ones come last, with the error.

use clap::Args;

use super::{Context, key::KeyArguments, output};
use engine::backup::{self, BackupKind, Skipped, Soundness};
use seqbac_header::relpath::AsJson;
use volume::error::Result;

/// List the backups in Backups/, newest first
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    key: KeyArguments,
    /// Print a JSON object: `backups`, the damaged and unreadable files last, and `skipped` with these again
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
            let skipped: Vec<_> = listed.skipped.iter().map(unreadable).collect();
            let backups = listed.backups.iter().map(|backup| serde_json::json!(backup));
            let backups: Vec<_> = backups.chain(skipped.iter().cloned()).collect();
            return output::object(&serde_json::json!({"backups": backups, "skipped": skipped}));
        }
        let rows = listed.backups.iter().map(|backup| {
            let name = backup.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let kind = if backup.kind == BackupKind::Scheduled { "scheduled" } else { "immediate" };
            let sound = backup.soundness.map_or("other key", Soundness::word);
            let fingerprint = backup.key_fingerprint.to_string();
            [name, format!("{:.0}", backup.created), kind.into(), output::size(backup.bytes), sound.into(), fingerprint]
        });
        let unreadable = listed.skipped.iter().map(|skipped| {
            let name = skipped.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let size = skipped.file.metadata().map_or_else(|_| "-".to_owned(), |meta| output::size(meta.len()));
            let word = skipped.soundness().map_or("unreadable", Soundness::word);
            [name, "-".into(), "-".into(), size, word.into(), "-".into()]
        });
        output::table(["FILE", "CREATED", "KIND", "SIZE", "SOUNDNESS", "KEY"], rows.chain(unreadable));
        for skipped in &listed.skipped {
            log::warn!("{}", skipped.error);
        }
        Ok(())
    }
}

/// A damaged or unreadable file, with the keys of a backup.
fn unreadable(skipped: &Skipped) -> serde_json::Value {
    let bytes = skipped.file.metadata().ok().map(|meta| meta.len());
    let (error, code) = (skipped.error.message(), skipped.error.code().to_string());
    serde_json::json!({
        "file": AsJson(&skipped.file), "id": null, "created": null, "kind": null, "bytes": bytes, "verified": false,
        "key_fingerprint": null, "instance_id": null, "profile": null, "quarantined": null, "suspect": null,
        "soundness": skipped.soundness(), "reasons": [error], "error": error, "code": code,
    })
}

//! `moorline inspect`: shows the header of a backup and, with its key, the content.

use std::path::PathBuf;

use clap::Args;

use super::{Context, key::KeyArguments, output};
use engine::{
    backup::{self, Inspection, Soundness},
    store::{DatabaseFacts, Note, NoteKind},
};
use volume::{Volume, error::Result};

/// Show the content of a backup; without the key, only its header
#[derive(Args)]
pub struct Inspect {
    /// Backup file
    file: PathBuf,
    #[command(flatten)]
    key: KeyArguments,
    /// Print a JSON object; without the key, `manifest` and `members` are null
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        // A missing volume or key is not an error, because the header can be read without them.
        let volume = Volume::open_in_if_there(&context.storage, &context.environment.places()?)?;
        let key = match self.key.sources(context)?.from_flag()? {
            Some(key) => Some(key),
            None => self.key.find(context, volume.as_ref())?.filter(|key| backup::opens(&self.file, key)),
        };
        let inspection = backup::inspect(&self.file, key.as_ref())?;
        output::result(self.json, &inspection, show)
    }
}

fn line_of_note(note: &Note) -> String {
    let label = match note.kind() {
        NoteKind::LeftOut => "left out",
        NoteKind::Link => "link",
        NoteKind::Mount => "mount",
        NoteKind::Other | NoteKind::TwoNames => "note",
    };
    let what = note.what.strip_prefix("left out: ").unwrap_or(&note.what);
    format!("{label:<13} {}: {what}", note.path)
}

fn show(inspection: &Inspection) {
    let unknown = || "unknown".to_owned();
    let mut lines = vec![
        format!("id            {}", inspection.backup.id),
        format!("created       {:.0}", inspection.backup.created),
        format!("writer        {}", inspection.writer.clone().unwrap_or_else(unknown)),
        format!("instance      {}", inspection.backup.instance_id.map_or_else(unknown, |id| id.to_string())),
        format!("key           {}", inspection.backup.key_fingerprint),
        format!("size          {}", output::size(inspection.backup.bytes)),
    ];
    match (&inspection.manifest, &inspection.members) {
        (Some(manifest), Some(members)) => {
            let profile = manifest.profile.as_deref();
            let profile = profile.unwrap_or("none: every file and database was backed up");
            lines.push(format!("profile       {profile}"));
            let soundness = inspection.backup.soundness.map_or("unknown", Soundness::word);
            lines.push(format!("soundness     {soundness}"));
            lines.extend(inspection.backup.reasons.iter().map(|reason| format!("reason        {reason}")));
            if manifest.quarantined {
                lines.push("quarantine    apps are off in this backup".to_owned());
            }
            for DatabaseFacts { path, page_count, page_size, .. } in &manifest.databases {
                lines.push(format!("database      {path} ({page_count} pages of {page_size})"));
            }
            for found in &manifest.foreign {
                lines.push(format!("database      {}", found.in_words()));
            }
            lines.extend(manifest.notes.iter().map(line_of_note));
            lines.push(format!("members       {}", members.len()));
            lines.extend(members.iter().map(|member| format!("  {:>10}  {}", output::size(member.size), member.path)));
        }
        _ => lines.push("content       needs the key: pass --secret-key or --secret-key-file".to_owned()),
    }
    lines.iter().for_each(|line| output::line(line));
}

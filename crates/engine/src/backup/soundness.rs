//! Whether a backup can be relied on: one value with its reasons, from the manifest and the digest.

use super::{Manifest, manifest::state_of};
use crate::{prelude::*, store::foreign};
use seqbac::{DigestEntry, Doubt};

/// How far a backup can be relied on, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Soundness {
    /// Complete and consistent.
    Sound,
    /// Readable, but some part may be inconsistent.
    Doubtful,
    /// A store is suddenly empty.
    Suspect,
    /// It cannot be authenticated or decoded.
    Damaged,
}

impl Soundness {
    /// The word for tables.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Doubtful => "doubtful",
            Self::Suspect => "suspect",
            Self::Damaged => "damaged",
        }
    }
}

/// The soundness of a backup, with all reasons: each names the path and the cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// The worst of all.
    pub soundness: Soundness,
    /// Why it is not sound. Empty if it is.
    pub reasons: Vec<String>,
    /// Whether it is doubtful, which `soundness` does not say of a suspect one.
    pub is_doubtful: bool,
}

impl Assessment {
    /// Adds faults that a check of the databases found later.
    pub(super) fn add_faults(&mut self, findings: impl Iterator<Item = (RelPath, String)>) {
        for (path, finding) in findings {
            let reason = fault(&path, &finding);
            if !self.reasons.contains(&reason) {
                self.reasons.push(reason);
                self.is_doubtful = true;
                self.soundness = self.soundness.max(Soundness::Doubtful);
            }
        }
    }

    /// Of a readable backup. Without a digest that can be read at once, only the manifest counts.
    #[must_use]
    pub fn of(manifest: &Manifest, members: &[DigestEntry], doubts: &[Doubt]) -> Self {
        let findings = manifest
            .databases
            .iter()
            .flat_map(|database| database.findings.iter().map(|finding| fault(&database.path, finding)));
        let torn = members.iter().filter(|member| member.torn).filter_map(|member| state_of(&member.path));
        let torn = torn.map(|path| format!("{path} kept changing while it was read"));
        let doubts = doubts.iter().map(|doubt| format!("{} {}", doubt.path, doubt.what));
        let live = foreign::reasons(&manifest.foreign);
        let doubtful: Vec<String> = live.into_iter().chain(findings).chain(torn).chain(doubts).collect();
        let suspect = manifest.suspect.iter().map(|note| format!("{}: {}", note.path, note.what));
        let is_doubtful = !doubtful.is_empty();
        let soundness = match () {
            () if !manifest.suspect.is_empty() => Soundness::Suspect,
            () if is_doubtful => Soundness::Doubtful,
            () => Soundness::Sound,
        };
        Self { soundness, reasons: suspect.chain(doubtful).collect(), is_doubtful }
    }
}

fn fault(path: &RelPath, finding: &str) -> String {
    format!("the database {path} has a fault: {finding}")
}

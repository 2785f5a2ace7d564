//! `restore --only`: the part of the state that a restore replaces.
//!
//! Everything outside the part stays as it is on the volume: files, the console, the instance, and the apps that are off. The
//! quarantine record of the volume is therefore joined with that of the part.

use crate::{
    backup::{Manifest, state_of},
    prelude::*,
    quarantine::QuarantineRecord,
    store::{Matcher, sidecar_base},
};
use profile::scope;
use seqbac::DigestEntry;

/// Paths and globs, as in a profile. A folder includes everything below it, a database its sidecars.
#[derive(Debug)]
pub struct Only {
    patterns: Vec<(String, Matcher)>,
}

impl Only {
    /// Fails with `Usage` for a pattern that is not relative to the storage root, or not a glob.
    pub fn of(patterns: &[String]) -> Result<Self> {
        let compile = |pattern: &String| {
            scope::parsed("--only", pattern)?;
            Ok((pattern.clone(), Matcher::of(&scope_of(vec![pattern.clone()]))?))
        };
        Ok(Self { patterns: patterns.iter().map(compile).collect::<Result<_>>()? })
    }

    /// The scope of the part.
    pub(super) fn scope(&self) -> Scope {
        scope_of(self.patterns.iter().map(|(pattern, _)| pattern.clone()).collect())
    }

    /// Whether a path of the state is in the part.
    pub(super) fn takes(&self, path: &RelPath) -> bool {
        self.patterns.iter().any(|(_, matcher)| takes(matcher, path))
    }

    /// Refuses a pattern that matches nothing in the backup, and a part of what is one database in many files.
    pub(super) fn accept(&self, backup: &Path, manifest: &Manifest, members: &[DigestEntry]) -> Result<()> {
        // What a command turns into a folder at the restore belongs to the folder.
        let unpacked = || manifest.captures.iter().filter_map(|capture| Some((capture.unpack.as_ref()?, capture)));
        let replaced = unpacked().flat_map(|(_, capture)| capture.replaces.clone());
        let paths: Vec<_> = members.iter().filter_map(|member| state_of(&member.path)).chain(replaced).collect();
        for (member, capture) in unpacked() {
            let mut parts = capture.replaces.iter().chain([member]);
            if parts.any(|path| self.takes(path) != self.takes(member)) {
                let all: Vec<_> =
                    capture.replaces.iter().chain([member]).map(|path| format!("--only={path}")).collect();
                let what = format!("--only takes a part of what the capture {:?} wrote", capture.name);
                return Err(Error::usage(what).hint(format!("restore all of it: {}", all.join(" "))));
            }
        }
        if let Some((pattern, _)) =
            self.patterns.iter().find(|(_, matcher)| !paths.iter().any(|path| takes(matcher, path)))
        {
            let what = format!("--only={pattern} matches nothing in {}", backup.display());
            return Err(Error::new(Code::NotFound, what)
                .hint(format!("`moorline inspect {}` lists what the backup contains", backup.display())));
        }
        let captured = manifest.captures.iter().flat_map(|capture| &capture.replaces);
        for whole in captured.chain(manifest.foreign.iter().filter_map(|found| found.path.as_ref())) {
            let mut below = paths.iter().filter(|path| path.as_path().starts_with(whole.as_path()));
            let first = below.next().is_some_and(|path| self.takes(path));
            if below.any(|path| self.takes(path) != first) {
                let what = format!("--only takes a part of {whole}, whose files are one database");
                return Err(Error::usage(what).hint(format!("restore all of it: --only={whole}")));
            }
        }
        Ok(())
    }

    /// The record of the volume's apps after the restore: those that were off outside the part, and those that are off in it.
    /// `part` is the record of the staged part.
    pub(super) fn join(
        &self,
        volume: Option<&QuarantineRecord>,
        part: Option<QuarantineRecord>,
    ) -> Option<QuarantineRecord> {
        let outside = volume.map(|record| record.clone().split(|path| self.takes(path)).1);
        match (outside, part) {
            (Some(outside), Some(part)) => Some(outside.join(part)),
            (outside, part) => part.or(outside),
        }
        .filter(|record| !record.is_over())
    }
}

fn scope_of(files: Vec<String>) -> Scope {
    Scope { files, ..Scope::default() }
}

fn takes(matcher: &Matcher, path: &RelPath) -> bool {
    matcher.takes(path, PathKind::File) || sidecar_base(path).is_some_and(|base| matcher.takes(&base, PathKind::File))
}

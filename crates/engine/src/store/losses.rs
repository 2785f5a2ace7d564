//! Metadata that a backup or a restore has to leave out: counted by kind, and named once each, with an example.

use std::{collections::BTreeMap, ffi::OsStr};

use volume::xattrs;

use crate::prelude::*;

/// What was lost: for each kind how often, and where first, with the reason.
#[derive(Debug, Default)]
pub struct Losses(BTreeMap<String, (u64, String)>);

impl Losses {
    /// Records that a path lost something. `what` is in the plural.
    pub fn add(&mut self, what: impl Into<String>, path: &RelPath, why: &str) {
        let (count, _) = self.0.entry(what.into()).or_insert_with(|| (0, format!("{path}: {why}")));
        *count += 1;
    }

    /// Records that a path lost an extended attribute.
    pub fn add_attribute(&mut self, name: &OsStr, path: &RelPath, why: &str) {
        self.add(kind_of(name), path, why);
    }

    /// One line for each kind. `where_to` completes "… are not": "in this backup", "on this volume".
    pub fn notes(&self, where_to: &str) -> Vec<String> {
        let note = |(what, (count, first)): (&String, &(u64, String))| {
            let paths = if *count == 1 { "path" } else { "paths" };
            format!("{what} of {count} {paths} are not {where_to}, such as {first}")
        };
        self.0.iter().map(note).collect()
    }
}

fn kind_of(name: &OsStr) -> String {
    match name.to_string_lossy() {
        name if [xattrs::ACCESS, xattrs::DEFAULT].contains(&&*name) => "the access lists (ACLs)".to_owned(),
        name if name == xattrs::CAPABILITY => "the file capabilities".to_owned(),
        name => match name.split_once('.') {
            Some((space @ ("user" | "trusted" | "security"), _)) => format!("the extended attributes {space}.*"),
            _ => format!("the extended attributes {name}"),
        },
    }
}

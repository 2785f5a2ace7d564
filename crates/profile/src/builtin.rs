//! The profiles that are built in: TOML files like anybody's, in `builtin/`, found by their file's name.

use std::fmt;

use serde::Serialize;

use super::{document::nearest, written::Written};
use volume::error::{Error, Result};

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        &[$(BuiltIn { name: $name, text: include_str!(concat!("builtin/", $name, ".toml")) }),*]
    };
}

/// One line each, sorted.
const ALL: &[BuiltIn] = built_in![
    "buildbot",
    "changedetection",
    "drone",
    "gitea",
    "grafana",
    "moorline",
    "node-red",
    "ntfy",
    "paperless-ngx",
    "strapi",
    "synapse",
    "uptime-kuma",
    "vaultwarden",
    "woodpecker",
];

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltIn {
    /// What it is found by.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// How much a profile has been tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// The server was run, backed up, restored; its apps were silent until they were released.
    Proven,
    /// Written from the schema in the server's public source.
    Read,
    /// Neither.
    Unverified,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proven => "proven",
            Self::Read => "read",
            Self::Unverified => "unverified",
        })
    }
}

/// All of them.
#[must_use]
pub const fn all() -> &'static [BuiltIn] {
    ALL
}

/// The one of this name.
///
/// # Errors
/// `Usage` where there is none; the hint names the nearest.
pub fn find(name: &str) -> Result<BuiltIn> {
    if let Some(found) = ALL.iter().find(|one| one.name == name) {
        return Ok(*found);
    }
    let lower = name.to_lowercase();
    let alike = |one: &&BuiltIn| lower.len() > 2 && (one.name.contains(&lower) || lower.contains(one.name));
    let alike: Vec<&str> = ALL.iter().filter(alike).map(|one| one.name).collect();
    let near = match nearest(name, ALL.iter().map(|one| one.name)) {
        Some(near) => vec![near],
        None => alike,
    };
    let near = match near.as_slice() {
        [] => String::new(),
        near => format!("did you mean {}? ", near.join(" or ")),
    };
    Err(Error::usage(format!("no profile called {name:?} is built in"))
        .hint(format!("{near}`moorline profiles` lists those that are; a file has a / in its name or ends in .toml")))
}

impl BuiltIn {
    /// What its first comment says: `# proven: SERVER VERSION`, `# read: …` or `# unverified: …`.
    #[must_use]
    pub fn mark(&self) -> (Mark, &'static str) {
        let comments = self.text.lines().take_while(|line| line.is_empty() || line.starts_with('#'));
        let mut said = comments.filter_map(|line| {
            let (mark, against) = line.trim_start_matches(['#', ' ']).split_once(':')?;
            let mark = match mark {
                "proven" => Mark::Proven,
                "read" => Mark::Read,
                "unverified" => Mark::Unverified,
                _ => return None,
            };
            Some((mark, against.trim()))
        });
        said.next().unwrap_or((Mark::Unverified, ""))
    }

    /// What it says.
    ///
    /// # Errors
    /// None: a test reads them all.
    pub fn read(&self) -> Result<Written> {
        Written::parse(self.text, &format!("{} (built in)", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_in_the_list_and_makes_sense() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/builtin");
        let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        let mut files: Vec<String> = files.map(|name| name.to_string_lossy().replace(".toml", "")).collect();
        files.sort();
        assert_eq!(files, ALL.iter().map(|one| one.name).collect::<Vec<_>>());
        for one in ALL {
            one.read().expect(one.name);
            assert!(!one.mark().1.is_empty(), "{} does not begin with # proven:, # read: or # unverified:", one.name);
        }
    }

    #[test]
    fn a_name_that_is_not_there_is_answered_with_the_nearest() {
        for (typed, meant) in [
            ("nodered", "node-red"),
            ("Node-RED", "node-red"),
            ("synaps", "synapse"),
            ("changedetection.io", "changedetection"),
        ] {
            let error = find(typed).expect_err(typed);
            assert!(error.advice().is_some_and(|hint| hint.contains(&format!("did you mean {meant}?"))), "{error:?}");
        }
        assert!(!find("0").expect_err("none").advice().unwrap_or_default().contains("mean"));
    }
}

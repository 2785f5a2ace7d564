//! The built-in profiles: ordinary TOML files in `builtin/`. The file name is the name of the profile.

use std::fmt;

use serde::Serialize;

use super::{document::nearest, written::Written};
use volume::error::{Error, Result};

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        &[$(BuiltIn { name: $name, text: include_str!(concat!("builtin/", $name, ".toml")) }),*]
    };
}

/// Sorted by name.
const ALL: &[BuiltIn] = built_in![
    "buildbot",
    "changedetection",
    "drone",
    "gitea",
    "grafana",
    "mariadb",
    "moorline",
    "node-red",
    "ntfy",
    "paperless-ngx",
    "postgresql",
    "redis",
    "strapi",
    "synapse",
    "uptime-kuma",
    "vaultwarden",
    "woodpecker",
];

/// A built-in profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltIn {
    /// The value of `--profile` that selects it.
    pub name: &'static str,
    /// The TOML.
    pub text: &'static str,
}

/// How well a profile has been tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// The server was run, backed up and restored, and its apps stayed silent until they were released.
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

/// All built-in profiles, sorted by name.
#[must_use]
pub const fn all() -> &'static [BuiltIn] {
    ALL
}

/// Finds a built-in profile by its name. The error suggests the nearest name.
pub fn find(name: &str) -> Result<BuiltIn> {
    if let Some(found) = ALL.iter().find(|profile| profile.name == name) {
        return Ok(*found);
    }
    let lower = name.to_lowercase();
    let similar =
        |profile: &&BuiltIn| lower.len() > 2 && (profile.name.contains(&lower) || lower.contains(profile.name));
    let similar: Vec<&str> = ALL.iter().filter(similar).map(|profile| profile.name).collect();
    let near = match nearest(name, ALL.iter().map(|profile| profile.name)) {
        Some(near) => vec![near],
        None => similar,
    };
    let near = match near.as_slice() {
        [] => String::new(),
        near => format!("did you mean {}? ", near.join(" or ")),
    };
    Err(Error::usage(format!("no built-in profile is called {name:?}")).hint(format!(
        "{near}`moorline profiles` lists the built-in profiles; the path of a file must contain a / or end in .toml"
    )))
}

impl BuiltIn {
    /// The mark and the server version from the comment at the top: `# proven: SERVER VERSION`, `# read: …` or
    /// `# unverified: …`.
    #[must_use]
    pub fn mark(&self) -> (Mark, &'static str) {
        let comments = self.text.lines().take_while(|line| line.is_empty() || line.starts_with('#'));
        let mut marks = comments.filter_map(|line| {
            let (mark, against) = line.trim_start_matches(['#', ' ']).split_once(':')?;
            let mark = match mark {
                "proven" => Mark::Proven,
                "read" => Mark::Read,
                "unverified" => Mark::Unverified,
                _ => return None,
            };
            Some((mark, against.trim()))
        });
        marks.next().unwrap_or((Mark::Unverified, ""))
    }

    /// Parses the text. A test does this for all profiles, so it does not fail in practice.
    pub fn read(&self) -> Result<Written> {
        Written::parse(self.text, &format!("{} (built in)", self.name)).map(Written::of_root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_in_the_folder_is_listed_and_valid() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/builtin");
        let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        let mut files: Vec<String> = files.map(|name| name.to_string_lossy().replace(".toml", "")).collect();
        files.sort();
        assert_eq!(files, ALL.iter().map(|profile| profile.name).collect::<Vec<_>>());
        for profile in ALL {
            let name = profile.name;
            profile.read().expect(name);
            assert!(!profile.mark().1.is_empty(), "{name} does not begin with # proven:, # read: or # unverified:");
        }
    }

    #[test]
    fn the_error_for_an_unknown_name_suggests_the_nearest() {
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

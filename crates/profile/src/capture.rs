//! Reads the `[[capture]]` tables of a profile: commands of a database engine that write a consistent copy of its files
//! while the server runs.

use std::{collections::BTreeMap, time::Duration};

use super::{document::Table, duration::parse_duration, scope::plain};
use seqbac_header::RelPath;
use volume::error::Result;

const KEYS: [&str; 7] = ["name", "replaces", "as", "dir", "contains", "env", "timeout"];

/// What stands for the scratch folder in the words of `dir`.
pub const DIR: &str = "{dir}";

/// The default of `timeout`.
const TIMEOUT: Duration = Duration::from_secs(3600);

/// A command that writes a copy of some paths into a scratch folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Shown to people, and unique.
    pub name: String,
    /// The paths that are not copied while the server runs, because the command's output takes their place.
    pub replaces: Vec<RelPath>,
    /// The folder that the scratch folder stands for; `None` if it stands for the storage root.
    pub folder: Option<RelPath>,
    /// The user that runs the command. By default, the owner of the first replaced path.
    pub user: Option<String>,
    /// The command. [`DIR`] in a word is the path of the scratch folder.
    pub dir: Vec<String>,
    /// Paths in the scratch folder that a complete copy has.
    pub contains: Vec<RelPath>,
    /// Variables for the command.
    pub env: BTreeMap<String, String>,
    /// The time after which the command is stopped and the backup fails.
    pub timeout: Duration,
    /// Whether the command may run as root: only if only root can change the profile.
    pub may_be_root: bool,
}

impl Capture {
    /// Whether the command's output takes the place of this path.
    #[must_use]
    pub fn copies(&self, path: &RelPath) -> bool {
        self.replaces.iter().any(|replaced| path.as_path().starts_with(replaced.as_path()))
    }
}

/// Reads all `[[capture]]` tables.
pub(crate) fn captures(tables: Vec<Table<'_>>) -> Result<Vec<Capture>> {
    let mut captures: Vec<Capture> = Vec::with_capacity(tables.len());
    for table in &tables {
        let capture = capture(table)?;
        if captures.iter().any(|other| other.name == capture.name) {
            let what = format!("is {:?}, which an earlier capture already uses", capture.name);
            return Err(table.fault("name", what, "give each capture its own name"));
        }
        let overlaps = |path: &RelPath| {
            captures.iter().flat_map(|other| &other.replaces).find(|other| {
                path.as_path().starts_with(other.as_path()) || other.as_path().starts_with(path.as_path())
            })
        };
        if let Some(other) = capture.replaces.iter().find_map(overlaps) {
            let what = format!("names a path that another capture replaces: {other}");
            return Err(table.fault("replaces", what, "let one capture replace it"));
        }
        captures.push(capture);
    }
    Ok(captures)
}

fn capture(table: &Table<'_>) -> Result<Capture> {
    table.only(&KEYS, |_| None)?;
    let (replaces, folder) = replaces(table)?;
    let dir = command(table)?;
    let contains = table.text_or_texts("contains", "[\"PG_VERSION\"]")?;
    let contains = contains.iter().map(|path| relative(table, "contains", path)).collect::<Result<_>>()?;
    let env = match table.table("env", "`env`", "{ PGHOST = \"/run/postgresql\" }")? {
        Some(env) => env.members(|name, _| env.needs(name, "\"1\", in quotes").map(str::to_owned))?,
        None => BTreeMap::new(),
    };
    let timeout = match table.text("timeout", "\"10m\"")? {
        Some(text) => parse_duration(text)
            .map_err(|error| table.fault("timeout", error.message(), "write timeout = \"10m\""))?
            .unsigned_abs(),
        None => TIMEOUT,
    };
    Ok(Capture {
        name: table.needs("name", "\"postgres\"")?.to_owned(),
        replaces,
        folder,
        user: table.text("as", "\"postgres\"")?.map(str::to_owned),
        dir,
        contains,
        env,
        timeout,
        may_be_root: false,
    })
}

/// A single folder with a `/` at its end is what the scratch folder stands for.
fn replaces(table: &Table<'_>) -> Result<(Vec<RelPath>, Option<RelPath>)> {
    const EXAMPLE: &str = "\"pg/\"";
    if !table.has("replaces") {
        return Err(table.wrong("[[capture]] needs `replaces`", format!("write replaces = {EXAMPLE}")));
    }
    let texts = table.text_or_texts("replaces", EXAMPLE)?;
    let paths: Vec<RelPath> = texts.iter().map(|text| relative(table, "replaces", text)).collect::<Result<_>>()?;
    let folder = match (texts.as_slice(), paths.as_slice()) {
        ([text], [path]) if text.ends_with('/') => Some(path.clone()),
        _ => None,
    };
    Ok((paths, folder))
}

fn relative(table: &Table<'_>, key: &str, text: &str) -> Result<RelPath> {
    plain(text).filter(|_| !super::scope::is_own_glob(text)).ok_or_else(|| {
        let what = format!("is {text:?}, which is not a plain path of the server");
        table.fault(key, what, "write a path relative to the storage root, without wildcards; end a folder with /")
    })
}

fn command(table: &Table<'_>) -> Result<Vec<String>> {
    const EXAMPLE: &str = "[\"pg_basebackup\", \"-D\", \"{dir}\"]";
    let words = table.texts("dir", EXAMPLE)?.unwrap_or_default();
    match words.iter().any(|(word, _)| word.contains(DIR)) {
        true => Ok(words.into_iter().map(|(word, _)| word.to_owned()).collect()),
        false => {
            let what = "[[capture]] needs `dir`, a command with {dir} in one of its words";
            Err(table.wrong(what, format!("write dir = {EXAMPLE}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Written;

    #[test]
    fn a_capture_that_cannot_work_is_refused_with_its_line() {
        for (given, why) in [
            ("name = \"a\"\nreplaces = \"pg/\"", "{dir}"),
            ("name = \"a\"\ndir = [\"x\", \"{dir}\"]", "replaces"),
            ("replaces = \"pg/\"\ndir = [\"x\", \"{dir}\"]", "name"),
            ("name = \"a\"\nreplaces = \"../pg/\"\ndir = [\"x\", \"{dir}\"]", "plain path"),
            ("name = \"a\"\nreplaces = \"Backups/\"\ndir = [\"x\", \"{dir}\"]", "plain path"),
            ("name = \"a\"\nreplaces = \"pg*/\"\ndir = [\"x\", \"{dir}\"]", "plain path"),
            ("name = \"a\"\nreplaces = \"pg/\"\ndir = [\"x\", \"{dir}\"]\ntimeout = \"soon\"", "timeout"),
            ("name = \"a\"\nreplaces = \"pg/\"\ndir = [\"x\", \"{dir}\"]\nuser = \"x\"", "user"),
        ] {
            let error = Written::parse(&format!("name = \"p\"\n[[capture]]\n{given}"), "p.toml").expect_err(given);
            assert!(error.message().contains("line") && error.message().contains(why), "{given}: {error}");
        }
        let two = "name = \"p\"\n[[capture]]\nname = \"a\"\nreplaces = \"pg/\"\ndir = [\"{dir}\"]\n\
                   [[capture]]\nname = \"b\"\nreplaces = [\"pg/base\"]\ndir = [\"{dir}\"]";
        assert!(Written::parse(two, "p.toml").expect_err("overlap").message().contains("another capture"));
    }
}

//! Reads the `[[capture]]` tables of a profile: commands of a database engine that give a consistent copy of its files
//! while the server runs.

use std::{collections::BTreeMap, time::Duration};

use super::{document::Table, duration::parse_duration, scope::plain};
use seqbac_header::RelPath;
use volume::error::Result;

const KEYS: [&str; 19] = [
    "name",
    "replaces",
    "as",
    "dir",
    "tar",
    "file",
    "stdout",
    "files",
    "freeze",
    "max_pause",
    "before",
    "after",
    "unpack",
    "prepare",
    "contains",
    "env",
    "when",
    "pace",
    "timeout",
];
/// The keys of which each capture has exactly one.
const FORMS: [&str; 4] = ["dir", "tar", "stdout", "files"];

/// What stands for the scratch folder in the words of `dir`.
pub const DIR: &str = "{dir}";
/// What stands for the replaced folder in the words of `unpack` and `prepare`.
pub const STAGE: &str = "{stage}";

/// The default of `timeout`.
const TIMEOUT: Duration = Duration::from_secs(3600);
/// The default of `max_pause`.
const MAX_PAUSE: Duration = Duration::from_secs(2);
/// The default of `pace`, in bytes per second.
const PACE: u64 = 1 << 20;

/// How to get a consistent copy of some paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Shown to people, and unique.
    pub name: String,
    /// The paths that are not copied while the server runs, because the command's output takes their place.
    pub replaces: Vec<RelPath>,
    /// The folder that the output stands for; `None` if it stands for the storage root.
    pub folder: Option<RelPath>,
    /// The user that runs the commands. By default, the owner of the first replaced path.
    pub user: Option<String>,
    /// What gives the copy.
    pub form: Form,
    /// The command that turns the file of [`Form::File`] into the replaced folder at a restore; empty if there is none.
    pub unpack: Vec<String>,
    /// The command that makes the replaced folder usable at a restore; empty if there is none.
    pub prepare: Vec<String>,
    /// The command that runs before the copy is taken; empty if there is none.
    pub before: Vec<String>,
    /// The command that runs after the copy was taken, or could not be; empty if there is none.
    pub after: Vec<String>,
    /// Paths in the output that a complete copy has.
    pub contains: Vec<RelPath>,
    /// Variables for the commands.
    pub env: BTreeMap<String, String>,
    /// The command that prints `yes` if this capture applies; empty if it always does.
    pub when: Vec<String>,
    /// The bytes per second with which output has to be stored, because the server may wait for its command.
    pub pace: u64,
    /// The time after which the command is stopped and the backup fails.
    pub timeout: Duration,
    /// Whether the commands may run as root: if only root can change the profile.
    pub may_be_root: bool,
}

/// What gives the copy: a command, or the files themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// The command fills a scratch folder. [`DIR`] in a word is the path of the folder.
    Dir(Vec<String>),
    /// The command writes a tar to stdout.
    Tar(Vec<String>),
    /// The command writes one file to stdout.
    File {
        /// The path of the file, relative to the storage root.
        path: RelPath,
        /// The command.
        command: Vec<String>,
    },
    /// The files themselves, read at one go.
    Files {
        /// Globs, relative to the storage root.
        globs: Vec<String>,
        /// For how long the server's processes are stopped at most; `None` if they are not stopped.
        max_pause: Option<Duration>,
    },
}

impl Capture {
    /// Whether the command's output takes the place of this path.
    #[must_use]
    pub fn copies(&self, path: &RelPath) -> bool {
        self.replaces.iter().any(|replaced| path.as_path().starts_with(replaced.as_path()))
    }

    /// Whether it has a command, or only stops the server's processes.
    #[must_use]
    pub fn has_commands(&self) -> bool {
        !(matches!(self.form, Form::Files { .. }) && self.before.is_empty() && self.after.is_empty())
    }

    /// The globs of the files that are read at one go.
    #[must_use]
    pub fn globs(&self) -> &[String] {
        match &self.form {
            Form::Files { globs, .. } => globs,
            _ => &[],
        }
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
            // Two captures with conditions are two forms of one engine.
            let others = captures.iter().filter(|other| other.when.is_empty() || capture.when.is_empty());
            others.flat_map(|other| &other.replaces).find(|other| {
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
    let form = form(table)?;
    let (replaces, folder) = replaces(table, &form)?;
    let [unpack, prepare, before, after, when] = [
        ("unpack", "[\"mbstream\", \"-x\", \"-C\", \"{stage}\"]"),
        ("prepare", "[\"mariadb-backup\", \"--prepare\", \"--target-dir={stage}\"]"),
        ("before", "[\"my-server\", \"pause\"]"),
        ("after", "[\"my-server\", \"resume\"]"),
        ("when", "[\"sh\", \"-c\", \"my-server get form | sed s/rdb/yes/\"]"),
    ]
    .map(|(key, example)| command(table, key, example));
    let (unpack, prepare) = (unpack?, prepare?);
    if folder.is_none() && !(unpack.is_empty() && prepare.is_empty()) {
        let what = "[[capture]] with `unpack` or `prepare` needs one folder in `replaces`";
        return Err(table.wrong(what, "write replaces = \"db/\""));
    }
    if let Form::File { path, .. } = &form {
        let is_replaced = replaces.iter().any(|replaced| path.as_path().starts_with(replaced.as_path()));
        if is_replaced != unpack.is_empty() {
            let instead = "without `unpack`, name a path that `replaces` covers; with it, one that it does not";
            return Err(table.fault("file", format!("is {path}, which does not fit to `replaces`"), instead));
        }
        if !unpack.is_empty() && path.parent().is_some() {
            return Err(table.fault("file", format!("is {path}, which is in a folder"), "write file = \"dump\""));
        }
    } else if !unpack.is_empty() {
        return Err(table.fault(
            "unpack",
            "is for the file that `stdout` writes",
            "use `prepare`, or `file` and `stdout`",
        ));
    }
    let (before, after) = (before?, after?);
    if let Form::Files { max_pause, .. } = &form {
        if max_pause.is_none() && before.is_empty() && after.is_empty() {
            let what = "[[capture]] with `files` needs `freeze`, or `before` and `after`";
            return Err(table.wrong(what, "write freeze = true, or name the files in [state]"));
        }
        if let Some(key) = ["replaces", "prepare", "contains"].into_iter().find(|key| table.has(key)) {
            return Err(table.fault(key, "is not for `files`, which are copied as they are", "remove it"));
        }
    } else if let Some(key) = ["freeze", "max_pause"].into_iter().find(|key| table.has(key)) {
        return Err(table.fault(key, "needs `files`", "write files = [\"db/**\"]"));
    }
    let contains = table.text_or_texts("contains", "[\"PG_VERSION\"]")?;
    let contains = contains.iter().map(|path| relative(table, "contains", path)).collect::<Result<_>>()?;
    let env = match table.table("env", "`env`", "{ PGHOST = \"/run/postgresql\" }")? {
        Some(env) => env.members(|name, _| env.needs(name, "\"1\", in quotes").map(str::to_owned))?,
        None => BTreeMap::new(),
    };
    let timeout = duration(table, "timeout", "\"10m\"", TIMEOUT)?;
    Ok(Capture {
        name: table.needs("name", "\"postgres\"")?.to_owned(),
        replaces,
        folder,
        user: table.text("as", "\"postgres\"")?.map(str::to_owned),
        form,
        unpack,
        prepare,
        before,
        after,
        contains,
        env,
        when: when?,
        pace: pace(table)?,
        timeout,
        may_be_root: false,
    })
}

fn duration(table: &Table<'_>, key: &str, example: &str, default: Duration) -> Result<Duration> {
    let Some(text) = table.text(key, example)? else { return Ok(default) };
    let parsed =
        parse_duration(text).map_err(|error| table.fault(key, error.message(), format!("write {key} = {example}")))?;
    Ok(parsed.unsigned_abs())
}

fn form(table: &Table<'_>) -> Result<Form> {
    let found: Vec<&str> = FORMS.into_iter().filter(|key| table.has(key)).collect();
    let &[key] = found.as_slice() else {
        let what = format!("[[capture]] needs one of {}", super::document::listed(&FORMS));
        return Err(table.wrong(what, format!("write dir = {DIR_EXAMPLE}")));
    };
    if table.has("file") != (key == "stdout") {
        let what = "[[capture]] has only one of `file` and `stdout`";
        return Err(table.wrong(what, "write file = \"dump.rdb\" and stdout = [\"redis-cli\", \"--rdb\", \"-\"]"));
    }
    match key {
        "dir" => {
            let words = command(table, key, DIR_EXAMPLE)?;
            match words.iter().any(|word| word.contains(DIR)) {
                true => Ok(Form::Dir(words)),
                false => {
                    let what = "needs {dir} in one of its words";
                    Err(table.fault(key, what, format!("write dir = {DIR_EXAMPLE}")))
                }
            }
        }
        "tar" => Ok(Form::Tar(command(table, key, "[\"pg_basebackup\", \"-D-\", \"-Ft\", \"-Xfetch\"]")?)),
        "files" => {
            let globs = table.text_or_texts(key, "[\"db/**\"]")?;
            for glob in &globs {
                super::written::check_glob(table, key, glob, &table.span)?;
            }
            let max_pause = match table.flag("freeze")? {
                true => Some(duration(table, "max_pause", "\"2s\"", MAX_PAUSE)?),
                false => None,
            };
            Ok(Form::Files { globs, max_pause })
        }
        _ => Ok(Form::File {
            path: relative(table, "file", table.needs("file", "\"dump.rdb\"")?)?,
            command: command(table, key, "[\"redis-cli\", \"--rdb\", \"-\"]")?,
        }),
    }
}

/// A single folder with a `/` at its end is what the output stands for.
fn replaces(table: &Table<'_>, form: &Form) -> Result<(Vec<RelPath>, Option<RelPath>)> {
    const EXAMPLE: &str = "\"pg/\"";
    match form {
        Form::Files { .. } => return Ok((Vec::new(), None)),
        Form::File { path, .. } if !table.has("replaces") => return Ok((vec![path.clone()], None)),
        _ if !table.has("replaces") => {
            return Err(table.wrong("[[capture]] needs `replaces`", format!("write replaces = {EXAMPLE}")));
        }
        _ => {}
    }
    let texts = table.text_or_texts("replaces", EXAMPLE)?;
    let paths: Vec<RelPath> = texts.iter().map(|text| relative(table, "replaces", text)).collect::<Result<_>>()?;
    let folder = match (texts.as_slice(), paths.as_slice()) {
        ([text], [path]) if text.ends_with('/') => Some(path.clone()),
        _ => None,
    };
    Ok((paths, folder))
}

/// `1MB` is a million bytes per second.
fn pace(table: &Table<'_>) -> Result<u64> {
    let Some(text) = table.text("pace", "\"1MB\"")? else { return Ok(PACE) };
    let units = [("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000)];
    let parsed = units.iter().find_map(|(unit, bytes)| {
        text.strip_suffix(unit)?.trim().parse::<u64>().ok().and_then(|count| count.checked_mul(*bytes))
    });
    let what = || format!("is {text:?}, which is not a number of kB, MB or GB per second");
    parsed.ok_or_else(|| table.fault("pace", what(), "write pace = \"1MB\""))
}

fn relative(table: &Table<'_>, key: &str, text: &str) -> Result<RelPath> {
    plain(text).filter(|_| !super::scope::is_own_glob(text)).ok_or_else(|| {
        let what = format!("is {text:?}, which is not a plain path of the server");
        table.fault(key, what, "write a path relative to the storage root, without wildcards; end a folder with /")
    })
}

const DIR_EXAMPLE: &str = "[\"pg_basebackup\", \"-D\", \"{dir}\"]";

/// A command and its arguments; empty if the key is missing.
fn command(table: &Table<'_>, key: &str, example: &str) -> Result<Vec<String>> {
    let Some(words) = table.texts(key, example)? else { return Ok(Vec::new()) };
    match words.is_empty() {
        true => Err(table.fault(key, "is empty", format!("write {key} = {example}"))),
        false => Ok(words.into_iter().map(|(word, _)| word.to_owned()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use crate::Written;

    #[test]
    fn a_capture_that_cannot_work_is_refused_with_its_line() {
        for (given, why) in [
            ("name = \"a\"\nreplaces = \"pg/\"", "one of `dir`"),
            ("name = \"a\"\nreplaces = \"pg/\"\ndir = [\"x\"]", "{dir}"),
            ("name = \"a\"\nreplaces = \"pg/\"\ndir = [\"x\", \"{dir}\"]\ntar = [\"x\"]", "one of `dir`"),
            ("name = \"a\"\nreplaces = \"pg/\"\ntar = []", "`tar` is empty"),
            ("name = \"a\"\nreplaces = \"pg/\"\nstdout = [\"x\"]", "only one of `file` and `stdout`"),
            ("name = \"a\"\nreplaces = \"pg/\"\nfile = \"x\"\nstdout = [\"x\"]", "does not fit to `replaces`"),
            ("name = \"a\"\nreplaces = \"pg/\"\nfile = \"pg/x\"\nstdout = [\"x\"]\nunpack = [\"x\"]", "does not fit"),
            ("name = \"a\"\nreplaces = \"pg/\"\nfile = \"d/x\"\nstdout = [\"x\"]\nunpack = [\"x\"]", "in a folder"),
            ("name = \"a\"\nreplaces = \"pg/\"\ntar = [\"x\"]\nunpack = [\"x\"]", "for the file that `stdout` writes"),
            ("name = \"a\"\nreplaces = [\"pg\"]\ntar = [\"x\"]\nprepare = [\"x\"]", "needs one folder"),
            ("name = \"a\"\nfiles = [\"db/**\"]", "needs `freeze`"),
            ("name = \"a\"\nfiles = [\"../db\"]\nfreeze = true", "files"),
            ("name = \"a\"\nfiles = [\"db/**\"]\nreplaces = \"pg/\"\nfreeze = true", "not for `files`"),
            ("name = \"a\"\nreplaces = \"pg/\"\ntar = [\"x\"]\nfreeze = true", "needs `files`"),
            ("name = \"a\"\nreplaces = \"pg/\"\ntar = [\"x\"]\npace = \"fast\"", "number of kB"),
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

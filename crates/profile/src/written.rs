//! Reads a profile strictly: `name`, `prefix`, `apps`, `[state]`, `[health]` and, through `quarantine.rs` and
//! `capture.rs`, the steps and the captures.
//! `docs/profiles.md` describes the format.

use std::path::Path;

use super::{
    Apps, Capture, DEFAULT_PREFIX, Health, Profile, capture, discovery,
    document::{Source, Span, Table},
    quarantine,
    step::Step,
};
use crate::{
    Scope,
    scope::{is_own_glob, plain},
};
use seqbac_header::RelPath;
use volume::error::{Error, Result};

const KEYS: [&str; 8] = ["name", "prefix", "apps", "state", "database", "health", "capture", "quarantine"];
const STATE: [&str; 3] = ["sqlite", "files", "exclude"];
const DATABASE: [&str; 2] = ["path", "live"];
const HEALTH: [&str; 3] = ["http", "tcp", "alive"];

/// In bytes, so that the time and the suffix still fit into a file name.
const LONGEST_PREFIX: usize = 64;

/// A validated profile, not yet combined with a volume.
#[derive(Debug, Clone)]
pub struct Written {
    /// Name of the server.
    pub name: String,
    /// Prefix of the file names of scheduled backups.
    pub prefix: String,
    /// The stores. `None` if the profile has no `[state]`, which means discovery.
    pub state: Option<Scope>,
    /// For each database that is named without a wildcard: the error if the globs turn out to exclude it.
    if_excluded: Vec<(RelPath, Error)>,
    /// Globs of foreign databases whose copies are accepted although they are in use.
    pub accept_live: Vec<String>,
    /// The health check, if the profile has one.
    pub health: Option<Health>,
    /// Whether the profile lists the apps.
    pub apps: Apps,
    /// The steps that switch apps off.
    pub steps: Vec<Step>,
    /// The commands that copy live databases.
    pub captures: Vec<Capture>,
}

impl Written {
    /// Parses a profile. `called` names it in errors, which contain line, key and a suggestion.
    pub fn parse(text: &str, called: &str) -> Result<Self> {
        let source = Source { name: called, text: text.strip_prefix('\u{feff}').unwrap_or(text) };
        let document = source.parse()?;
        let top = Table::of_document(source, &document);
        top.only(&KEYS, belongs)?;
        let state = top.table("state", "[state]", "a line [state], and below it its keys")?;
        let (scope, if_excluded) = state.as_ref().map(scope).transpose()?.unzip();
        Ok(Self {
            name: name(&top)?,
            prefix: prefix(&top)?,
            state: scope,
            if_excluded: if_excluded.unwrap_or_default(),
            accept_live: top.tables("database")?.iter().map(accepts_live).collect::<Result<_>>()?,
            health: health(&top)?,
            apps: apps(&top)?,
            steps: quarantine::steps(top.tables("quarantine")?)?,
            captures: capture::captures(top.tables("capture")?)?,
        })
    }

    /// A profile that only root can change: its captures may run as root.
    #[must_use]
    pub(crate) fn of_root(mut self) -> Self {
        self.captures.iter_mut().for_each(|capture| capture.may_be_root = true);
        self
    }

    /// Refuses a profile that names a database and also excludes it. The caller provides the matching, because this
    /// crate cannot match globs.
    pub fn refuse_excluded(&self, excludes: impl Fn(&RelPath) -> bool) -> Result<()> {
        match self.if_excluded.iter().find(|(path, _)| excludes(path)) {
            Some((_, error)) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// The profile for the volume that is mounted at `root`. Reads `.moorlineignore` if the profile has no `[state]`.
    pub fn on(self, root: &Path) -> Result<Profile> {
        let scope = self.state.map_or_else(|| discovery::discovered(root), Ok)?;
        let Self { name, prefix, accept_live, health, apps, steps, captures, .. } = self;
        let replaced: Vec<RelPath> = captures.iter().flat_map(|capture| capture.replaces.clone()).collect();
        let mut scope = scope.and_files(&replaced);
        scope.files.extend(captures.iter().flat_map(|capture| capture.globs().iter().cloned()));
        Ok(Profile { name: Some(name), prefix, scope, accept_live, health, apps, steps, captures })
    }
}

/// The hint for a key at the top level that belongs into another table.
fn belongs(key: &str) -> Option<String> {
    if STATE.contains(&key) {
        return Some(format!("write `{key}` below a line [state]; in a step, below [[quarantine]]"));
    }
    HEALTH.contains(&key).then(|| format!("write `{key}` below a line [health]"))
}

fn name(top: &Table<'_>) -> Result<String> {
    let name = top.needs("name", "\"my-server\"")?;
    match name.trim() == name && !name.chars().any(char::is_control) {
        true => Ok(name.to_owned()),
        false => {
            let what = "begins or ends with a space or contains control characters";
            Err(top.fault("name", what, "write name = \"my-server\""))
        }
    }
}

fn prefix(top: &Table<'_>) -> Result<String> {
    let Some(prefix) = top.text("prefix", "\"my-server\"")? else { return Ok(DEFAULT_PREFIX.to_owned()) };
    let plain = prefix.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    match plain && prefix.len() <= LONGEST_PREFIX {
        true => Ok(prefix.to_owned()),
        false => {
            let what = format!("is {prefix:?}, which cannot be the prefix of backup files");
            Err(top.fault("prefix", what, format!("use a-z, 0-9 and -, at most {LONGEST_PREFIX} characters")))
        }
    }
}

fn apps(top: &Table<'_>) -> Result<Apps> {
    match (top.text("apps", "\"none\"")?, top.has("quarantine")) {
        (None, false) => Ok(Apps::Unknown),
        (None, true) => Ok(Apps::Listed),
        (Some("none"), false) => Ok(Apps::None),
        (Some("none"), true) => Err(top.fault(
            "apps",
            "is \"none\", but the profile has [[quarantine]] steps",
            "remove either: `apps = \"none\"` means that the server does not act on the outside",
        )),
        (Some(other), _) => Err(top.fault(
            "apps",
            format!("is {other:?}, but can only be \"none\""),
            "write apps = \"none\" if the server has no apps; otherwise write a [[quarantine]] for each kind of app",
        )),
    }
}

/// Reads `[state]`. Also returns, for each database that is named without a wildcard, the error if `exclude` matches
/// it.
fn scope(state: &Table<'_>) -> Result<(Scope, Vec<(RelPath, Error)>)> {
    state.only(&STATE, |_| None)?;
    let globs = |key: &str, example: &str| -> Result<Vec<(String, Span)>> {
        let found = state.texts(key, example)?.unwrap_or_default();
        Ok(found.into_iter().map(|(glob, span)| (glob.to_owned(), span)).collect())
    };
    let texts = |globs: &[(String, Span)]| globs.iter().map(|(glob, _)| glob.clone()).collect();
    let sqlite = globs("sqlite", "[\"app.db\"]")?;
    let files = globs("files", "[\"config.yaml\", \"keys/**\"]")?;
    let exclude = globs("exclude", "[\"cache/**\"]")?;
    for (key, globs) in [("sqlite", &sqlite), ("files", &files), ("exclude", &exclude)] {
        globs.iter().try_for_each(|(glob, span)| check_glob(state, key, glob, span))?;
    }
    if sqlite.is_empty() && files.is_empty() {
        return Err(state.wrong(
            "[state] has neither `sqlite` nor `files`, so nothing would be backed up",
            "name the state, such as files = [\"**\"], or leave [state] out: then everything is state, except the files \
             that .moorlineignore excludes",
        ));
    }
    let scope = Scope { sqlite: texts(&sqlite), files: texts(&files), exclude: texts(&exclude), ..Scope::default() };
    let named = sqlite.iter().filter_map(|(glob, span)| {
        let path = plain(glob)?;
        let what = format!("`sqlite` names {path}, but `exclude` matches it, or it is moorline's own");
        Some((path, state.source.fault(span, what, "remove it from one of them: `exclude` wins")))
    });
    Ok((scope, named.collect()))
}

/// Reads one `[[database]]`: the glob of a foreign database whose live copy is accepted.
fn accepts_live(database: &Table<'_>) -> Result<String> {
    database.only(&DATABASE, |_| None)?;
    let path = database.needs("path", "\"cache/leveldb\"")?;
    check_glob(database, "path", path, &database.span)?;
    match database.needs("live", "\"accept\"")? {
        "accept" => Ok(path.to_owned()),
        other => {
            Err(database.fault("live", format!("is {other:?}, but can only be \"accept\""), "write live = \"accept\""))
        }
    }
}

pub(crate) fn check_glob(state: &Table<'_>, key: &str, glob: &str, span: &Span) -> Result<()> {
    let one = || vec![glob.to_owned()];
    let alone = match key {
        "sqlite" => Scope { sqlite: one(), ..Scope::default() },
        "files" | "path" => Scope { files: one(), ..Scope::default() },
        _ => Scope { exclude: one(), ..Scope::default() },
    };
    let instead = "write a path relative to the storage root; * and ? match everything except a /, ** also matches a /";
    if let Err(error) = alone.check_globs() {
        return Err(state.source.fault(span, error.message(), instead));
    }
    match is_own_glob(glob) && key != "exclude" {
        true => {
            Err(state.source.fault(span, format!("`{key}` names {glob}, which is never part of a backup"), instead))
        }
        false => Ok(()),
    }
}

fn health(top: &Table<'_>) -> Result<Option<Health>> {
    const EXAMPLE: &str = "http = \"http://127.0.0.1:8080/health\", tcp = \"127.0.0.1:8080\" or alive = \"30s\"";
    let Some(health) = top.table("health", "[health]", "a line [health], and below it http = …")? else {
        return Ok(None);
    };
    health.only(&HEALTH, |_| None)?;
    let given = health.keys();
    let [(key, _)] = given.as_slice() else {
        let what = if given.is_empty() { "[health] is empty" } else { "[health] has more than one check" };
        return Err(health.wrong(what, format!("write one of {EXAMPLE}")));
    };
    let Some(text) = health.text(key, EXAMPLE)? else { return Ok(None) };
    if *key == "http" && !text.starts_with("http") {
        return Err(health.fault(key, "is not a URL", format!("write {EXAMPLE}")));
    }
    // The syntax of `--health`.
    let check = if *key == "http" { text.to_owned() } else { format!("{key}:{text}") };
    Health::parse(&check).map(Some).map_err(|error| {
        let what = format!("is not a health check: {}", error.message());
        health.fault(key, what, error.advice().map_or_else(|| format!("write {EXAMPLE}"), str::to_owned))
    })
}

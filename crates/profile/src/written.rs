//! A profile as it is written: TOML text, read strictly. `docs/profiles.md` describes the format.

use std::path::Path;

use super::{
    Apps, DEFAULT_PREFIX, Health, Profile, discovery,
    document::{Place, Source, Table},
    quarantine,
    step::Step,
};
use crate::{
    Scope,
    scope::{is_own_glob, plain},
};
use seqbac_header::RelPath;
use volume::error::{Error, Result};

const KEYS: [&str; 6] = ["name", "prefix", "apps", "state", "health", "quarantine"];
const STATE: [&str; 3] = ["sqlite", "files", "exclude"];
const HEALTH: [&str; 3] = ["http", "tcp", "alive"];

/// A file name has room for so much beside the time.
const LONGEST_PREFIX: usize = 64;

/// What a profile says of itself, whatever the volume.
#[derive(Debug, Clone)]
pub struct Written {
    /// Its name.
    pub name: String,
    /// What the names of backup files begin with.
    pub prefix: String,
    /// Its stores; `None` where it leaves that to discovery.
    pub state: Option<Scope>,
    if_excluded: Vec<(RelPath, Error)>,
    /// When its server counts as healthy.
    pub health: Option<Health>,
    /// What its apps are.
    pub apps: Apps,
    /// What switches them off.
    pub steps: Vec<Step>,
}

impl Written {
    /// Reads the text; `called` is what an error calls it.
    ///
    /// # Errors
    /// `Usage`, with line, key and remedy, for whatever is not as the format has it.
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
            health: health(&top)?,
            apps: apps(&top)?,
            steps: quarantine::steps(top.tables("quarantine")?)?,
        })
    }

    /// Refuses a profile that names a database which it also excludes. Only a caller that can match globs can ask this.
    ///
    /// # Errors
    /// `Usage`, with the line that names the database.
    pub fn refuse_excluded(&self, excludes: impl Fn(&RelPath) -> bool) -> Result<()> {
        match self.if_excluded.iter().find(|(path, _)| excludes(path)) {
            Some((_, error)) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// The profile of the volume mounted at `root`.
    ///
    /// # Errors
    /// Where discovery decides what its state is, and `.moorlineignore` makes no sense.
    pub fn on(self, root: &Path) -> Result<Profile> {
        let scope = self.state.map_or_else(|| discovery::discovered(root), Ok)?;
        let Self { name, prefix, health, apps, steps, .. } = self;
        Ok(Profile { name: Some(name), prefix, scope, health, apps, steps })
    }
}

/// Where a key stands that does not stand at the top.
fn belongs(key: &str) -> Option<String> {
    if STATE.contains(&key) {
        return Some(format!("`{key}` stands below a line [state]; in a step, below [[quarantine]]"));
    }
    HEALTH.contains(&key).then(|| format!("`{key}` stands below a line [health]"))
}

fn name(top: &Table<'_>) -> Result<String> {
    let name = top.needs("name", "\"my-server\"")?;
    match name.trim() == name && !name.chars().any(char::is_control) {
        true => Ok(name.to_owned()),
        false => {
            Err(top.fault("name", "has spaces around it or control characters in it", "write name = \"my-server\""))
        }
    }
}

fn prefix(top: &Table<'_>) -> Result<String> {
    let Some(prefix) = top.text("prefix", "\"my-server\"")? else { return Ok(DEFAULT_PREFIX.to_owned()) };
    let plain = prefix.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    match plain && prefix.len() <= LONGEST_PREFIX {
        true => Ok(prefix.to_owned()),
        false => {
            let what = format!("is {prefix:?}, and the names of backup files cannot begin so");
            Err(top.fault("prefix", what, format!("use a-z, 0-9 and -, at most {LONGEST_PREFIX} of them")))
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
            "is \"none\", and there are steps of quarantine",
            "leave one of them out: `apps = \"none\"` says that the server does nothing on the outside",
        )),
        (Some(other), _) => Err(top.fault(
            "apps",
            format!("is {other:?}, and can only be \"none\""),
            "write apps = \"none\" where the server has no apps; where it has some, write a [[quarantine]] for each kind",
        )),
    }
}

/// The globs, and for each database that is named the error to report if `exclude` leaves it out.
fn scope(state: &Table<'_>) -> Result<(Scope, Vec<(RelPath, Error)>)> {
    state.only(&STATE, |_| None)?;
    let globs = |key: &str, example: &str| -> Result<Vec<(String, Place)>> {
        let found = state.texts(key, example)?.unwrap_or_default();
        Ok(found.into_iter().map(|(glob, place)| (glob.to_owned(), place)).collect())
    };
    let texts = |globs: &[(String, Place)]| globs.iter().map(|(glob, _)| glob.clone()).collect();
    let sqlite = globs("sqlite", "[\"app.db\"]")?;
    let files = globs("files", "[\"config.yaml\", \"keys/**\"]")?;
    let exclude = globs("exclude", "[\"cache/**\"]")?;
    for (key, globs) in [("sqlite", &sqlite), ("files", &files), ("exclude", &exclude)] {
        globs.iter().try_for_each(|(glob, place)| makes_sense(state, key, glob, place))?;
    }
    if sqlite.is_empty() && files.is_empty() {
        return Err(state.wrong(
            "[state] has neither `sqlite` nor `files`, so nothing would be backed up",
            "name what the state is, such as files = [\"**\"], or leave [state] out: everything is the state then, less \
             what .moorlineignore leaves out",
        ));
    }
    let scope = Scope { sqlite: texts(&sqlite), files: texts(&files), exclude: texts(&exclude), ..Scope::default() };
    let named = sqlite.iter().filter_map(|(glob, place)| {
        let path = plain(glob)?;
        let what = format!("`sqlite` names {path}, which `exclude` leaves out, or which is moorline's own");
        Some((path, state.source.fault(place, what, "take it out of one of them: `exclude` wins")))
    });
    Ok((scope, named.collect()))
}

fn makes_sense(state: &Table<'_>, key: &str, glob: &str, place: &Place) -> Result<()> {
    let one = || vec![glob.to_owned()];
    let alone = match key {
        "sqlite" => Scope { sqlite: one(), ..Scope::default() },
        "files" => Scope { files: one(), ..Scope::default() },
        _ => Scope { exclude: one(), ..Scope::default() },
    };
    let instead = "write a path relative to the storage root; * and ? stand for what is not a /, ** for all";
    if let Err(error) = alone.check_globs() {
        return Err(state.source.fault(place, error.message(), instead));
    }
    match is_own_glob(glob) && key != "exclude" {
        true => {
            Err(state.source.fault(place, format!("`{key}` names {glob}, which is never part of a backup"), instead))
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
        let what = if given.is_empty() { "[health] says nothing" } else { "[health] says more than one thing" };
        return Err(health.wrong(what, format!("write one of {EXAMPLE}")));
    };
    let Some(text) = health.text(key, EXAMPLE)? else { return Ok(None) };
    if *key == "http" && !text.starts_with("http") {
        return Err(health.fault(key, "is no URL", format!("write {EXAMPLE}")));
    }
    // As --health has it.
    let check = if *key == "http" { text.to_owned() } else { format!("{key}:{text}") };
    Health::parse(&check).map(Some).map_err(|error| {
        let what = format!("is no health check: {}", error.message());
        health.fault(key, what, error.advice().map_or_else(|| format!("write {EXAMPLE}"), str::to_owned))
    })
}

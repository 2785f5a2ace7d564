//! What quarantine remembers: `.moorline/quarantine.json`, 0600. It may hold anything that was in a row.
//!
//! ```text
//! { "format": 1, "since": "…", "restore": "…", "pending": false, "requested": { "all": false, "named": [] },
//!   "steps": [ { "step": { … }, "apps": [ { "id": "push notifications 3", "was": { … } } ] } ] }
//! ```
//! One entry per step, in the order in which they acted, each with the whole step, so that release needs no profile. An
//! app that is released is taken out. Where there is no such file, there is no quarantine.
//!
//! Members that a newer moorline adds are passed over; a file of another `format` is refused.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Chosen, ColumnValue, file::MovedFile, json::Node, sqlite::RowBefore};
use profile::step::{Action, Nodes, Rows, Step};
use seqbac_header::{Id, RelPath};
use volume::quarantine as status;
use volume::{
    Volume, durable,
    error::{Code, Error, IoContext, Result},
};

pub use volume::quarantine::FILE_NAME;

/// What had been on before quarantine began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuarantineRecord {
    format: u32,
    /// When quarantine began.
    pub since: Timestamp,
    /// The restore that it began with; none where apps were switched off without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<Id>,
    /// Whether the changes are still to be made, or only some of them are.
    #[serde(default)]
    pub pending: bool,
    /// What the next start is to release.
    #[serde(default)]
    pub requested: Requests,
    /// The steps, and what each of them changed.
    pub steps: Vec<StepRecord>,
}

/// A step, and the apps that it switched off and that are not released yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step as it was when it acted.
    pub step: Step,
    /// Its apps. A step that acts at release has none.
    #[serde(default)]
    pub apps: Vec<AppRecord>,
}

/// One app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppRecord {
    /// Its id.
    pub id: String,
    /// What it was.
    pub was: Before,
}

/// What an app was, and what quarantine made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Before {
    /// A row of a database.
    Row(RowBefore),
    /// Something that the server is given as long as quarantine lasts.
    Given,
    /// A node of a JSON file.
    Node(Node),
    /// Files, each put aside under another name.
    Files(Vec<MovedFile>),
}

impl Before {
    /// The files that were put aside.
    pub(super) fn into_files(self) -> Vec<MovedFile> {
        if let Self::Files(files) = self { files } else { Vec::new() }
    }
}

/// What a person asked to have released while the server was running.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Everything.
    #[serde(default)]
    pub all: bool,
    /// Ids and names of steps.
    #[serde(default)]
    pub named: BTreeSet<String>,
}

impl Requests {
    /// Whether nothing was asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.all && self.named.is_empty()
    }

    /// Adds what is asked for now.
    pub fn add(&mut self, chosen: &Chosen) {
        match chosen {
            Chosen::All => self.all = true,
            Chosen::Named(named) => self.named.extend(named.iter().cloned()),
        }
    }

    /// What was asked for, if anything was.
    #[must_use]
    pub fn chosen(&self) -> Option<Chosen> {
        match self.all {
            true => Some(Chosen::All),
            false if self.named.is_empty() => None,
            false => Some(Chosen::Named(self.named.iter().cloned().collect())),
        }
    }
}

/// An app that is off, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct App {
    /// Its id.
    pub id: String,
    /// The name of its step.
    pub step: String,
    /// What it is.
    pub kind: AppKind,
    /// Where it is.
    pub detail: String,
}

/// What an app is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AppKind {
    /// A row of a SQLite database.
    Sqlite,
    /// A node of a JSON file.
    Json,
    /// A file, or several.
    File,
    /// Variables of the server's environment.
    Env,
    /// Arguments of the server.
    Args,
}

impl QuarantineRecord {
    /// One that remembers nothing yet, of a quarantine that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            format: status::FORMAT,
            since: Timestamp::now(),
            restore: None,
            pending: false,
            requested: Requests::default(),
            steps: Vec::new(),
        }
    }

    /// The same, of which nothing is asked for.
    #[must_use]
    pub fn without_requests(mut self) -> Self {
        self.requested = Requests::default();
        self
    }

    /// Where a volume keeps it.
    #[must_use]
    pub fn path(volume: &Volume) -> PathBuf {
        volume.own().join(FILE_NAME)
    }

    /// The volume's, if it is in quarantine.
    ///
    /// # Errors
    /// Where it is there, but cannot be read or understood: it is never taken for none.
    pub fn load(volume: &Volume) -> Result<Option<Self>> {
        let path = Self::path(volume);
        let bytes = match fs::read(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.on("read", &path)?,
        };
        Self::from_bytes(&bytes, &path).map(Some)
    }

    /// Writes it, durably; removes it when quarantine is over.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn save(&self, volume: &Volume) -> Result<()> {
        let path = Self::path(volume);
        match self.is_over() {
            true => durable::remove_file(&path),
            false => durable::write(&path, &self.to_bytes()?, 0o600),
        }
    }

    /// As it is in the file.
    ///
    /// # Errors
    /// None in practice.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut text = serde_json::to_vec(self)
            .map_err(|cause| Error::new(Code::Bug, format!("{FILE_NAME} cannot be written: {cause}")))?;
        text.push(b'\n');
        Ok(text)
    }

    /// Reads what `to_bytes` wrote; `path` says where that was.
    ///
    /// # Errors
    /// `AppsUnknown` where it makes no sense, or is of a newer version.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        status::check_format(bytes, path)?;
        serde_json::from_slice(bytes).map_err(|cause| status::damaged(path, &cause))
    }

    /// The apps that are off, in the order of their steps.
    pub fn apps(&self) -> impl Iterator<Item = App> {
        self.steps.iter().flat_map(|remembered| remembered.apps.iter().map(|kept| kept.describe(&remembered.step)))
    }

    /// Whether nothing is left to be released. Steps that act at release do not keep a quarantine going.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !self.pending && self.steps.iter().all(|remembered| remembered.apps.is_empty())
    }

    /// What the server's environment is given; a later step wins.
    #[must_use]
    pub fn env(&self) -> BTreeMap<String, String> {
        let given = self.given().filter_map(|action| match action {
            Action::Env(variables) => Some(variables.clone()),
            _ => None,
        });
        given.flatten().collect()
    }

    /// What is put behind the server's own arguments.
    #[must_use]
    pub fn args(&self) -> Vec<String> {
        let given = self.given().filter_map(|action| match action {
            Action::Args(arguments) => Some(arguments.clone()),
            _ => None,
        });
        given.flatten().collect()
    }

    /// The files that hold what was taken away, as `<name>.quarantined`.
    #[must_use]
    pub fn files(&self) -> Vec<RelPath> {
        let kept = self.steps.iter().flat_map(|remembered| &remembered.apps);
        let files = kept.filter_map(|kept| match &kept.was {
            Before::Files(files) => Some(files.iter().map(|aside| aside.kept.clone())),
            _ => None,
        });
        files.flatten().collect()
    }

    fn given(&self) -> impl Iterator<Item = &Action> {
        let not_released = self.steps.iter().filter(|remembered| !remembered.apps.is_empty());
        not_released.map(|remembered| &remembered.step.action)
    }
}

impl Default for QuarantineRecord {
    fn default() -> Self {
        Self::new()
    }
}

impl StepRecord {
    /// Whether any of its apps goes by this name: its own id, or the step's name.
    #[must_use]
    pub fn answers_to(&self, name: &str) -> bool {
        self.apps.iter().any(|kept| self.is_named(kept, name))
    }

    /// Whether one of its apps goes by this name.
    #[must_use]
    pub fn is_named(&self, kept: &AppRecord, name: &str) -> bool {
        kept.id == name || self.step.name == name
    }
}

impl AppRecord {
    /// The row that it is, by its key, if it is one of this database.
    pub(super) fn row_in_database(&self, path: &RelPath) -> Option<(&[(String, ColumnValue)], &RowBefore)> {
        match &self.was {
            Before::Row(was) if was.database == *path => Some((&*was.key, was)),
            _ => None,
        }
    }

    fn row_in(&self, rows: &Rows) -> String {
        match &self.was {
            Before::Row(was) => format!("{} in {}: {}", rows.table, was.database, was.detail()),
            _ => rows.table.clone(),
        }
    }

    fn file_of(&self, nodes: &Nodes) -> String {
        match &self.was {
            Before::Node(node) => node.to_string(),
            _ => nodes.files.clone(),
        }
    }

    fn describe(&self, step: &Step) -> App {
        let (kind, detail) = match &step.action {
            Action::Sqlite(rows) => (AppKind::Sqlite, self.row_in(rows)),
            Action::Json(nodes) => (AppKind::Json, self.file_of(nodes)),
            Action::File(files) => (AppKind::File, files.files.clone()),
            Action::Env(variables) => (AppKind::Env, variables.keys().cloned().collect::<Vec<_>>().join(" ")),
            Action::Args(arguments) => (AppKind::Args, arguments.join(" ")),
        };
        App { id: self.id.clone(), step: step.name.clone(), kind, detail }
    }
}

/// A full disk may pass; whatever else it is, the apps are not off.
pub fn failed(error: Error) -> Error {
    if error.code().may_pass() { error } else { error.with_code(Code::AppsUnknown) }
}

/// `3 apps off (push notifications 2, rules 1)`.
#[must_use]
pub fn in_words(apps: &[App]) -> String {
    status::in_words(&steps_of(apps))
}

/// `push notifications 2, rules 1`.
#[must_use]
pub fn by_step(apps: &[App]) -> String {
    status::by_step(&steps_of(apps))
}

fn steps_of(apps: &[App]) -> Vec<(&str, usize)> {
    apps.iter().map(|app| (app.step.as_str(), 1)).collect()
}

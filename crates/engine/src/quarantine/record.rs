//! The quarantine record, `.moorline/quarantine.json`. Its mode is 0600, because it may contain anything from a row.
//!
//! ```text
//! { "format": 1, "since": "…", "restore": "…", "pending": false, "requested": { "all": false, "named": [] },
//!   "steps": [ { "step": { … }, "apps": [ { "id": "push notifications 3", "was": { … } } ] } ] }
//! ```
//! One entry per step, in the order in which they acted. Each contains the whole step, so that release needs no profile. A
//! released app is removed. If the file does not exist, the volume is not in quarantine.
//!
//! Unknown members, which a newer moorline may add, are ignored; a file of another `format` is refused.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    Chosen,
    file::{self, MovedFile},
    json::Node,
    sqlite::RowBefore,
};
use crate::prelude::*;
use volume::quarantine as status;

pub(crate) use volume::quarantine::FILE_NAME;

/// The apps that are off, and how each was before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuarantineRecord {
    format: u32,
    /// When quarantine began.
    pub since: Timestamp,
    /// The restore that began it; `None` if `apps disable` did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<Id>,
    /// Whether the changes are not complete yet.
    #[serde(default)]
    pub pending: bool,
    /// Releases for the next start.
    #[serde(default)]
    pub requested: Requests,
    /// The steps, in the order in which they acted.
    pub steps: Vec<StepRecord>,
}

/// A step, and its apps that are still off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step as it was when it acted.
    pub step: Step,
    /// Empty for a step that acts at release.
    #[serde(default)]
    pub apps: Vec<AppRecord>,
}

/// An app that is off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppRecord {
    /// Unique within its step.
    pub id: String,
    /// Its previous state.
    pub was: Before,
}

/// The previous state of an app, and the change that quarantine made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Before {
    /// A row of a database.
    Row(RowBefore),
    /// Variables or arguments that the server gets during quarantine.
    Given,
    /// A node of a JSON file.
    Node(Node),
    /// Files, each renamed.
    Files(Vec<MovedFile>),
}

/// Apps whose release was requested while the server was running.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Whether everything was requested.
    #[serde(default)]
    pub all: bool,
    /// Ids, and names of steps.
    #[serde(default)]
    pub named: BTreeSet<String>,
}

impl Requests {
    /// Whether no release was requested.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.all && self.named.is_empty()
    }

    pub(crate) fn add(&mut self, chosen: &Chosen) {
        match chosen {
            Chosen::All => self.all = true,
            Chosen::Named(named) => self.named.extend(named.iter().cloned()),
        }
    }

    pub(crate) fn chosen(&self) -> Option<Chosen> {
        match self.all {
            true => Some(Chosen::All),
            false if self.named.is_empty() => None,
            false => Some(Chosen::Named(self.named.iter().cloned().collect())),
        }
    }
}

/// An app that is off, for lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct App {
    /// Unique among the apps of its step.
    pub id: String,
    /// The name of its step.
    pub step: String,
    /// Its type.
    pub kind: AppKind,
    /// Where it is.
    pub detail: String,
}

/// The type of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AppKind {
    /// A row of a SQLite database.
    Sqlite,
    /// A node of a JSON file.
    Json,
    /// One or more files.
    File,
    /// Variables of the server.
    Env,
    /// Arguments of the server.
    Args,
}

impl QuarantineRecord {
    /// An empty record of a quarantine that begins now.
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

    pub(crate) fn without_requests(mut self) -> Self {
        self.requested = Requests::default();
        self
    }

    pub(crate) fn path(volume: &Volume) -> PathBuf {
        volume.own().join(FILE_NAME)
    }

    /// Reads the record of a volume; `None` if it is not in quarantine. Fails if the file exists but cannot be read or
    /// parsed: that is never taken for "not in quarantine".
    pub fn load(volume: &Volume) -> Result<Option<Self>> {
        let path = Self::path(volume);
        let bytes = presence::unless_absent(fs::read(&path)).on("read", &path)?;
        bytes.map(|bytes| Self::from_bytes(&bytes, &path)).transpose()
    }

    /// Writes the record durably, or removes the file if quarantine is over.
    pub(crate) fn save(&self, volume: &Volume) -> Result<()> {
        let path = Self::path(volume);
        match self.is_over() {
            true => durable::remove_file(&path),
            false => durable::write(&path, &self.to_bytes()?, 0o600),
        }
    }

    /// The content of the file.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut text = serde_json::to_vec(self)
            .map_err(|cause| Error::new(Code::Bug, format!("{FILE_NAME} cannot be written: {cause}")))?;
        text.push(b'\n');
        Ok(text)
    }

    /// Parses the output of `to_bytes`; `path` is for messages. Fails with `AppsUnknown` if it is damaged, or of a
    /// newer format.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        status::check_format(bytes, path)?;
        serde_json::from_slice(bytes).map_err(|cause| status::damaged(path, &cause))
    }

    /// The apps that are off, in the order of their steps.
    pub fn apps(&self) -> impl Iterator<Item = App> {
        self.steps.iter().flat_map(|remembered| remembered.apps.iter().map(|kept| kept.describe(&remembered.step)))
    }

    /// Whether no app is off any more. Steps that act at release do not prolong a quarantine.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !self.pending && self.steps.iter().all(|remembered| remembered.apps.is_empty())
    }

    /// Variables that the server gets; a later step wins.
    #[must_use]
    pub fn env(&self) -> BTreeMap<String, String> {
        let given = self.given().filter_map(|action| match action {
            Action::Env(variables) => Some(variables.clone()),
            _ => None,
        });
        given.flatten().collect()
    }

    /// Arguments that the server gets after its own.
    #[must_use]
    pub fn args(&self) -> Vec<String> {
        let given = self.given().filter_map(|action| match action {
            Action::Args(arguments) => Some(arguments.clone()),
            _ => None,
        });
        given.flatten().collect()
    }

    /// The quarantined files, by their current names.
    #[must_use]
    pub fn files(&self) -> Vec<RelPath> {
        let apps = self.steps.iter().flat_map(|remembered| &remembered.apps);
        file::moved(apps).map(|aside| aside.kept.clone()).collect()
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
    /// Whether any of its apps has this name: its own id, or the name of the step.
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        self.apps.iter().any(|kept| self.is_named(kept, name))
    }

    pub(crate) fn is_named(&self, kept: &AppRecord, name: &str) -> bool {
        kept.id == name || self.step.name == name
    }
}

impl AppRecord {
    fn describe(&self, step: &Step) -> App {
        let (kind, detail) = match (&step.action, &self.was) {
            (Action::Sqlite(rows), Before::Row(was)) => {
                (AppKind::Sqlite, format!("{} in {}: {}", rows.table, was.database, was.detail()))
            }
            (Action::Sqlite(rows), _) => (AppKind::Sqlite, rows.table.clone()),
            (Action::Json(_), Before::Node(node)) => (AppKind::Json, node.to_string()),
            (Action::Json(nodes), _) => (AppKind::Json, nodes.files.clone()),
            (Action::File(files), _) => (AppKind::File, files.files.clone()),
            (Action::Env(variables), _) => (AppKind::Env, variables.keys().cloned().collect::<Vec<_>>().join(" ")),
            (Action::Args(arguments), _) => (AppKind::Args, arguments.join(" ")),
        };
        App { id: self.id.clone(), step: step.name.clone(), kind, detail }
    }
}

/// Lets errors through that may pass, such as a full disk. Any other error means that apps are still on.
pub(crate) fn failed(error: Error) -> Error {
    if error.code().is_transient() { error } else { error.with_code(Code::AppsUnknown) }
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

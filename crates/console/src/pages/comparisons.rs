//! Comparisons of backups with the current state: computed by a child process and cached for a minute.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::sync::watch;

use super::{
    view::differences::{Change, Comparison, Differences},
    visit::sentences,
};
use crate::{
    Site,
    backups::{self, BackupFile},
};

/// An older comparison is computed again, because the state may have changed.
const MAX_AGE: Duration = Duration::from_secs(60);
/// A request waits this long for the result.
const WAIT: Duration = Duration::from_millis(1500);
/// Limit on cached and running comparisons.
const MOST: usize = 8;

#[derive(Debug)]
struct Entry {
    since: Instant,
    outcome: watch::Receiver<Comparison>,
}

/// The cache, by the backup's id.
#[derive(Debug, Default)]
pub(super) struct Comparisons(Mutex<BTreeMap<String, Entry>>);

impl Comparisons {
    /// Returns the comparison with this backup. Starts it if necessary and waits a moment for the result.
    pub async fn of(&self, site: &Arc<Site>, found: BackupFile) -> Comparison {
        let mut outcome = self.start(site, found);
        let done = outcome.wait_for(|comparison| !matches!(comparison, Comparison::Running));
        match tokio::time::timeout(WAIT, done).await {
            Ok(Ok(comparison)) => comparison.clone(),
            Ok(Err(_)) => Comparison::Failed("The comparison was interrupted.".to_owned()),
            Err(_) => Comparison::Running,
        }
    }

    fn start(&self, site: &Arc<Site>, found: BackupFile) -> watch::Receiver<Comparison> {
        let mut table = self.table();
        table.retain(|_, entry| {
            entry.since.elapsed() < MAX_AGE || matches!(*entry.outcome.borrow(), Comparison::Running)
        });
        if let Some(entry) = table.get(&found.backup.id) {
            return entry.outcome.clone();
        }
        if table.len() >= MOST {
            let busy = Comparison::Failed("Too many comparisons at the same time. Try again in a minute.".to_owned());
            return watch::channel(busy).1;
        }
        let (sender, outcome) = watch::channel(Comparison::Running);
        let (site, id) = (Arc::clone(site), found.backup.id.clone());
        tokio::spawn(async move {
            let _ = sender.send(compare(&site, &found).await);
        });
        table.insert(id, Entry { since: Instant::now(), outcome: outcome.clone() });
        outcome
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn compare(site: &Site, found: &BackupFile) -> Comparison {
    match backups::diff(site, found, false, None).await {
        Ok(found) => Comparison::Done(differences(&found)),
        Err(failure) => Comparison::Failed(sentences(&failure)),
    }
}

/// Converts the output of `restore --dry-run --json`.
fn differences(found: &Value) -> Differences {
    let databases = array(&found["databases"]).map(|database| (text(&database["path"]), change(&database["change"])));
    let steps = array(&found["switched_off"]).map(|step| (text(&step["step"]), texts(&step["apps"])));
    let files = &found["files"];
    Differences {
        databases: databases.collect(),
        appear: texts(&files["appear"]),
        change: texts(&files["change"]),
        vanish: texts(&files["vanish"]),
        same: files["same"].as_u64().unwrap_or_default(),
        switched_off: steps.filter(|(_, apps)| !apps.is_empty()).collect(),
        notes: texts(&found["notes"]),
    }
}

fn change(value: &Value) -> Change {
    match value.as_str() {
        Some("appears") => Change::Appears,
        Some("vanishes") => Change::Vanishes,
        _ => Change::Rows(
            array(&value["changes"])
                .map(|table| {
                    let rows = |name: &str| table[name].as_u64().unwrap_or_default();
                    (text(&table["table"]), rows("appear"), rows("change"), rows("vanish"))
                })
                .collect(),
        ),
    }
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn texts(value: &Value) -> Vec<String> {
    array(value).map(text).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_a_dry_run_is_converted() {
        let text = r#"{"databases": [{"path": "a.db", "change": {"changes": [{"table": "users", "appear": 1, "change": 2, "vanish": 0}]}},
            {"path": "b.db", "change": "vanishes"}], "files": {"appear": ["x"], "change": [], "vanish": [], "same": 3},
            "switched_off": [{"step": "alerts", "apps": ["1"]}, {"step": "none", "apps": []}], "notes": ["careful"]}"#;
        let found = differences(&serde_json::from_str(text).expect("JSON"));
        assert!(matches!(&found.databases[0].1, Change::Rows(rows) if rows[0] == ("users".to_owned(), 1, 2, 0)));
        assert!(matches!(found.databases[1].1, Change::Vanishes));
        assert_eq!((found.appear.len(), found.same, found.switched_off.len(), found.notes.len()), (1, 3, 1, 1));
    }
}

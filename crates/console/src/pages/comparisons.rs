//! Comparisons of backups with the current state: computed by a child process, cached for a minute, and shown as the changes
//! that a restore would make.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use maud::{Markup, html};
use serde_json::Value;
use tokio::sync::watch;

use super::{
    layout,
    table::{Row, list},
    visit::sentences,
    words::{self, array, text},
};
use crate::{
    Site,
    backups::{self, Backup, BackupFile},
};

/// An older comparison is computed again, because the state may have changed.
const MAX_AGE: Duration = Duration::from_secs(60);
/// A request waits this long for the result.
const WAIT: Duration = Duration::from_millis(1500);
/// Limit on cached and running comparisons.
const MOST: usize = 8;
/// Limit on the listed files.
const MOST_FILES: usize = 100;

#[derive(Debug, Clone)]
pub(super) enum Comparison {
    Running,
    Failed(String),
    /// The output of `restore --dry-run --json`.
    Done(Value),
}

#[derive(Debug)]
struct Entry {
    since: Instant,
    outcome: watch::Receiver<Comparison>,
}

/// The cache, by the backup's id.
#[derive(Debug, Default)]
pub(crate) struct Comparisons(Mutex<BTreeMap<String, Entry>>);

impl Comparisons {
    /// Returns the comparison with this backup. Starts it if necessary and waits a moment for the result.
    pub(super) async fn of(&self, site: &Arc<Site>, found: BackupFile) -> Comparison {
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
        Ok(found) => Comparison::Done(found),
        Err(failure) => Comparison::Failed(sentences(&failure)),
    }
}

pub(super) fn page(backup: &Backup, comparison: &Comparison) -> Markup {
    let path = format!("/backups/{}", backup.id);
    html! {
        div {
            p.crumb { a href=(path) { "← Backup of " (words::utc(backup.created_at)) } }
            (layout::head("Compared with now", "The changes that a restore as a copy would make. Nothing has been changed.", &html! {
                a.button.primary href={ (path) "/restore" } { "Restore…" }
            }))
        }
        @match comparison {
            Comparison::Running => section.card { p { "The backup is being read and compared. This page shows the result when it is ready." }
                p.small { a href={ (path) "/differences" } { "Refresh" } } },
            Comparison::Failed(why) => div.banner.bad role="alert" { p { (why) } },
            Comparison::Done(found) => (differences(found)),
        }
    }
}

fn differences(found: &Value) -> Markup {
    let rows: Vec<Row> = array(&found["databases"]).flat_map(database_rows).collect();
    let changed = ["appear", "change", "vanish"].map(|how| array(&found["files"][how]).map(text).collect::<Vec<_>>());
    let is_same = rows.is_empty() && changed.iter().all(Vec::is_empty);
    let [appear, change, vanish] = changed;
    let same = found["files"]["same"].as_u64().unwrap_or_default();
    let switched_off: Vec<_> = array(&found["switched_off"]).filter(|step| array(&step["apps"]).count() > 0).collect();
    let notes: Vec<String> = array(&found["notes"]).map(text).collect();
    html! {
        @if is_same { div.banner.good { p { "There are no differences between the backup and the current state." } } }
        @else {
            (list("Databases", &["Table", "Restored", "Changed", "Removed"], &rows, html! { p { "No row differs." } }))
            (files("Restored files", &appear))
            (files("Changed files", &change))
            (files("Removed files", &vanish))
            @if same > 0 { p.soft { "Unchanged: " (words::count(same, "file")) "." } }
        }
        @if !switched_off.is_empty() {
            section.card { h2 { "Apps that would be switched off" } ul { @for step in switched_off {
                li { (text(&step["step"])) ": " (array(&step["apps"]).map(text).collect::<Vec<_>>().join(", ")) }
            } } }
        }
        @if !notes.is_empty() { section.card { h2 { "Notes" } ul { @for note in &notes { li { (words::sentence(note)) } } } } }
    }
}

fn database_rows(database: &Value) -> Vec<Row> {
    let (path, change) = (text(&database["path"]), &database["change"]);
    let whole = |words: &str| {
        let row = Row::new(html! { code { (path) } }).cell("Restored", html! { (words) });
        vec![row.cell("Changed", html! {}).cell("Removed", html! {})]
    };
    let table = |table: &Value| {
        let number = |how: &str| match table[how].as_u64().unwrap_or_default() {
            0 => html! { span.soft { "–" } },
            rows => html! { (words::count(rows, "row")) },
        };
        Row::new(html! { (text(&table["table"])) small { (path) } })
            .cell("Restored", number("appear"))
            .cell("Changed", number("change"))
            .cell("Removed", number("vanish"))
    };
    match change.as_str() {
        Some("appears") => whole("the whole database"),
        Some("vanishes") => whole("nothing: the database is moved aside"),
        _ => array(&change["changes"]).map(table).collect(),
    }
}

fn files(title: &str, paths: &[String]) -> Markup {
    html! {
        @if !paths.is_empty() {
            section.card {
                h2 { (title) " (" (paths.len()) ")" }
                ul { @for path in paths.iter().take(MOST_FILES) { li { code { (path) } } } }
                @if paths.len() > MOST_FILES { p.soft { "And " (paths.len() - MOST_FILES) " more." } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_a_dry_run_is_shown() {
        let text = r#"{"databases": [{"path": "a.db", "change": {"changes": [{"table": "users", "appear": 1, "change": 2, "vanish": 0}]}},
            {"path": "b.db", "change": "vanishes"}], "files": {"appear": ["x"], "change": [], "vanish": [], "same": 3},
            "switched_off": [{"step": "alerts", "apps": ["1"]}, {"step": "none", "apps": []}], "notes": ["careful"]}"#;
        let shown = differences(&serde_json::from_str(text).expect("JSON")).into_string();
        for part in [
            "users<small>a.db</small>",
            r#"data-label="Restored"><div>1 row</div>"#,
            r#"data-label="Changed"><div>2 rows</div>"#,
            r#"data-label="Removed"><div><span class="soft">–</span></div>"#,
            "<code>b.db</code>",
            "nothing: the database is moved aside",
            "Restored files (1)",
            "Unchanged: 3 files.",
            "<li>alerts: 1</li>",
            "<li>Careful.</li>",
        ] {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
        assert!(!shown.contains("Changed files") && !shown.contains("none:"), "{shown}");
    }
}

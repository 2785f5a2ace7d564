//! The changes that a restore of a backup would make.

use maud::{Markup, html};

use super::super::{
    layout,
    table::{Row, cell, list},
    words,
};

/// The change of one database.
#[derive(Debug, Clone)]
pub enum Change {
    Appears,
    Vanishes,
    /// Table, and the numbers of rows that appear, change and vanish.
    Rows(Vec<(String, u64, u64, u64)>),
}

#[derive(Debug, Clone, Default)]
pub struct Differences {
    pub databases: Vec<(String, Change)>,
    pub appear: Vec<String>,
    pub change: Vec<String>,
    pub vanish: Vec<String>,
    pub same: u64,
    /// Quarantine steps, and the apps that each switches off.
    pub switched_off: Vec<(String, Vec<String>)>,
    pub notes: Vec<String>,
}

#[derive(Debug, Clone)]
pub enum Comparison {
    Running,
    Failed(String),
    Done(Differences),
}

/// Limit on the listed files.
const MOST: usize = 100;

pub fn page(id: &str, of: jiff::Timestamp, comparison: &Comparison) -> Markup {
    html! {
        div {
            p.crumb { a href={ "/backups/" (id) } { "← Backup of " (words::utc(of)) } }
            (layout::head("Compared with now", "The changes that a restore as a copy would make. Nothing has been changed.", &html! {
                a.button.primary href={ "/backups/" (id) "/restore" } { "Restore…" }
            }))
        }
        @match comparison {
            Comparison::Running => section.card { p { "The backup is being read and compared. This page shows the result when it is ready." }
                p.small { a href={ "/backups/" (id) "/differences" } { "Refresh" } } },
            Comparison::Failed(why) => div.banner.bad role="alert" { p { (why) } },
            Comparison::Done(found) => (done(found)),
        }
    }
}

fn done(found: &Differences) -> Markup {
    let rows: Vec<Row> = found.databases.iter().flat_map(|(path, change)| rows_of(path, change)).collect();
    let is_same = rows.is_empty() && found.appear.is_empty() && found.change.is_empty() && found.vanish.is_empty();
    html! {
        @if is_same { div.banner.good { p { "There are no differences between the backup and the current state." } } }
        @else {
            (list("Databases", &["Table", "Restored", "Changed", "Removed"], &rows, html! { p { "No row differs." } }))
            (files("Restored files", &found.appear))
            (files("Changed files", &found.change))
            (files("Removed files", &found.vanish))
            @if found.same > 0 { p.soft { "Unchanged: " (words::count(found.same, "file")) "." } }
        }
        @if !found.switched_off.is_empty() {
            section.card { h2 { "Apps that would be switched off" } ul { @for (step, apps) in &found.switched_off {
                li { (step) ": " (apps.join(", ")) }
            } } }
        }
        @if !found.notes.is_empty() { section.card { h2 { "Notes" } ul { @for note in &found.notes { li { (words::sentence(note)) } } } } }
    }
}

fn rows_of(path: &str, change: &Change) -> Vec<Row> {
    let whole = |words: &str| {
        vec![Row {
            head: html! { code { (path) } },
            cells: vec![cell("Restored", html! { (words) }), cell("Changed", html! {}), cell("Removed", html! {})],
        }]
    };
    match change {
        Change::Appears => whole("the whole database"),
        Change::Vanishes => whole("nothing: the database is moved aside"),
        Change::Rows(tables) => tables
            .iter()
            .map(|(table, appear, changed, vanish)| Row {
                head: html! { (table) small { (path) } },
                cells: vec![number("Restored", *appear), number("Changed", *changed), number("Removed", *vanish)],
            })
            .collect(),
    }
}

fn number(heading: &'static str, rows: u64) -> super::super::table::Cell {
    cell(heading, html! { @if rows == 0 { span.soft { "–" } } @else { (words::count(rows, "row")) } })
}

fn files(title: &str, paths: &[String]) -> Markup {
    html! {
        @if !paths.is_empty() {
            section.card {
                h2 { (title) " (" (paths.len()) ")" }
                ul { @for path in paths.iter().take(MOST) { li { code { (path) } } } }
                @if paths.len() > MOST { p.soft { "And " (paths.len() - MOST) " more." } }
            }
        }
    }
}

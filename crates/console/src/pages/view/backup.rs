//! One backup: what it says of itself, what is in it, what a restore would change, and the restore.

use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    super::{
        form::{self, Field, Filled},
        layout::{self, Section},
        table::{Row, cell, list},
        words,
    },
    backups::{Backup, download, verified},
};

/// A database in a backup.
#[derive(Debug, Clone, Default)]
pub struct Database {
    pub path: String,
    pub bytes: u64,
    pub findings: u64,
}

/// What is in a backup; with its key only.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    pub databases: Vec<Database>,
    /// Path and length of each file.
    pub files: Vec<(String, u64)>,
    pub notes: Vec<String>,
}

/// More than this are counted, not listed.
const MOST: usize = 200;

/// The page of one.
pub fn page(backup: &Backup, contents: Result<&Contents, &str>, now: Timestamp) -> Markup {
    html! {
        div {
            (layout::back_to(Section::Backups))
            (layout::head(&format!("Backup of {}", words::utc(backup.created)), "", &html! {
                a.button.primary href={ "/backups/" (backup.id) "/restore" } { "Restore…" }
                @if backup.is_own_key { a.button href={ "/backups/" (backup.id) "/differences" } { "Compare with now" } }
                a.button href=(download(backup)) { "Download" }
            }))
        }
        (facts(backup, now))
        @match contents {
            Ok(contents) => (inside(contents)),
            Err(why) => section.card { h2 { "What is in it" } p { (why) } },
        }
    }
}

fn facts(backup: &Backup, now: Timestamp) -> Markup {
    html! {
        section.card aria-label="What it says of itself" {
            dl.facts {
                dt { "File" } dd { code { (backup.file_name) } }
                dt { "Made" } dd { (words::time(backup.created)) ", " (words::age(backup.created, now)) }
                dt { "Kind" } dd { (if backup.is_scheduled { "scheduled" } else { "immediate" }) }
                dt { "Size" } dd { (words::size(backup.bytes)) }
                dt { "Verified" } dd { (verified(backup.verified)) }
                dt { "Instance" } dd { (if backup.is_own { "this one" } else { "another" }) }
                @if let Some(profile) = &backup.profile { dt { "Profile" } dd { (profile) } }
                dt { "Sealed with" } dd {
                    (if backup.is_own_key { "the secret key of this instance, " } else { "another secret key, " })
                    (words::fingerprint(&backup.key_fingerprint))
                }
                @if backup.quarantined == Some(true) { dt { "Apps" } dd { "off: it was made in quarantine" } }
            }
        }
    }
}

fn inside(contents: &Contents) -> Markup {
    let databases: Vec<Row> = contents.databases.iter().map(|database| Row {
        head: html! { code { (database.path) } },
        cells: vec![
            cell("Size", html! { (words::size(database.bytes)) }),
            cell("Check", html! { @if database.findings == 0 { "sound" } @else { (words::count(database.findings, "fault")) } }),
        ],
    }).collect();
    let files: Vec<Row> = contents
        .files
        .iter()
        .take(MOST)
        .map(|(path, bytes)| Row {
            head: html! { code { (path) } },
            cells: vec![cell("Size", html! { (words::size(*bytes)) })],
        })
        .collect();
    html! {
        (list("Databases in it", &["Database", "Size", "Check"], &databases, html! { p { "None." } }))
        (list(&format!("Files in it: {}", contents.files.len()), &["File", "Size"], &files, html! { p { "None." } }))
        @if contents.files.len() > MOST { p.soft { "Only the first " (MOST) " are shown; " code { "moorline inspect" } " lists all." } }
        @if !contents.notes.is_empty() {
            section.card { h2 { "Notes" } ul { @for note in &contents.notes { li { (note) } } } }
        }
    }
}

/// Asks how to restore it.
pub fn restore(backup: &Backup, csrf: &str, is_server: bool, filled: &Filled) -> Markup {
    let apps = filled.value("Apps");
    html! {
        div {
            p.crumb { a href={ "/backups/" (backup.id) } { "← Backup of " (words::utc(backup.created)) } }
            (layout::head("Restore this backup", "", &html! {}))
        }
        form.card.stack method="post" action={ "/backups/" (backup.id) "/restore" } {
            (form::trouble(filled))
            (form::csrf(csrf))
            p {
                "The state of " strong { (words::utc(backup.created)) } " takes the place of what is there now, whole or not at all. "
                "What it replaces is kept, and can be brought back under " a href="/restores" { "Restores" } "."
            }
            p { (when(is_server)) }
            fieldset {
                legend { "What will this be?" }
                label.choice {
                    input type="radio" name="Apps" value="off" checked[apps != "as-they-were"];
                    span { strong { "A copy: apps off" } span.hint {
                        "For a test, a look at earlier data, a second server. Nothing is sent, run or fetched until you release it under Apps."
                    } }
                }
                label.choice {
                    input type="radio" name="Apps" value="as-they-were" checked[apps == "as-they-were"];
                    span { strong { "A replacement: apps as they are in the backup" } span.hint {
                        "For the one server that goes on from here. Alerts, webhooks and jobs are on again as soon as it starts. Make sure that the old one does not run any more."
                    } }
                }
            }
            @if !backup.is_own_key {
                (Field::password("SecretKey", "Secret key of the backup", "off")
                    .hint("It was sealed with another key than this instance’s. It opens the backup and is not kept: what is restored is sealed with the key of this instance.")
                    .required().show(filled))
                p.small { "Its fingerprint is " (words::fingerprint(&backup.key_fingerprint)) "." }
            }
            div.actions {
                button.danger type="submit" { "Restore at the next restart" }
                a.button href={ "/backups/" (backup.id) } { "Cancel" }
            }
        }
    }
}

/// When what is written down now will happen.
pub fn when(is_server: bool) -> &'static str {
    if is_server {
        "Nothing happens now: it is written down as an init script, which runs when the container is restarted, before the console starts again."
    } else {
        "Nothing happens now: it is written down as an init script, which runs when the container of the server is restarted, before the server starts."
    }
}

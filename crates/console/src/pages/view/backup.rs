//! `/backups/{id}`: the header and the contents of one backup, and the form that requests its restore.

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

#[derive(Debug, Clone, Default)]
pub struct Database {
    pub path: String,
    pub bytes: u64,
    pub findings: u64,
}

/// Readable only with the backup's secret key.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    pub databases: Vec<Database>,
    /// Path and length of each file.
    pub files: Vec<(String, u64)>,
    pub notes: Vec<String>,
}

/// Limit on the listed files.
const MOST: usize = 200;

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
            Err(why) => section.card { h2 { "Contents" } p { (why) } },
        }
    }
}

fn facts(backup: &Backup, now: Timestamp) -> Markup {
    html! {
        section.card aria-label="Properties" {
            dl.facts {
                dt { "File" } dd { code { (backup.file_name) } }
                dt { "Created" } dd { (words::time(backup.created)) ", " (words::age(backup.created, now)) }
                dt { "Kind" } dd { (if backup.is_scheduled { "scheduled" } else { "immediate" }) }
                dt { "Size" } dd { (words::size(backup.bytes)) }
                dt { "Verified" } dd { (verified(backup.verified)) }
                dt { "Instance" } dd { (if backup.is_own { "this one" } else { "another" }) }
                @if let Some(profile) = &backup.profile { dt { "Profile" } dd { (profile) } }
                dt { "Encrypted with" } dd {
                    (if backup.is_own_key { "the secret key of this instance, " } else { "another secret key, " })
                    (words::fingerprint(&backup.key_fingerprint))
                }
                @if backup.quarantined == Some(true) { dt { "Apps" } dd { "off, because the backup was taken in quarantine" } }
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
        (list("Databases", &["Database", "Size", "Check"], &databases, html! { p { "None." } }))
        (list(&format!("Files ({})", contents.files.len()), &["File", "Size"], &files, html! { p { "None." } }))
        @if contents.files.len() > MOST { p.soft { "Only the first " (MOST) " are shown; " code { "moorline inspect" } " lists all files." } }
        @if !contents.notes.is_empty() {
            section.card { h2 { "Notes" } ul { @for note in &contents.notes { li { (note) } } } }
        }
    }
}

/// The form that requests a restore.
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
                "The state of " strong { (words::utc(backup.created)) } " replaces the current state. If the restore fails, nothing changes. "
                "The replaced state is kept, and you can bring it back under " a href="/restores" { "Restores" } "."
            }
            p { (when(is_server)) }
            fieldset {
                legend { "Purpose of the restore" }
                label.choice {
                    input type="radio" name="Apps" value="off" checked[apps != "as-they-were"];
                    span { strong { "A copy: apps off" } span.hint {
                        "For a test, a look at earlier data, or a second server. It gets a new identity, so that earlier backups no longer count as its own. Its apps stay off until you release them under " (Section::Apps.title()) "."
                    } }
                }
                label.choice {
                    input type="radio" name="Apps" value="as-they-were" checked[apps == "as-they-were"];
                    span { strong { "A replacement: apps as they are in the backup" } span.hint {
                        "For a server that takes the place of the original. Alerts, webhooks and jobs are on as soon as it starts. Make sure that the original no longer runs."
                    } }
                }
            }
            @if !backup.is_own_key {
                (Field::password("SecretKey", "Secret key of the backup", "off")
                    .hint("This backup is encrypted with another key than this instance’s. The key is used for this restore only: the restored secrets and later backups are encrypted with the key of this instance.")
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

/// Explains when a requested restore or rollback happens.
pub fn when(is_server: bool) -> &'static str {
    if is_server {
        "Nothing changes now. The console writes an init script, which runs when you restart the container, before the console starts again."
    } else {
        "Nothing changes now. The console writes an init script, which runs when you restart the container of the server, before the server starts."
    }
}

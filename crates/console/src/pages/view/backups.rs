//! `/backups`: key figures, the list of backups, unreadable files, and the upload form.

use jiff::Timestamp;
use maud::{Markup, html};

use super::super::{
    form,
    layout::{self, Tone, pill},
    table::{Row, cell, list},
    words,
};

#[derive(Debug, Clone)]
pub struct Backup {
    pub id: String,
    pub file_name: String,
    pub created: Timestamp,
    pub is_scheduled: bool,
    pub bytes: u64,
    /// `None` without the backup's secret key.
    pub verified: Option<bool>,
    pub key_fingerprint: String,
    /// Whether this instance's secret key opens the backup.
    pub is_own_key: bool,
    /// Whether this instance took the backup.
    pub is_own: bool,
    pub quarantined: Option<bool>,
    pub profile: Option<String>,
}

/// A file that is named like a backup but cannot be read as one.
#[derive(Debug, Clone)]
pub struct Unreadable {
    pub file_name: String,
    pub why: String,
}

#[derive(Debug)]
pub struct Page<'a> {
    pub now: Timestamp,
    pub csrf: &'a str,
    pub backups: &'a [Backup],
    pub unreadable: &'a [Unreadable],
    pub folder: String,
    pub next: Option<Timestamp>,
    pub keep: u64,
}

const HEADINGS: [&str; 6] = ["Created", "Kind", "Size", "Verified", "Secret key", "~Actions"];

impl Page<'_> {
    pub fn show(&self) -> Markup {
        html! {
            (layout::head("Backups", "", &self.actions()))
            (self.figures())
            (list("Backups", &HEADINGS, &self.rows(), html! {
                p { strong { "There are no backups yet." } }
                p { "The console takes the first backup automatically, or immediately if you press “Back up now”." }
            }))
            (self.unreadable())
            (self.upload())
        }
    }

    fn actions(&self) -> Markup {
        html! {
            (form::button("/backups/now", self.csrf, "primary", html! { "Back up now" }))
            (form::button("/backups/immediate", self.csrf, "", html! { "Download immediate backup" }))
        }
    }

    fn figures(&self) -> Markup {
        let newest = self.backups.iter().filter(|backup| backup.is_own).map(|backup| backup.created).max();
        html! {
            dl.figures {
                div { dt { "Last backup" } dd {
                    @match newest {
                        Some(at) => { (words::age(at, self.now)) small { (words::time(at)) } },
                        None => "none yet",
                    }
                } }
                div { dt { "Next backup" } dd {
                    @match self.next {
                        Some(at) => { (words::age(at, self.now)) small { (words::time(at)) } },
                        None => "unknown",
                    }
                } }
                div { dt { "Retention" } dd {
                    (words::count(self.keep, "scheduled backup"))
                    small { "in " code { (self.folder) } }
                } }
            }
        }
    }

    fn rows(&self) -> Vec<Row> {
        self.backups.iter().map(|backup| self.row(backup)).collect()
    }

    fn row(&self, backup: &Backup) -> Row {
        let path = format!("/backups/{}", backup.id);
        Row {
            head: html! { a href=(path) { (words::time(backup.created)) } small { (words::age(backup.created, self.now)) } },
            cells: vec![
                cell(
                    "Kind",
                    html! {
                        (if backup.is_scheduled { "scheduled" } else { "immediate" })
                        @if !backup.is_own { small { "of another instance" } }
                        @if backup.quarantined == Some(true) { small { "apps off" } }
                    },
                ),
                cell("Size", html! { span.num.nowrap { (words::size(backup.bytes)) } }),
                cell("Verified", verified(backup.verified)),
                cell(
                    "Secret key",
                    html! {
                        @if backup.is_own_key { "this instance’s" } @else { "another" }
                        small { code title=(backup.key_fingerprint) { (backup.key_fingerprint.get(..8).unwrap_or_default()) "…" } }
                    },
                ),
                cell(
                    "",
                    html! { div.actions {
                        a.button.small href=(download(backup)) aria-label={ "Download " (backup.file_name) } { "Download" }
                        a.button.small href={ (path) "/restore" } aria-label={ "Restore " (backup.file_name) } { "Restore…" }
                    } },
                ),
            ],
        }
    }

    fn unreadable(&self) -> Markup {
        html! {
            @if !self.unreadable.is_empty() {
                section.card aria-labelledby="unreadable" {
                    h2 #unreadable { "Unreadable backup files" }
                    ul.stack.tight { @for file in self.unreadable {
                        li { code { (file.file_name) } ": " (file.why) }
                    } }
                    p.soft { "These files are never removed automatically. Move them elsewhere, or replace each with an undamaged copy." }
                }
            }
        }
    }

    fn upload(&self) -> Markup {
        html! {
            form.card.stack method="post" action="/backups/upload" enctype="multipart/form-data" {
                h2 { "Upload a backup" }
                p.soft { "The file is verified before it is added. You can also upload a backup that is encrypted with another secret key; restoring it requires that key." }
                (form::csrf(self.csrf))
                div.field {
                    label for="file" { "Backup file" }
                    input #file type="file" name="file" accept=".seqbac" required;
                }
                div.actions { button type="submit" { "Upload" } }
            }
        }
    }
}

pub fn verified(verified: Option<bool>) -> Markup {
    match verified {
        Some(true) => pill(Tone::Good, "✓ verified"),
        Some(false) => pill(Tone::Bad, "! has faults"),
        None => pill(Tone::Plain, "? needs its key"),
    }
}

/// The address of the backup's file.
pub fn download(backup: &Backup) -> String {
    format!("/api/backups/files/{}", backup.file_name)
}

//! The list of backups, and what can be done there.

use jiff::Timestamp;
use maud::{Markup, html};

use super::super::{
    form,
    layout::{self, Tone, pill},
    table::{Row, cell, list},
    words,
};

/// One backup.
#[derive(Debug, Clone)]
pub struct Backup {
    pub id: String,
    pub file_name: String,
    pub created: Timestamp,
    pub is_scheduled: bool,
    pub bytes: u64,
    /// Unknown without its key.
    pub verified: Option<bool>,
    pub key_fingerprint: String,
    /// Whether the secret key here opens it.
    pub is_own_key: bool,
    /// Whether this instance made it.
    pub is_own: bool,
    pub quarantined: Option<bool>,
    pub profile: Option<String>,
}

/// A file that could not be read as a backup.
#[derive(Debug, Clone)]
pub struct Unreadable {
    pub file_name: String,
    pub why: String,
}

/// The page.
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

const HEADINGS: [&str; 6] = ["Made", "Kind", "Size", "Verified", "Secret key", "~What to do"];

impl Page<'_> {
    /// The page's content.
    pub fn show(&self) -> Markup {
        html! {
            (layout::head("Backups", "", &self.actions()))
            (self.figures())
            (list("Backups that are kept", &HEADINGS, &self.rows(), html! {
                p { strong { "There is no backup yet." } }
                p { "The first is made by itself; “Back up now” does not wait." }
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
                div { dt { "Newest of this instance" } dd {
                    @match newest {
                        Some(at) => { (words::age(at, self.now)) small { (words::time(at)) } },
                        None => "none yet",
                    }
                } }
                div { dt { "Next scheduled" } dd {
                    @match self.next {
                        Some(at) => { (words::age(at, self.now)) small { (words::time(at)) } },
                        None => "not known",
                    }
                } }
                div { dt { "Kept" } dd {
                    "up to " (words::count(self.keep, "scheduled backup"))
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
                        @if backup.is_own_key { "this one" } @else { "another" }
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
                    h2 #unreadable { "Files that are called a backup, and cannot be read as one" }
                    ul.stack.tight { @for file in self.unreadable {
                        li { code { (file.file_name) } ": " (file.why) }
                    } }
                    p.soft { "Nothing removes them. Move them elsewhere, or replace them by a copy that is whole." }
                }
            }
        }
    }

    fn upload(&self) -> Markup {
        html! {
            form.card.stack method="post" action="/backups/upload" enctype="multipart/form-data" {
                h2 { "Upload a backup" }
                p.soft { "It is read back first, and named only if it is whole. One of another secret key can be kept too; to restore it, its key is needed." }
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

/// Whether a backup is sound.
pub fn verified(verified: Option<bool>) -> Markup {
    match verified {
        Some(true) => pill(Tone::Good, "✓ verified"),
        Some(false) => pill(Tone::Bad, "! has faults"),
        None => pill(Tone::Plain, "? needs its key"),
    }
}

/// Where its file is.
pub fn download(backup: &Backup) -> String {
    format!("/api/backups/files/{}", backup.file_name)
}

//! `/schedule`: the next and the last backup, the calendar, and the form of the settings.

use std::collections::BTreeMap;

use jiff::Timestamp;
use maud::{Markup, html};

use super::super::{
    form::{self, Field, Filled},
    layout, words,
};

/// The last backup or attempt.
#[derive(Debug, Clone)]
pub struct Last {
    pub at: Timestamp,
    /// The error, if the attempt failed.
    pub failure: Option<String>,
}

#[derive(Debug)]
pub struct Page<'a> {
    pub now: Timestamp,
    pub csrf: &'a str,
    pub next: Option<Timestamp>,
    pub last: Option<Last>,
    pub calendar: Markup,
    /// Settings from the environment, with the name of the variable.
    pub fixed: &'a BTreeMap<&'static str, String>,
}

impl Page<'_> {
    pub fn show(&self, filled: &Filled) -> Markup {
        html! {
            (layout::head("Schedule and settings", "", &form::button("/backups/now", self.csrf, "", html! { "Back up now" })))
            (self.figures())
            section.card aria-label="Calendar" { (self.calendar) }
            (self.form(filled))
        }
    }

    fn figures(&self) -> Markup {
        html! {
            dl.figures {
                div { dt { "Next run" } dd { @match self.next {
                    Some(at) => { (words::age(at, self.now)) small { (words::time(at)) } },
                    None => "unknown",
                } } }
                div { dt { "Last result" } dd { @match &self.last {
                    Some(last) => {
                        @if last.failure.is_some() { "failed " } @else { "complete " } (words::age(last.at, self.now))
                        small { (words::time(last.at)) @if let Some(failure) = &last.failure { ": " (failure) } }
                    },
                    None => "none yet",
                } } }
            }
        }
    }

    fn form(&self, filled: &Filled) -> Markup {
        let fixed = |name: &str| {
            self.fixed
                .get(name)
                .map(|variable| format!("Set by {variable} in the environment, so it cannot be changed here."))
        };
        let (at, keep, location, title) =
            (fixed("BackupUtcTimeOfDay"), fixed("BackupsToKeep"), fixed("BackupLocation"), fixed("InstanceTitle"));
        html! {
            form.card.stack method="post" action="/schedule" {
                h2 { "Settings" }
                (form::trouble(filled))
                (form::csrf(self.csrf))
                (Field::text("BackupUtcTimeOfDay", "Time of day (UTC)").required()
                    .hint("Hours and minutes, such as 03:00. A missed backup is taken as soon as possible.").read_only(at.as_deref()).show(filled))
                (Field::text("BackupsToKeep", "Scheduled backups to keep").kind("number").required()
                    .hint("At least one. The oldest are removed after a newer backup is verified. Immediate backups are never removed automatically.").read_only(keep.as_deref()).show(filled))
                (Field::text("BackupLocation", "Backup folder")
                    .hint("Absolute path in this container. Empty: Backups in the storage root.").read_only(location.as_deref()).show(filled))
                (Field::text("InstanceTitle", "Name of this instance")
                    .hint("Shown at the top of each page.").read_only(title.as_deref()).show(filled))
                div.actions { button.primary type="submit" { "Save" } }
            }
        }
    }
}

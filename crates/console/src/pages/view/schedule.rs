//! When backups are made, how that went, and the settings.

use std::collections::BTreeMap;

use jiff::Timestamp;
use maud::{Markup, html};

use super::super::{
    form::{self, Field, Filled},
    layout, words,
};

/// How the last one went.
#[derive(Debug, Clone)]
pub struct Last {
    pub at: Timestamp,
    /// What went wrong.
    pub failure: Option<String>,
}

/// The page.
#[derive(Debug)]
pub struct Page<'a> {
    pub now: Timestamp,
    pub csrf: &'a str,
    pub next: Option<Timestamp>,
    pub last: Option<Last>,
    pub calendar: Markup,
    /// Settings that the environment decides, and the variable.
    pub fixed: &'a BTreeMap<&'static str, String>,
}

impl Page<'_> {
    /// The page's content.
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
                    None => "not known",
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
                .map(|variable| format!("Decided by {variable} in the environment, so it cannot be changed here."))
        };
        let (at, keep, location, title) =
            (fixed("BackupUtcTimeOfDay"), fixed("BackupsToKeep"), fixed("BackupLocation"), fixed("InstanceTitle"));
        html! {
            form.card.stack method="post" action="/schedule" {
                h2 { "Settings" }
                (form::trouble(filled))
                (form::csrf(self.csrf))
                (Field::text("BackupUtcTimeOfDay", "Time of day, in UTC").required()
                    .hint("Hours and minutes, such as 03:00. One that was missed is made up for once.").read_only(at.as_deref()).show(filled))
                (Field::text("BackupsToKeep", "Scheduled backups to keep").kind("number").required()
                    .hint("At least one. An older one is removed only after a newer one was verified; immediate backups stay.").read_only(keep.as_deref()).show(filled))
                (Field::text("BackupLocation", "Where backups are kept")
                    .hint("A folder that this container sees. Empty: Backups in the storage root.").read_only(location.as_deref()).show(filled))
                (Field::text("InstanceTitle", "Name of this instance")
                    .hint("At the top of each page.").read_only(title.as_deref()).show(filled))
                div.actions { button.primary type="submit" { "Save" } }
            }
        }
    }
}

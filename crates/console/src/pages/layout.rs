//! The frame of every page: instance name, menu, banners, running jobs.

use axum::response::Html;
use maud::{DOCTYPE, Markup, html};

use super::{assets, flash::Flash, form, running};
use crate::{jobs::Running, permission::Permission};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Backups,
    Schedule,
    Restores,
    Apps,
    Events,
    Signals,
    Access,
    SecretKey,
}

impl Section {
    /// In the order of the menu.
    pub(super) const ALL: [Self; 8] = [
        Self::Backups,
        Self::Schedule,
        Self::Restores,
        Self::Apps,
        Self::Events,
        Self::Signals,
        Self::Access,
        Self::SecretKey,
    ];

    /// Title, path, and the permission to see it.
    const fn entry(self) -> (&'static str, &'static str, Permission) {
        match self {
            Self::Backups => ("Backups", "/backups", Permission::System),
            Self::Schedule => ("Schedule and settings", "/schedule", Permission::System),
            Self::Restores => ("Restores", "/restores", Permission::System),
            Self::Apps => ("Apps and notifications", "/apps", Permission::System),
            Self::Events => ("Events", "/events", Permission::Read),
            Self::Signals => ("Signals", "/signals", Permission::Read),
            Self::Access => ("Users and API keys", "/users", Permission::Write),
            Self::SecretKey => ("Secret key", "/secret-key", Permission::System),
        }
    }

    pub(super) const fn title(self) -> &'static str {
        self.entry().0
    }

    pub(super) const fn path(self) -> &'static str {
        self.entry().1
    }

    pub(super) const fn needs(self) -> Permission {
        self.entry().2
    }
}

/// The colour of a banner or label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Plain,
    Warn,
    Bad,
}

impl Tone {
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Plain => "",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// A banner that every page shows as long as its condition holds.
#[derive(Debug, Clone)]
pub(super) struct Notice {
    pub tone: Tone,
    /// The first sentence, in bold.
    pub short: String,
    pub long: String,
    /// Path and label of a link to the page that solves the problem.
    pub remedy: Option<(&'static str, &'static str)>,
}

impl Notice {
    fn show(&self) -> Markup {
        html! {
            div.banner.(self.tone.class()) {
                p { strong { (self.short) } " " (self.long) }
                @if let Some((path, words)) = self.remedy { a href=(path) { (words) } }
            }
        }
    }
}

/// The data around the content of a page.
#[derive(Debug, Clone, Default)]
pub(super) struct Frame {
    pub instance: String,
    /// The user name, if a user is logged in.
    pub user: Option<String>,
    /// The sections that the user may see.
    pub sections: Vec<Section>,
    pub notices: Vec<Notice>,
    pub flash: Option<Flash>,
    pub running: Vec<Running>,
}

impl Frame {
    pub(super) fn page(&self, section: Option<Section>, title: &str, body: &Markup) -> Markup {
        document(
            &format!("{title} · {}", self.instance),
            &html! {
                a.skip href="#main" { "Skip to content" }
                div.frame {
                    (self.top())
                    (self.menu(section))
                    main.main #main tabindex="-1" {
                        @for notice in &self.notices { (notice.show()) }
                        @if let Some(flash) = &self.flash { (flash.show()) }
                        (running::region(&self.running))
                        (body)
                    }
                }
            },
        )
    }

    fn top(&self) -> Markup {
        html! {
            header.top {
                a.brand href="/" { img src=(assets::ICON.path) alt="" width="28" height="28"; span { (self.instance) } }
                div.who {
                    @if let Some(user) = &self.user {
                        a href="/account" { span.unseen { "Your account: " } (user) }
                        (form::button("/logout", "small", html! { "Log out" }))
                    }
                }
                button.menu-button.small type="button" popovertarget="menu" { "Menu" }
            }
        }
    }

    fn menu(&self, current: Option<Section>) -> Markup {
        html! {
            nav.side #menu popover aria-label="Pages" {
                ul {
                    @for section in &self.sections {
                        li { a href=(section.path()) aria-current=[(current == Some(*section)).then_some("page")] {
                            (section.title())
                        } }
                    }
                    @if self.user.is_some() { li { a href="/account" { "Your account" } } }
                }
            }
        }
    }
}

/// A page without a menu, for the login and for errors.
pub(super) fn alone(instance: &str, title: &str, body: &Markup) -> Markup {
    document(
        &format!("{title} · {instance}"),
        &html! {
            main.alone #main {
                div.brand { img src=(assets::ICON.path) alt="" width="28" height="28"; span { (instance) } }
                (body)
            }
        },
    )
}

pub(super) fn html_of(page: Markup) -> Html<String> {
    Html(page.into_string())
}

/// The head of a page: title, purpose and buttons.
pub(super) fn head(title: &str, about: &str, actions: &Markup) -> Markup {
    html! {
        div.head {
            div { h1 { (title) } @if !about.is_empty() { p { (about) } } }
            @if !actions.0.is_empty() { div.actions { (actions) } }
        }
    }
}

/// A link back to the section.
pub(super) fn back_to(section: Section) -> Markup {
    html! { p.crumb { a href=(section.path()) { "← " (section.title()) } } }
}

pub(super) fn pill(tone: Tone, words: &str) -> Markup {
    html! { span.pill.(tone.class()) { (words) } }
}

fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) }
                link rel="icon" href=(assets::ICON.path) type="image/svg+xml";
                link rel="stylesheet" href=(assets::STYLE.path);
                script src=(assets::LIVE.path) defer {}
            }
            body { (body) }
        }
    }
}

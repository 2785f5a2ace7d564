//! The console's web pages: server-side HTML that works without scripts, without a mouse, on phones and in dark mode.
//!
//! A form is answered with a redirect to a page that shows the result once, or with the same form and an error beside each
//! invalid field. Destructive actions ask for confirmation on a page of their own. There are no inline styles or scripts.
//! Pages call the same functions as the API and contain no logic of their own.

mod access;
mod apps;
mod assets;
mod backup;
mod backups;
mod comparisons;
mod error_pages;
mod events;
mod fields;
mod flash;
mod form;
mod layout;
mod login;
mod notices;
mod notifications;
mod restores;
mod routes;
mod running;
mod schedule;
mod secret_key;
mod signals;
mod table;
mod view;
mod visit;
mod words;

pub(super) use self::{
    error_pages::as_pages,
    routes::{RULES, router},
};

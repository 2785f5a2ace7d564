//! The console's pages: HTML made here, usable without a script, without a mouse, on a phone, in the dark.
//!
//! A form is answered by a redirect, which says what was done on the page that it leads to, or by the same form with what
//! is wrong beside the field. What destroys something asks on a page of its own. Nothing is inline: no style, no script.
//! Pages call the functions that the API calls, and decide nothing by themselves.

mod access;
mod apps;
mod assets;
mod backup;
mod backups;
mod comparisons;
mod events;
mod faults;
mod fields;
mod flash;
mod form;
mod instances;
mod layout;
mod login;
mod notices;
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
    faults::as_pages,
    routes::{RULES, router},
};

//! The content of each page: data in, HTML out. The files here never query the console.

pub(super) mod access;
pub(super) mod apps;
pub(super) mod backup;
pub(super) mod backups;
pub(super) mod calendar;
pub(super) mod differences;
pub(super) mod error;
pub(super) mod events;
pub(super) mod login;
pub(super) mod notifications;
pub(super) mod remove;
pub(super) mod restores;
pub(super) mod schedule;
pub(super) mod secret_key;
pub(super) mod signals;

//! What is on each page: data in, HTML out. No file here asks anything of the console.

pub(super) mod access;
pub(super) mod apps;
pub(super) mod backup;
pub(super) mod backups;
pub(super) mod calendar;
pub(super) mod differences;
pub(super) mod events;
pub(super) mod login;
pub(super) mod problem;
pub(super) mod remove;
pub(super) mod restores;
pub(super) mod schedule;
pub(super) mod secret_key;
pub(super) mod signals;

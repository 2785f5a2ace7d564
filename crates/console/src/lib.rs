//! The console: daily backups, and all of it in sight, beside the server, as a sidecar, or as the server itself.
//!
//! It is a process of its own, and the only one that is asynchronous. Whatever takes long or much memory (a backup, a
//! verification, a comparison) is a child: this program with another verb, so that the console stays small and answers
//! meanwhile, and its end harms neither the backup nor the server.

pub mod api;
pub mod auth;
pub mod backups;
pub mod calendar;
mod console;
mod database;
pub mod entities;
mod failure;
pub mod filter;
mod first_run;
pub mod health;
pub mod jobs;
mod listen;
pub mod metrics;
pub mod notify;
mod pages;
pub mod password;
mod patience;
pub mod permission;
pub mod quarantine;
pub mod restores;
mod role;
pub mod router;
pub mod rules;
pub mod schedule;
pub mod scheduler;
mod site;
mod start;

pub use self::{
    console::Console,
    database::Database,
    failure::Failure,
    first_run::FirstRun,
    jobs::Jobs,
    listen::{Stop, parse as parse_listen},
    role::Role,
    site::{Site, blocking},
    start::{Settings, run},
};

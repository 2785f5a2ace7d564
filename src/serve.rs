//! The console: daily backups, and all of it in sight, beside the server, as a sidecar, or as the server itself.
//!
//! It is a process of its own, and the only one that is asynchronous. Whatever takes long or much memory (a backup, a
//! verification, a comparison) is a child: this program with another verb, so that the console stays small and answers
//! meanwhile, and its end harms neither the backup nor the server.

mod console;
mod database;
pub mod jobs;

pub use self::{console::Console, database::Database, jobs::Jobs};

//! The engine: what happens to a server's state. A library without a terminal and without an environment.
//!
//! A module never imports from one above it in this list.
//!
//! - [`apps`]: what a person asks about apps: look, disable, release, carry out what is pending
//! - [`restore`]: a backup onto the volume, completely or not at all; rollback
//! - [`backup`]: a backup taken, read back, listed, kept
//! - [`quarantine`]: apps switched off in a copy, recorded, released
//! - [`metastore`]: the console's own database, which travels with backups
//! - [`finds`]: what each store of a profile finds on a volume
//! - [`store`]: databases and files, off the volume and back onto it
//! - [`sealed`]: small secrets, sealed with the secret key

pub mod apps;
pub mod backup;
pub mod finds;
pub mod metastore;
pub mod quarantine;
pub mod restore;
pub mod sealed;
pub mod store;

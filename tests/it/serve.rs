//! The console over real HTTP.

mod backups;
mod client;
mod connections;
mod cost;
mod first_run;
mod full_disk;
mod keys;
mod location;
mod login;
mod permissions;
mod restores;
mod secrets;
mod tls;
mod told;

//! The console over real HTTP.

mod backups;
pub mod client;
mod connections;
mod cost;
mod damaged;
mod first_run;
mod keys;
mod location;
mod login;
mod lost_password;
mod origin;
mod permissions;
mod restores;
mod secrets;
mod tls;
mod told;
mod verification;

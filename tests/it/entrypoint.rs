//! From container start to server: what the server is given, what keeps it from starting, and who may run.

mod bare;
mod boot_backup;
mod exec;
mod leftovers;
mod lock;
mod newer_format;
mod server;
mod settled;

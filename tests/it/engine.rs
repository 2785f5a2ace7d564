//! Quarantine and release, through the library, on real databases: what separates a copy that comes back exactly from one
//! that nearly does.

mod again;
mod crash;
mod delete;
mod errors;
mod files;
mod insert;
mod look;
mod release;
mod sidecars;
mod stores;
mod support;
mod update;

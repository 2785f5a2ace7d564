//! moorline through its front door: the real binary on real volumes.

mod backup;
mod cli;
mod crash;
mod entrypoint;
mod format;
mod house;
mod init;
mod memory;
mod restore;
mod store;
mod support;

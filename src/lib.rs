//! PID 1 of a container: init scripts, hand-over to the server, supervision. Small and synchronous.
//!
//! It never opens a database, reads no backup beyond its plaintext header, and starts the engine (`moorline-engine`) for
//! everything else. A start that has nothing to recover, create or release starts no program but the server.
//!
//! - [`command`]: the command line of `moorline`: options, variables, output, log lines, the hand-over to the engine
//! - [`entrypoint`]: from container start to server, step by step; staying PID 1 beside it
//! - [`init`]: init scripts: found, recognised, run once each, marked

pub mod command;
pub mod entrypoint;
pub mod init;

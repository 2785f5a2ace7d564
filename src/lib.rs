//! moorline: a container entrypoint that makes a stateful server recoverable.
//!
//! It runs as PID 1, runs the scripts that it finds in the volume's `Init/` once each, restores an encrypted backup
//! when one of them says so, and hands over to the server. A restore happens whole or not at all.
//!
//! This page is the map. A room never reaches into one that stands above it here; `foo.rs` says what the room is for,
//! and stands beside `foo/`.
//!
//! | room | what you find in it |
//! | --- | --- |
//! | [`cli`] | one file per verb: arguments in, words out; settings from the environment; no logic |
//! | [`entrypoint`] | the straight line from container start to server: lock, recovery, scripts, key, exec; signals |
//! | [`init`] | init scripts: found, recognised, run once each, marked done or failed; the ledger; redaction |
//! | [`restore`] | a backup onto the volume, whole or not at all: plan, stage, journal, commit, recovery, rollback |
//! | [`backup`] | a backup made, read back and listed; its manifest; which ones are kept |
//! | [`profile`] | what a server's state is when nobody has said: discovery |
//! | [`store`] | SQLite databases and trees of files, into an archive and out of it; what is never captured |
//! | [`seqbac`] | the `.seqbac` file format: header, sealed segments, frames, tar, digest, footer; its ten errors |
//! | [`key`] | the secret key: its bytes, its sources, its fingerprint |
//! | [`process`] | children and exec: signals kept and given back, output relayed, leftovers stopped, why an exec failed |
//! | [`volume`] | the storage root: paths, the lock, the instance, durable writes and renames |
//! | [`mod@error`] | one failure: its kind and exit code, what happened, what to do |

pub mod backup;
pub mod cli;
pub mod entrypoint;
pub mod error;
pub mod init;
pub mod key;
pub mod process;
pub mod profile;
pub mod restore;
pub mod seqbac;
pub mod store;
pub mod volume;

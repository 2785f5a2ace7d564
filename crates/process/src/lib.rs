//! Processes for a program that may be PID 1: signals, children, reaping, exec. Nothing here knows scripts or backups.
//!
//! Rules: signals are blocked from the first instructions and never lost; children and the server get the signal mask and
//! dispositions that this process inherited, not its own; only this crate waits for children; nothing starts a thread.
//!
//! Limitation: unless this process is root, it cannot kill leftovers of another user.
//!
//! - `signals.rs`: blocking, reading and restoring signals; stop signals; subreaper; parent death signal
//! - `routes.rs`: which signal is forwarded as which, `--rewrite` rules, names and numbers of signals
//! - `child.rs`: running one child to its end: output relayed to the log, stop signals, grace period, SIGKILL
//! - `isolation.rs`: settings of such a child between fork and exec: session, priority, descriptors, user
//! - `start.rs`: starting a server or companion without waiting for it: process group, terminal, reason of a failed exec
//! - `reap.rs`: reaping children (`waitpid`)
//! - `leftovers.rs`: finding, naming and stopping descendants that a child left running
//! - `freeze.rs`: stopping a server's processes for a moment
//! - `kill.rs`: sending signals by number to a process or a group
//! - `exec.rs`: finding a program on PATH, exec, why it failed (exit 126 or 127), `#!` lines, `noexec`, close-on-exec
//! - `user.rs`: `--user`: `/etc/passwd` and `/etc/group`, changing user and groups
//! - `variables.rs`: a set of environment variables for a child
//! - `environment.rs`: changing this process's own environment
//! - `fd.rs`: descriptors that were inherited by number
//! - `limits.rs`: the limit of open files
//! - `own.rs`: the path of this program
//! - `pages.rs`: returning memory pages that only the start needed
//! - `writeback.rs`: early write-back of file data

#![allow(unsafe_code, reason = "system calls are made here, so that no other crate needs to")]

pub mod child;
pub mod environment;
pub mod exec;
pub mod fd;
pub mod freeze;
pub mod isolation;
pub mod kill;
pub mod leftovers;
pub mod limits;
pub mod own;
pub mod pages;
pub mod reap;
pub mod routes;
pub mod signals;
pub mod start;
pub mod user;
pub mod variables;
pub mod writeback;

pub use self::{
    child::{Ended, Listener, Relay},
    exec::NotExecuted,
    isolation::Isolation,
    own::{ARGUMENTS_FD, Own},
    routes::Routes,
    signals::{InheritedSignals, Signals},
    user::User,
    variables::Variables,
};

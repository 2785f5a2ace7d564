//! Processes: signals as they were found, children run and waited for, what they leave behind, exec.
//!
//! A process that starts a server may be PID 1, so: signals are held from the first instructions and never lost;
//! children and the server get the mask and dispositions that this process was given, not its own; every child is
//! waited for here and nowhere else; nothing starts a thread.
//!
//! It does not promise to kill what hides from it: a process of another user, where this one is not root.

#![allow(unsafe_code, reason = "system calls are made here, so that no other crate needs to")]

pub mod child;
pub mod environment;
pub mod exec;
pub mod fd;
pub mod isolation;
pub mod kill;
pub mod leftovers;
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

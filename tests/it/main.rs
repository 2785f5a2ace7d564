//! moorline through its front door: the real binary on real volumes.

#![allow(unsafe_code, reason = "tests hand descriptors to programs and change their own signal mask")]
#![allow(clippy::panic)] // In a helper of a test it is a failed test.
#![allow(clippy::disallowed_methods)] // A failed `stat` fails the test.
#![allow(clippy::print_stdout)] // What a test measured is for whoever runs it alone.

mod after_start;
mod backup;
mod capture;
mod cli;
mod clock;
mod console;
mod crash;
mod elsewhere;
mod engine;
mod entrypoint;
mod events;
mod examples;
mod fetch;
mod fixture;
mod format;
mod health;
mod house;
mod init;
mod interrupted;
mod jobs;
mod json_steps;
mod latest;
mod log_format;
mod memory;
mod metadata;
mod narrow;
mod notify;
mod podman;
mod private_ca;
mod profile;
mod progress;
mod prove;
mod quarantine;
mod restore;
mod restore_part;
mod rollback;
mod schedule;
mod serve;
mod store;
mod supervise;
mod support;
mod suspect;
mod twins;
mod two_programs;
mod unprivileged;
mod upgrade;
mod user;
mod volume_as_it_is;

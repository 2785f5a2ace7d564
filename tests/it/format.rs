//! The `.seqbac` format: golden vectors, every flipped bit and every truncation of a small backup, and strangers' tools
//! in both directions.

#![allow(clippy::panic, reason = "clippy does not know that helpers of tests are tests")]

mod damage;
mod forge;
mod random_access;
mod samples;
mod scenarios;
mod strangers;
mod vectors;

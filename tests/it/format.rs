//! The `.seqbac` format: golden vectors, every flipped bit and every truncation of a small backup, and strangers' tools
//! in both directions.

mod damage;
mod forge;
mod random_access;
mod samples;
mod scenarios;
mod strangers;
mod vectors;

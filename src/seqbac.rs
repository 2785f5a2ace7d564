//! The `.seqbac` file format.

pub mod entry;
pub use entry::{Entry, Kind};

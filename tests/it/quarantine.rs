//! Quarantine through the front door: a copy is silent until it is released, and then exactly what it was.

mod backup;
pub mod bell;
mod decided;
mod files;
mod places;
mod released;
mod start;
mod verbs;

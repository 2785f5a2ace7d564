//! Quarantine through the front door: a copy is silent until it is released, and then exactly what it was.

mod backup;
pub mod bell;
mod decided;
mod places;
mod released;
mod start;
mod verbs;

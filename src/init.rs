//! Init scripts.

//! Init scripts, seen from outside: dropped into `Init/`, run once, marked.

mod crash;
mod failure;
mod kinds;
mod once;
mod places;
mod secrets;

//! Init scripts, seen from outside: dropped into `Init/`, run once, marked.

mod broken;
mod crash;
mod failure;
mod ignored_exit_codes;
mod kinds;
mod once;
mod places;
mod secrets;

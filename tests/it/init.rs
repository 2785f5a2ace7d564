//! Init scripts, seen from outside: dropped into `Init/`, run once, marked.

mod broken;
mod crash;
mod distrust;
mod endless;
mod failure;
mod for_server;
mod guard;
mod hints;
mod ignored_exit_codes;
mod kinds;
mod languages;
mod once;
mod patience;
mod places;
mod secrets;

//! Init scripts, seen from outside: dropped into `Init/`, run once, marked.

mod broken;
mod crash;
mod failure;
mod for_server;
mod ignored_exit_codes;
mod kinds;
mod languages;
mod once;
mod patience;
mod places;
mod secrets;

//! Profiles: which one a volume has, what it says is the state, and what is wrong with one.

mod built_in;
mod choice;
mod faults;
mod read;
mod show;
mod stores;

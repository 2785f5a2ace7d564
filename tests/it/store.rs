//! Stores, through the library: what is captured while a server writes, and what is put back.

mod capture;
mod check;
mod compare;
mod files;
mod locks;
mod stage;
mod support;
mod survey;
mod under_load;

//! The console's pages: HTML made here, usable without a script, without a mouse, on a phone, in the dark.
//!
//! A form is answered by a redirect, which says what was done on the page that it leads to, or by the same form with what
//! is wrong beside the field. What destroys something asks on a page of its own. Nothing is inline: no style, no script.

mod assets;
mod flash;
mod form;
mod layout;
mod running;
mod table;
mod view;
mod words;

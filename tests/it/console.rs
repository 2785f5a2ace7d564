//! The console's own database: in every backup, back with every restore, its apps in quarantine and released at once.

mod location;
mod restored;
pub mod state;

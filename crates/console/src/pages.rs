//! The console's web pages: server-side HTML that works without scripts, without a mouse, on phones and in dark mode.
//!
//! A form is answered with a redirect to a page that shows the result once, or with the same form and an error beside each
//! invalid field. Destructive actions ask for confirmation on a page of their own. There are no inline styles or scripts.
//! Pages call the same functions as the API and contain no logic of their own.

mod access;
mod apps;
mod assets;
mod backup;
mod backups;
mod calendar;
mod comparisons;
mod editing;
mod error_pages;
mod events;
mod fields;
mod flash;
mod form;
mod layout;
mod login;
mod notices;
mod notifications;
mod restores;
mod running;
mod schedule;
mod secret_key;
mod signals;
mod table;
mod visit;
mod words;

use self::editing::{ask_to_remove, create, edit, new, remove, update};
pub(super) use self::{comparisons::Comparisons, error_pages::as_pages};
use super::{
    entities::{instances::AppInstance, keys::ApiKey, signals::Signal, users::User},
    permission::Permission::{Organization, Public, Read, System, Write},
    routes::{OPEN, Routes},
};

pub(super) fn routes() -> Routes {
    Routes::default()
        .get("/", Public, visit::home)
        .get("/static/{name}", OPEN, assets::get)
        .get("/login", OPEN, login::show)
        .post("/login", OPEN, login::submit)
        .post("/logout", Public, login::leave)
        .get("/account", Public, login::show_account)
        .post("/account", Public, login::submit_account)
        .get("/first-run", System, login::show_first_run)
        .post("/first-run", System, login::submit_first_run)
        .get(running::PATH, System, running::get)
        .get("/backups", System, backups::list_all)
        .post("/backups/now", System, backups::now)
        .post("/backups/immediate", System, backups::immediate)
        .upload("/backups/upload", System, backups::upload)
        .get("/backups/{id}", System, backup::show)
        .get("/backups/{id}/differences", System, backup::differences)
        .get("/backups/{id}/restore", System, backup::ask)
        .post("/backups/{id}/restore", System, backup::request)
        .get("/schedule", System, schedule::show)
        .post("/schedule", System, schedule::save)
        .get("/restores", System, restores::list_all)
        .get("/restores/{id}/undo", System, restores::ask)
        .post("/restores/{id}/undo", System, restores::undo)
        .post("/restores/requested/{script}/cancel", System, restores::cancel)
        .get("/apps", System, apps::list_all)
        .get("/apps/release", System, apps::ask_to_release)
        .post("/apps/release", System, apps::release)
        .get("/apps/new/{kind}", System, new::<AppInstance>)
        .post("/apps/new/{kind}", System, create::<AppInstance>)
        .get("/apps/{id}", System, edit::<AppInstance>)
        .post("/apps/{id}", System, update::<AppInstance>)
        .post("/apps/{id}/on", System, notifications::switch_on)
        .post("/apps/{id}/off", System, notifications::switch_off)
        .get("/apps/{id}/remove", System, ask_to_remove::<AppInstance>)
        .post("/apps/{id}/remove", System, remove::<AppInstance>)
        .get("/events", Read, events::list_all)
        .get("/signals", Read, signals::list_all)
        .get("/signals/new", Write, new::<Signal>)
        .post("/signals/new", Write, create::<Signal>)
        .get("/signals/{id}", Write, edit::<Signal>)
        .post("/signals/{id}", Write, update::<Signal>)
        .get("/signals/{id}/remove", Write, ask_to_remove::<Signal>)
        .post("/signals/{id}/remove", Write, remove::<Signal>)
        .get("/users", Write, access::list_all)
        .get("/users/new", Organization, new::<User>)
        .post("/users/new", Organization, create::<User>)
        .get("/users/{id}", Organization, edit::<User>)
        .post("/users/{id}", Organization, update::<User>)
        .get("/users/{id}/remove", Organization, ask_to_remove::<User>)
        .post("/users/{id}/remove", Organization, remove::<User>)
        .get("/apikeys/new", Write, access::new_key)
        .post("/apikeys/new", Write, access::make_key)
        .get("/apikeys/{id}/remove", Write, ask_to_remove::<ApiKey>)
        .post("/apikeys/{id}/remove", Write, remove::<ApiKey>)
        .get("/secret-key", System, secret_key::show)
        .post("/secret-key/saved", System, secret_key::saved)
        .post("/secret-key/unsaved", System, secret_key::unsaved)
}

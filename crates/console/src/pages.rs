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
    routes::{GET, OPEN, POST, Routes},
};

pub(super) fn routes() -> Routes {
    Routes::default()
        .on(GET, "/", Public, visit::home)
        .on(GET, "/static/{name}", OPEN, assets::get)
        .on(GET, "/login", OPEN, login::show)
        .on(POST, "/login", OPEN, login::submit)
        .on(POST, "/logout", Public, login::leave)
        .on(GET, "/account", Public, login::show_account)
        .on(POST, "/account", Public, login::submit_account)
        .on(GET, "/first-run", System, login::show_first_run)
        .on(POST, "/first-run", System, login::submit_first_run)
        .on(GET, running::PATH, System, running::get)
        .on(GET, "/backups", System, backups::list_all)
        .on(POST, "/backups/now", System, backups::now)
        .on(POST, "/backups/immediate", System, backups::immediate)
        .upload("/backups/upload", System, backups::upload)
        .on(GET, "/backups/{id}", System, backup::show)
        .on(GET, "/backups/{id}/differences", System, backup::differences)
        .on(GET, "/backups/{id}/restore", System, backup::ask)
        .on(POST, "/backups/{id}/restore", System, backup::request)
        .on(GET, "/schedule", System, schedule::show)
        .on(POST, "/schedule", System, schedule::save)
        .on(GET, "/restores", System, restores::list_all)
        .on(GET, "/restores/{id}/undo", System, restores::ask)
        .on(POST, "/restores/{id}/undo", System, restores::undo)
        .on(POST, "/restores/requested/{script}/cancel", System, restores::cancel)
        .on(GET, "/apps", System, apps::list_all)
        .on(GET, "/apps/release", System, apps::ask_to_release)
        .on(POST, "/apps/release", System, apps::release)
        .on(GET, "/apps/new/{kind}", System, new::<AppInstance>)
        .on(POST, "/apps/new/{kind}", System, create::<AppInstance>)
        .on(GET, "/apps/{id}", System, edit::<AppInstance>)
        .on(POST, "/apps/{id}", System, update::<AppInstance>)
        .on(POST, "/apps/{id}/on", System, notifications::switch_on)
        .on(POST, "/apps/{id}/off", System, notifications::switch_off)
        .on(GET, "/apps/{id}/remove", System, ask_to_remove::<AppInstance>)
        .on(POST, "/apps/{id}/remove", System, remove::<AppInstance>)
        .on(GET, "/events", Read, events::list_all)
        .on(GET, "/signals", Read, signals::list_all)
        .on(GET, "/signals/new", Write, new::<Signal>)
        .on(POST, "/signals/new", Write, create::<Signal>)
        .on(GET, "/signals/{id}", Write, edit::<Signal>)
        .on(POST, "/signals/{id}", Write, update::<Signal>)
        .on(GET, "/signals/{id}/remove", Write, ask_to_remove::<Signal>)
        .on(POST, "/signals/{id}/remove", Write, remove::<Signal>)
        .on(GET, "/users", Write, access::list_all)
        .on(GET, "/users/new", Organization, new::<User>)
        .on(POST, "/users/new", Organization, create::<User>)
        .on(GET, "/users/{id}", Organization, edit::<User>)
        .on(POST, "/users/{id}", Organization, update::<User>)
        .on(GET, "/users/{id}/remove", Organization, ask_to_remove::<User>)
        .on(POST, "/users/{id}/remove", Organization, remove::<User>)
        .on(GET, "/apikeys/new", Write, access::new_key)
        .on(POST, "/apikeys/new", Write, access::make_key)
        .on(GET, "/apikeys/{id}/remove", Write, ask_to_remove::<ApiKey>)
        .on(POST, "/apikeys/{id}/remove", Write, remove::<ApiKey>)
        .on(GET, "/secret-key", System, secret_key::show)
        .on(POST, "/secret-key/saved", System, secret_key::saved)
        .on(POST, "/secret-key/unsaved", System, secret_key::unsaved)
}

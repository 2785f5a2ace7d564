//! The routes of all pages, and the permission that each needs.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};

use super::{
    access, apps, assets, backup, backups, comparisons::Comparisons, events, login, notifications, restores, running,
    schedule, secret_key, signals, visit,
};
use crate::{
    Site,
    permission::Permission::{Organization, Public, Read, System, Write},
    rules::{Rule, open, parts, rule},
};

/// The permissions of the pages. The API has its own table.
pub(crate) const RULES: &[Rule] = &[
    rule("GET", "/", Public),
    open("GET", "/static/{name}"),
    open("GET", "/login"),
    open("POST", "/login"),
    rule("POST", "/logout", Public),
    rule("GET", "/account", Public),
    rule("POST", "/account", Public),
    rule("GET", "/first-run", System),
    rule("POST", "/first-run", System),
    rule("GET", "/running", System),
    rule("GET", "/backups", System),
    rule("POST", "/backups/now", System),
    rule("POST", "/backups/immediate", System),
    parts("POST", "/backups/upload", System),
    rule("GET", "/backups/{id}", System),
    rule("GET", "/backups/{id}/differences", System),
    rule("GET", "/backups/{id}/restore", System),
    rule("POST", "/backups/{id}/restore", System),
    rule("GET", "/schedule", System),
    rule("POST", "/schedule", System),
    rule("GET", "/restores", System),
    rule("GET", "/restores/{id}/undo", System),
    rule("POST", "/restores/{id}/undo", System),
    rule("POST", "/restores/requested/{script}/cancel", System),
    rule("GET", "/apps", System),
    rule("GET", "/apps/release", System),
    rule("POST", "/apps/release", System),
    rule("GET", "/apps/new/{kind}", System),
    rule("POST", "/apps/new/{kind}", System),
    rule("GET", "/apps/{id}", System),
    rule("POST", "/apps/{id}", System),
    rule("POST", "/apps/{id}/on", System),
    rule("POST", "/apps/{id}/off", System),
    rule("GET", "/apps/{id}/remove", System),
    rule("POST", "/apps/{id}/remove", System),
    rule("GET", "/events", Read),
    rule("GET", "/signals", Read),
    rule("GET", "/signals/new", Write),
    rule("POST", "/signals/new", Write),
    rule("GET", "/signals/{id}", Write),
    rule("POST", "/signals/{id}", Write),
    rule("GET", "/signals/{id}/remove", Write),
    rule("POST", "/signals/{id}/remove", Write),
    rule("GET", "/users", Write),
    rule("GET", "/users/new", Organization),
    rule("POST", "/users/new", Organization),
    rule("GET", "/users/{id}", Organization),
    rule("POST", "/users/{id}", Organization),
    rule("GET", "/users/{id}/remove", Organization),
    rule("POST", "/users/{id}/remove", Organization),
    rule("GET", "/apikeys/new", Write),
    rule("POST", "/apikeys/new", Write),
    rule("GET", "/apikeys/{id}/remove", Write),
    rule("POST", "/apikeys/{id}/remove", Write),
    rule("GET", "/secret-key", System),
    rule("POST", "/secret-key/saved", System),
    rule("POST", "/secret-key/unsaved", System),
];

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/", get(visit::home))
        .route("/static/{name}", get(assets::get))
        .route("/login", get(login::show).post(login::submit))
        .route("/logout", post(login::leave))
        .route("/account", get(login::show_account).post(login::submit_account))
        .route("/first-run", get(login::show_first_run).post(login::submit_first_run))
        .route("/running", get(running::get))
        .merge(backup_pages())
        .route("/schedule", get(schedule::show).post(schedule::save))
        .route("/restores", get(restores::list))
        .route("/restores/{id}/undo", get(restores::ask).post(restores::undo))
        .route("/restores/requested/{script}/cancel", post(restores::cancel))
        .merge(app_pages())
        .route("/events", get(events::list))
        .route("/signals", get(signals::list))
        .route("/signals/new", get(signals::new).post(signals::create))
        .route("/signals/{id}", get(signals::edit).post(signals::update))
        .route("/signals/{id}/remove", get(signals::ask_to_remove).post(signals::remove))
        .merge(access_pages())
        .route("/secret-key", get(secret_key::show))
        .route("/secret-key/saved", post(secret_key::saved))
        .route("/secret-key/unsaved", post(secret_key::unsaved))
}

fn backup_pages() -> Router<Arc<Site>> {
    Router::new()
        .route("/backups", get(backups::list))
        .route("/backups/now", post(backups::now))
        .route("/backups/immediate", post(backups::immediate))
        .route("/backups/upload", post(backups::upload).layer(DefaultBodyLimit::disable()))
        .route("/backups/{id}", get(backup::show))
        .route("/backups/{id}/differences", get(backup::differences))
        .route("/backups/{id}/restore", get(backup::ask).post(backup::request))
        .layer(Extension(Arc::new(Comparisons::default())))
}

fn app_pages() -> Router<Arc<Site>> {
    Router::new()
        .route("/apps", get(apps::list))
        .route("/apps/release", get(apps::ask_to_release).post(apps::release))
        .route("/apps/new/{kind}", get(notifications::new).post(notifications::create))
        .route("/apps/{id}", get(notifications::edit).post(notifications::update))
        .route("/apps/{id}/on", post(notifications::switch_on))
        .route("/apps/{id}/off", post(notifications::switch_off))
        .route("/apps/{id}/remove", get(notifications::ask_to_remove).post(notifications::remove))
}

fn access_pages() -> Router<Arc<Site>> {
    Router::new()
        .route("/users", get(access::list))
        .route("/users/new", get(access::new_user).post(access::create))
        .route("/users/{id}", get(access::edit_user).post(access::update))
        .route("/users/{id}/remove", get(access::ask_to_remove_user).post(access::remove))
        .route("/apikeys/new", get(access::new_key).post(access::make_key))
        .route("/apikeys/{id}/remove", get(access::ask_to_remove_key).post(access::drop_key))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The routes in this file's source: `.route("/path", get(one).post(another))`.
    fn routes_in_source() -> Vec<(String, String)> {
        let source = include_str!("routes.rs").split("#[cfg(test)]").next().unwrap_or_default();
        let mut routes = Vec::new();
        for route in source.split(".route(\"").skip(1) {
            let (path, rest) = route.split_once('"').expect("a path ends");
            let handlers = rest.split(".route(").next().unwrap_or_default();
            for (call, method) in [("get(", "GET"), ("post(", "POST")] {
                if handlers.contains(call) {
                    routes.push((method.to_owned(), path.to_owned()));
                }
            }
        }
        routes.sort();
        routes
    }

    #[test]
    fn every_page_has_a_rule_and_every_rule_a_page() {
        let mut rules: Vec<_> = RULES.iter().map(|rule| (rule.method.to_owned(), rule.path.to_owned())).collect();
        rules.sort();
        assert!(rules.len() > 40);
        assert_eq!(routes_in_source(), rules);
    }
}

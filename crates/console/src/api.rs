//! The HTTP API: thin handlers, and the OpenAPI document generated from them.

mod apps;
mod backups;
mod events;
mod json_body;
mod keys;
mod login;
mod openapi;
mod restores;
mod root;
mod settings;
mod signals;
mod users;

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit, routing::get};
use utoipa_axum::{router::OpenApiRouter, routes};

pub use self::{
    apps::{create_instance, remove_instance, update_instance},
    backups::stream,
    events::{EventQuery, find as find_events},
    keys::{create_key, own_key, remove_key, visible as visible_keys},
    login::{LoginInput, log_in, log_out},
    settings::set as set_setting,
    signals::{create_signal, remove_signal, update_signal},
    users::{create_user, remove_user, update_user},
};
use super::Site;

/// The API's routes, including the OpenAPI document.
pub fn router() -> Router<Arc<Site>> {
    routes().split_for_parts().0.route("/api/openapi.json", get(openapi::show))
}

fn routes() -> OpenApiRouter<Arc<Site>> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(root::show))
        .routes(routes!(root::health))
        .routes(routes!(root::metrics))
        .routes(routes!(login::login))
        .routes(routes!(login::logout))
        .routes(routes!(users::current))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::find, users::update, users::remove))
        .routes(routes!(users::roles))
        .routes(routes!(users::role))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::find, keys::update, keys::remove))
        .routes(routes!(settings::list))
        .routes(routes!(settings::find, settings::update, settings::clear))
        .merge(OpenApiRouter::new().routes(routes!(backups::list, backups::upload)).layer(DefaultBodyLimit::disable()))
        .routes(routes!(backups::immediate))
        .routes(routes!(backups::find))
        .routes(routes!(backups::file))
        .routes(routes!(backups::contents))
        .routes(routes!(backups::diff))
        .routes(routes!(backups::restore))
        .routes(routes!(restores::list))
        .routes(routes!(restores::requested))
        .routes(routes!(restores::cancel))
        .routes(routes!(restores::find))
        .routes(routes!(restores::roll_back))
        .routes(routes!(restores::off))
        .routes(routes!(restores::release))
        .routes(routes!(signals::list, signals::create))
        .routes(routes!(signals::find, signals::update, signals::remove))
        .routes(routes!(apps::apps))
        .routes(routes!(apps::app))
        .routes(routes!(apps::list, apps::create))
        .routes(routes!(apps::find, apps::update, apps::remove))
        .routes(routes!(events::list))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RULES;

    #[test]
    fn routes_and_rules_of_the_api_match() {
        let document = serde_json::to_value(openapi::document()).expect("is JSON");
        let mut routes: Vec<(String, String)> = Vec::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            let methods = methods.as_object().expect("methods").keys();
            routes.extend(methods.map(|method| (method.to_uppercase(), path.clone())));
        }
        routes.push(("GET".to_owned(), "/api/openapi.json".to_owned()));
        let is_ours = |path: &str| path.starts_with("/api") || path == "/health" || path == "/metrics";
        let mut rules: Vec<(String, String)> = RULES
            .iter()
            .filter(|rule| is_ours(rule.path))
            .map(|rule| (rule.method.to_owned(), rule.path.to_owned()))
            .collect();
        routes.sort();
        rules.sort();
        assert!(routes.len() > 10);
        assert_eq!(routes, rules);
    }
}

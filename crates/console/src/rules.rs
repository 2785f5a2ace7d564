//! All routes of the API and the permission that each needs. A route without a rule answers 404.

use axum::http::Method;

use super::{
    pages,
    permission::Permission::{self, Organization, Project, Public, Read, System, Write},
};

/// The condition for using a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// None, for clients that are not logged in yet, and for probes.
    Nothing,
    /// This permission.
    Permission(Permission),
}

/// The rule of one route.
#[derive(Debug)]
pub struct Rule {
    /// `GET` includes `HEAD`.
    pub method: &'static str,
    /// In axum's syntax.
    pub path: &'static str,
    /// The condition for using it.
    pub need: Need,
    /// Whether it accepts a multipart form, whose CSRF token the handler checks itself.
    pub takes_parts: bool,
}

pub(super) const fn open(method: &'static str, path: &'static str) -> Rule {
    Rule { method, path, need: Need::Nothing, takes_parts: false }
}

pub(super) const fn rule(method: &'static str, path: &'static str, permission: Permission) -> Rule {
    Rule { method, path, need: Need::Permission(permission), takes_parts: false }
}

pub(super) const fn parts(method: &'static str, path: &'static str, permission: Permission) -> Rule {
    Rule { method, path, need: Need::Permission(permission), takes_parts: true }
}

/// The path for probes. It answers even if the metastore cannot be read, and so no request can be authenticated.
pub const PROBE: &str = "/health";

/// The rules of the API; the pages have their own in `pages/routes.rs`.
pub const RULES: &[Rule] = &[
    open("GET", PROBE),
    rule("GET", "/metrics", System),
    open("GET", "/api"),
    open("GET", "/api/openapi.json"),
    open("POST", "/api/users/login"),
    rule("POST", "/api/users/logout", Public),
    rule("GET", "/api/users/current", Public),
    rule("GET", "/api/users", Organization),
    rule("POST", "/api/users", Organization),
    // The handlers require `Organization` for other users.
    rule("GET", "/api/users/{id}", Public),
    rule("PUT", "/api/users/{id}", Public),
    rule("DELETE", "/api/users/{id}", Organization),
    rule("GET", "/api/roles", Read),
    rule("GET", "/api/roles/{id}", Read),
    // The handlers require `Project` for shared keys and `Organization` for keys of other users.
    rule("GET", "/api/apikeys", Write),
    rule("POST", "/api/apikeys", Write),
    rule("GET", "/api/apikeys/{id}", Write),
    rule("PUT", "/api/apikeys/{id}", Write),
    rule("DELETE", "/api/apikeys/{id}", Write),
    rule("GET", "/api/settings", System),
    rule("GET", "/api/settings/{id}", System),
    rule("PUT", "/api/settings/{id}", System),
    rule("DELETE", "/api/settings/{id}", System),
    rule("GET", "/api/backups", System),
    parts("POST", "/api/backups", System),
    rule("POST", "/api/backups/immediate", System),
    rule("GET", "/api/backups/{id}", System),
    rule("GET", "/api/backups/files/{name}", System),
    rule("GET", "/api/backups/{id}/contents", System),
    rule("GET", "/api/backups/{id}/diff", System),
    rule("POST", "/api/backups/{id}/restore", System),
    rule("GET", "/api/restores", System),
    rule("GET", "/api/restores/requested", System),
    rule("DELETE", "/api/restores/requested/{script}", System),
    rule("GET", "/api/restores/{id}", System),
    rule("POST", "/api/restores/{id}/rollback", System),
    rule("GET", "/api/quarantine", System),
    rule("POST", "/api/quarantine/release", System),
    rule("GET", "/api/signals", Read),
    rule("POST", "/api/signals", Write),
    rule("GET", "/api/signals/{id}", Read),
    // The handlers require `Project` for signals that are protected, shared or another user's.
    rule("PUT", "/api/signals/{id}", Write),
    rule("DELETE", "/api/signals/{id}", Write),
    rule("GET", "/api/apps", Project),
    rule("GET", "/api/apps/{id}", Project),
    // `System`, because an app instance sends data to other hosts.
    rule("GET", "/api/appinstances", System),
    rule("POST", "/api/appinstances", System),
    rule("GET", "/api/appinstances/{id}", System),
    rule("PUT", "/api/appinstances/{id}", System),
    rule("DELETE", "/api/appinstances/{id}", System),
    rule("GET", "/api/events", Read),
];

fn all() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().chain(pages::RULES)
}

pub fn find(method: &Method, path: &str) -> Option<&'static Rule> {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    all().find(|rule| rule.path == path && rule.method == method)
}

/// The methods of a path, in the format of `Allow`: `GET, PUT`.
pub fn methods(path: &str) -> String {
    let methods = all().filter(|rule| rule.path == path).map(|rule| rule.method);
    methods.collect::<Vec<_>>().join(", ")
}

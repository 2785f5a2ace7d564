//! Every route there is, and the permission that it needs. What is not here is shown to nobody.

use axum::http::Method;

use super::{
    pages,
    permission::Permission::{self, Organization, Project, Public, Read, System, Write},
};

/// What a route needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: for those who are not logged in yet, and for probes.
    Nothing,
    /// Somebody with this permission.
    Permission(Permission),
}

/// One route.
#[derive(Debug)]
pub struct Rule {
    /// The method. `HEAD` goes with `GET`.
    pub method: &'static str,
    /// The path, as the router has it.
    pub path: &'static str,
    /// Who may.
    pub need: Need,
    /// Whether it takes a form of several parts, and checks the CSRF token in the first of them itself.
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

/// What probes ask: it is answered even where nobody can be told from anybody else.
pub const PROBE: &str = "/health";

/// The table.
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
    // One's own, too: the handlers look.
    rule("GET", "/api/users/{id}", Public),
    rule("PUT", "/api/users/{id}", Public),
    rule("DELETE", "/api/users/{id}", Organization),
    rule("GET", "/api/roles", Read),
    rule("GET", "/api/roles/{id}", Read),
    // One's own: with `Project` the shared ones, with `Organization` everybody's.
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
    // One's own, with `Project` all: the handlers look.
    rule("PUT", "/api/signals/{id}", Write),
    rule("DELETE", "/api/signals/{id}", Write),
    rule("GET", "/api/apps", Project),
    rule("GET", "/api/apps/{id}", Project),
    // What they send, and where, is the business of whoever runs the server.
    rule("GET", "/api/appinstances", System),
    rule("POST", "/api/appinstances", System),
    rule("GET", "/api/appinstances/{id}", System),
    rule("PUT", "/api/appinstances/{id}", System),
    rule("DELETE", "/api/appinstances/{id}", System),
    rule("GET", "/api/events", Read),
];

/// Those of the API, and those of the pages.
fn all() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().chain(pages::RULES)
}

/// The rule of a request.
#[must_use]
pub fn find(method: &Method, path: &str) -> Option<&'static Rule> {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    all().find(|rule| rule.path == path && rule.method == method)
}

/// The methods that a path takes: `GET, PUT`.
#[must_use]
pub fn methods(path: &str) -> String {
    let methods = all().filter(|rule| rule.path == path).map(|rule| rule.method);
    methods.collect::<Vec<_>>().join(", ")
}

//! The table of routes: an entry states method, path, permission and handler together, so that no route exists without a
//! permission.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    http::Method,
    routing::{MethodFilter, MethodRouter, on, post},
};

use crate::{Site, api::openapi::Doc, permission::Permission};

/// `GET` includes `HEAD`.
pub(crate) const GET: (&str, MethodFilter) = ("GET", MethodFilter::GET);
pub(crate) const POST: (&str, MethodFilter) = ("POST", MethodFilter::POST);
pub(crate) const PUT: (&str, MethodFilter) = ("PUT", MethodFilter::PUT);
pub(crate) const DELETE: (&str, MethodFilter) = ("DELETE", MethodFilter::DELETE);

/// For clients that are not logged in yet, and for probes.
pub(crate) const OPEN: Option<Permission> = None;

/// The rule of one route.
#[derive(Debug, Clone)]
pub struct Rule {
    /// `GET` includes `HEAD`.
    pub method: &'static str,
    /// In axum's syntax.
    pub path: &'static str,
    /// The permission that a request needs, if any.
    pub needs: Option<Permission>,
}

#[derive(Default)]
pub(crate) struct Routes {
    pub router: Router<Arc<Site>>,
    pub rules: Vec<Rule>,
    /// The rules and documentation of the routes of the API.
    pub documented: Vec<(Rule, Doc)>,
}

impl Routes {
    pub(crate) fn on<T: 'static>(
        self,
        method: (&'static str, MethodFilter),
        path: &'static str,
        needs: impl Into<Option<Permission>>,
        handler: impl Handler<T, Arc<Site>>,
    ) -> Self {
        self.route(method.0, path, needs.into(), on(method.1, handler))
    }

    /// A `POST` without a limit of the body's size.
    pub(crate) fn upload<T: 'static>(
        self,
        path: &'static str,
        needs: Permission,
        handler: impl Handler<T, Arc<Site>>,
    ) -> Self {
        self.route("POST", path, Some(needs), post(handler).layer(DefaultBodyLimit::disable()))
    }

    fn route(
        mut self,
        method: &'static str,
        path: &'static str,
        needs: Option<Permission>,
        handler: MethodRouter<Arc<Site>>,
    ) -> Self {
        self.rules.push(Rule { method, path, needs });
        Self { router: self.router.route(path, handler), ..self }
    }

    /// Documents the route that was added last.
    pub(crate) fn doc(mut self, doc: Doc) -> Self {
        self.documented.extend(self.rules.last().cloned().map(|rule| (rule, doc)));
        self
    }

    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.rules.extend(other.rules);
        self.documented.extend(other.documented);
        Self { router: self.router.merge(other.router), ..self }
    }
}

pub(crate) fn find<'a>(rules: &'a [Rule], method: &Method, path: &str) -> Option<&'a Rule> {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    rules.iter().find(|rule| rule.path == path && rule.method == method)
}

/// The methods of a path, in the format of `Allow`: `GET, PUT`.
pub(crate) fn methods(rules: &[Rule], path: &str) -> String {
    let methods = rules.iter().filter(|rule| rule.path == path).map(|rule| rule.method);
    methods.collect::<Vec<_>>().join(", ")
}

//! `GET /api/openapi.json`: the OpenAPI 3.1 document, generated from the table of routes.

use axum::Json;
use serde_json::{Map, Value, json};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{RefOr, Schema, path::ParameterIn},
};

use crate::{
    auth::session,
    failure::Problem,
    routes::{Routes, Rule},
};

const JSON: &str = "application/json";

/// The documentation of one route. [`Doc::operation`] adds what follows from the route itself.
pub(crate) struct Doc {
    text: &'static str,
    is_login_optional: bool,
    /// Media type and schema.
    body: Option<(&'static str, Value)>,
    query: Vec<Value>,
    /// Status, media type and schema.
    successes: Vec<(u16, Option<(&'static str, Value)>)>,
    failures: Vec<u16>,
    schemas: Vec<(String, RefOr<Schema>)>,
}

impl Doc {
    pub(crate) fn new(text: &'static str) -> Self {
        let (query, successes, failures) = (Vec::new(), Vec::new(), Vec::new());
        Self { text, is_login_optional: false, body: None, query, successes, failures, schemas: Vec::new() }
    }

    /// For a route that needs no login, but shows more to a user with a permission.
    pub(crate) fn login_is_optional(self) -> Self {
        Self { is_login_optional: true, ..self }
    }

    pub(crate) fn takes<T: ToSchema>(mut self) -> Self {
        self.body = Some((JSON, self.reference::<T>()));
        self
    }

    pub(crate) fn takes_bytes(self) -> Self {
        Self { body: Some(bytes()), ..self }
    }

    pub(crate) fn query<Q: IntoParams>(mut self) -> Self {
        self.query.extend(Q::into_params(|| Some(ParameterIn::Query)).iter().map(|parameter| json!(parameter)));
        self
    }

    pub(crate) fn returns<T: ToSchema>(mut self, status: u16) -> Self {
        let schema = self.reference::<T>();
        self.with(status, Some((JSON, schema)))
    }

    pub(crate) fn lists<T: ToSchema>(mut self) -> Self {
        let schema = json!({"type": "array", "items": self.reference::<T>()});
        self.with(200, Some((JSON, schema)))
    }

    pub(crate) fn returns_object(self) -> Self {
        self.with(200, Some((JSON, json!({"type": "object"}))))
    }

    pub(crate) fn returns_text(self, media_type: &'static str) -> Self {
        self.with(200, Some((media_type, json!({"type": "string"}))))
    }

    pub(crate) fn returns_bytes(self, status: u16) -> Self {
        self.with(status, Some(bytes()))
    }

    pub(crate) fn returns_nothing(self, status: u16) -> Self {
        self.with(status, None)
    }

    /// Statuses that do not follow from the route.
    pub(crate) fn fails(self, failures: &[u16]) -> Self {
        Self { failures: failures.to_vec(), ..self }
    }

    fn with(mut self, status: u16, content: Option<(&'static str, Value)>) -> Self {
        self.successes.push((status, content));
        self
    }

    fn reference<T: ToSchema>(&mut self) -> Value {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        reference(&T::name())
    }

    fn operation(&self, rule: &Rule) -> Value {
        let mut operation = json!({"summary": self.text});
        let names = rule.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        let in_path = |name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}});
        let parameters: Vec<Value> = names.map(in_path).chain(self.query.iter().cloned()).collect();
        let mut failures = self.failures.clone();
        failures.extend(rule.needs.iter().flat_map(|_| [401, 403]));
        if let Some((media_type, schema)) = &self.body {
            operation["requestBody"] = json!({"content": {*media_type: {"schema": schema}}, "required": true});
            failures.extend([400, 408, 413, 415, 422]);
        }
        if rule.path.contains('{') {
            failures.push(404);
        }
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
            failures.push(400);
        }
        if rule.needs.is_none() {
            operation["security"] =
                if self.is_login_optional { json!([{}, {"ApiKey": []}, {"Session": []}]) } else { json!([{}]) };
        }
        failures.push(503);
        failures.sort_unstable();
        let problem = || Some((JSON, reference(&Problem::name())));
        let answers = failures.into_iter().map(|status| (status, problem())).chain(self.successes.iter().cloned());
        operation["responses"] = answers.map(|(status, content)| (status.to_string(), response(content))).collect();
        operation
    }
}

fn bytes() -> (&'static str, Value) {
    let byte = json!({"type": "integer", "format": "int32", "minimum": 0});
    ("application/octet-stream", json!({"type": "array", "items": byte}))
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn response(content: Option<(&'static str, Value)>) -> Value {
    match content {
        Some((media_type, schema)) => json!({"description": "", "content": {media_type: {"schema": schema}}}),
        None => json!({"description": ""}),
    }
}

pub(super) fn document(routes: &Routes) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::from_iter([(Problem::name().into_owned(), json!(Problem::schema()))]);
    for (rule, doc) in &routes.documented {
        paths.entry(rule.path).or_insert_with(|| json!({}))[rule.method.to_lowercase()] = doc.operation(rule);
        schemas.extend(doc.schemas.iter().map(|(name, schema)| (name.clone(), json!(schema))));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "moorline",
            "description":
                "Backups, restores and quarantine of a stateful server. JSON is PascalCase; errors are {\"Error\": …}.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
            "version": env!("CARGO_PKG_VERSION"),
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "ApiKey": {"type": "apiKey", "in": "header", "name": "X-Seq-ApiKey"},
                "Session": {"type": "apiKey", "in": "cookie", "name": session::COOKIE},
            },
        },
        "security": [{"ApiKey": []}, {"Session": []}],
    })
}

/// Generates the document for each request, because keeping it in memory is not worth it for a rare request.
pub(super) async fn show() -> Json<Value> {
    Json(document(&super::routes()))
}

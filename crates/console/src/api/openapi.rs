//! `GET /api/openapi.json`: the OpenAPI 3.1 document, generated from the handlers.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme},
};

use crate::{
    auth::{API_KEY, session},
    failure::Problem,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "moorline",
        description = "Backups, restores and quarantine of a stateful server. JSON is PascalCase; errors are {\"Error\": …}."
    ),
    components(schemas(Problem)),
    modifiers(&Security)
)]
struct Base;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Seq-ApiKey")));
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(session::COOKIE)));
        debug_assert!(API_KEY.eq_ignore_ascii_case("X-Seq-ApiKey"), "as it is documented");
        components.add_security_scheme("ApiKey", key);
        components.add_security_scheme("Session", cookie);
        let either = ["ApiKey", "Session"].map(|name| SecurityRequirement::new(name, [] as [&str; 0]));
        document.security = Some(either.to_vec());
    }
}

/// The document without paths.
pub(super) fn base() -> utoipa::openapi::OpenApi {
    Base::openapi()
}

pub fn document() -> utoipa::openapi::OpenApi {
    super::routes().split_for_parts().1
}

/// Generates the document for each request, because keeping it in memory is not worth it for a rare request.
pub(super) async fn show() -> Response {
    let text = document().to_json().unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

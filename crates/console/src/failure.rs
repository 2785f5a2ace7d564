//! A failed request: its status and `{"Error": "…"}`.
//!
//! 4xx means that the request was wrong, 503 that a retry may succeed, 500 that the console or the volume has a fault.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use seqbac_header::without_keys;
use volume::error::{Code, Error};

/// The body of a response with an error status.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Problem {
    /// What failed, on which object, and why.
    pub error: String,
    /// The next step for the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// At a login: whether the password is correct but must be changed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub must_change_password: bool,
}

/// A failed request. The response has it as an extension, from which `pages/faults.rs` renders an error page.
#[derive(Debug, Clone)]
pub struct Failure {
    pub status: StatusCode,
    pub problem: Problem,
    /// An additional header of the response.
    pub header: Option<Box<(HeaderName, HeaderValue)>>,
}

pub type HttpResult<T> = std::result::Result<T, Failure>;

impl Failure {
    /// Secret keys in the message are redacted.
    pub fn new(status: StatusCode, error: impl AsRef<str>) -> Self {
        let problem = Problem { error: without_keys(error.as_ref()), hint: None, must_change_password: false };
        Self { status, problem, header: None }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl AsRef<str>) -> Self {
        self.problem.hint = Some(without_keys(hint.as_ref()));
        self
    }

    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("no such {what}"))
    }

    pub fn too_many(seconds: u64) -> Self {
        let mut failure = Self::new(StatusCode::TOO_MANY_REQUESTS, "too many attempts");
        failure.header = Some(Box::new((header::RETRY_AFTER, HeaderValue::from(seconds))));
        failure.hint(format!("try again in {seconds} s"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match error.code() {
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::ConfirmationNeeded | Code::AppsUnknown | Code::WrongKey => StatusCode::CONFLICT,
            Code::Usage => StatusCode::BAD_REQUEST,
            Code::TryAgain => StatusCode::SERVICE_UNAVAILABLE,
            Code::Unexpected | Code::Bug => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        if status.is_server_error() {
            log::warn!("a request failed: {}", error.message());
        }
        let failure = Self::new(status, error.message());
        match error.advice() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(&self.problem)).into_response();
        if let Some(header) = self.header.as_deref() {
            response.headers_mut().insert(header.0.clone(), header.1.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}

//! A request that failed: its status, and `{"Error": "…"}`.
//!
//! 4xx is for what the caller did, 503 for what may pass, 500 for what is wrong here.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use seqbac_header::without_keys;
use volume::error::{Code, Error};

/// What a failure is answered with.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Problem {
    /// What failed, on what, and why.
    pub error: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// At a login: whether the password is right, and has to be changed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub must_change_password: bool,
}

/// A request that failed. A page finds it among the extensions of its response, and shows it as a page.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The status.
    pub status: StatusCode,
    /// What it says.
    pub problem: Problem,
    /// One more header.
    pub header: Option<Box<(HeaderName, HeaderValue)>>,
}

/// The result of a handler.
pub type Answer<T> = std::result::Result<T, Failure>;

impl Failure {
    /// This status, and this message.
    pub fn new(status: StatusCode, error: impl AsRef<str>) -> Self {
        let problem = Problem { error: without_keys(error.as_ref()), hint: None, must_change_password: false };
        Self { status, problem, header: None }
    }

    /// The same, with what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl AsRef<str>) -> Self {
        self.problem.hint = Some(without_keys(hint.as_ref()));
        self
    }

    /// There is no such thing.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no such {what}"))
    }

    /// Too many of these requests: come back later.
    #[must_use]
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

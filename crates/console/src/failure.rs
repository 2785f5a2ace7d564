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

use engine::store::sqlite::words;
use seqbac_header::without_keys;
use volume::error::{Code, Error};

/// The body of a response with an error status.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Problem {
    /// What failed, on which object, and why.
    pub error: String,
    /// The next step for the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// At a login: whether the password is correct but must be changed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub must_change_password: bool,
}

/// A failed request. The response has it as an extension, from which `pages/error_pages.rs` renders an error page.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub status: StatusCode,
    pub problem: Problem,
    /// The field of the input that is invalid. A form shows the failure beside it.
    pub field: Option<&'static str>,
    /// An additional header of the response.
    pub header: Option<Box<(HeaderName, HeaderValue)>>,
}

pub(crate) type HttpResult<T> = std::result::Result<T, Failure>;

impl Failure {
    /// Secret keys in the message are redacted.
    pub(crate) fn new(status: StatusCode, error: impl AsRef<str>) -> Self {
        let problem = Problem { error: without_keys(error.as_ref()), hint: None, must_change_password: false };
        Self { status, problem, field: None, header: None }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl AsRef<str>) -> Self {
        self.problem.hint = Some(without_keys(hint.as_ref()));
        self
    }

    #[must_use]
    pub(crate) fn about(self, field: &'static str) -> Self {
        Self { field: Some(field), ..self }
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("no such {what}"))
    }

    pub(crate) fn too_many(seconds: u64) -> Self {
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

/// An error of the metastore or about an input, with the field of the input that is invalid.
#[derive(Debug)]
pub(crate) struct InputError {
    error: Error,
    field: Option<&'static str>,
}

impl InputError {
    pub(crate) fn new(field: &'static str, error: Error) -> Self {
        Self { error, field: Some(field) }
    }

    /// For an object that is missing because the input names it.
    pub(crate) fn into_usage(self) -> Self {
        Self { error: self.error.with_code(Code::Usage), ..self }
    }

    pub(crate) fn code(&self) -> Code {
        self.error.code()
    }
}

impl From<Error> for InputError {
    fn from(error: Error) -> Self {
        Self { error, field: None }
    }
}

impl From<rusqlite::Error> for InputError {
    fn from(cause: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull};
        let code = match cause.sqlite_error_code() {
            Some(DatabaseBusy | DatabaseLocked | DiskFull) => Code::TryAgain,
            _ => Code::Unexpected,
        };
        Error::new(code, format!("cannot use the console's database: {}", words(&cause))).into()
    }
}

impl From<InputError> for Error {
    fn from(error: InputError) -> Self {
        error.error
    }
}

impl From<InputError> for Failure {
    fn from(InputError { error, field }: InputError) -> Self {
        Self { field, ..error.into() }
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

//! Reads small bodies (JSON, a form): a time limit, so that a slow client cannot hold a connection forever, and the extractor
//! for JSON, with errors that do not repeat the body.

use std::time::Duration;

use axum::{
    extract::{FromRequest, Request, rejection::JsonRejection},
    http::StatusCode,
};
use serde::de::DeserializeOwned;

use super::{Failure, failure::HttpResult};

/// Shorter in tests.
const BODY_TIMEOUT: Duration = if cfg!(test) { Duration::from_millis(50) } else { Duration::from_secs(30) };

/// Fails with 408 if reading takes too long.
pub(crate) async fn in_time<T>(reading: impl Future<Output = T>) -> HttpResult<T> {
    let slow = |_| Failure::new(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive");
    tokio::time::timeout(BODY_TIMEOUT, reading).await.map_err(slow)
}

pub(crate) struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        match in_time(axum::Json::<T>::from_request(request, state)).await? {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(JsonRejection::MissingJsonContentType(_)) => {
                Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json"))
            }
            Err(rejection) => Err(Failure::new(rejection.status(), message(&rejection))),
        }
    }
}

/// The reason without the text of the body, because that may contain a password.
fn message(rejection: &JsonRejection) -> String {
    use std::error::Error;
    let mut cause: &dyn Error = rejection;
    while let Some(source) = cause.source() {
        cause = source;
    }
    match rejection {
        JsonRejection::JsonDataError(_) | JsonRejection::JsonSyntaxError(_) => {
            match cause.downcast_ref::<serde_json::Error>() {
                Some(error) => format!("the body is invalid at line {}, column {}", error.line(), error.column()),
                None => "the body is invalid".to_owned(),
            }
        }
        _ => rejection.body_text(),
    }
}

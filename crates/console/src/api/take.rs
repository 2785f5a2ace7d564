//! A body of JSON, taken in.

use axum::{
    extract::{FromRequest, Request, rejection::JsonRejection},
    http::StatusCode,
};
use serde::de::DeserializeOwned;

use crate::{Failure, patience::in_time};

/// A body that is this, as JSON.
pub struct Take<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Take<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        match in_time(axum::Json::<T>::from_request(request, state)).await? {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(JsonRejection::MissingJsonContentType(_)) => {
                Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body has to be application/json"))
            }
            Err(rejection) => Err(Failure::new(rejection.status(), shown(&rejection))),
        }
    }
}

/// Why, without the text that was sent: it may hold a password.
fn shown(rejection: &JsonRejection) -> String {
    use std::error::Error;
    let mut cause: &dyn Error = rejection;
    while let Some(source) = cause.source() {
        cause = source;
    }
    match rejection {
        JsonRejection::JsonDataError(_) | JsonRejection::JsonSyntaxError(_) => {
            match cause.downcast_ref::<serde_json::Error>() {
                Some(error) => format!("the body makes no sense at line {}, column {}", error.line(), error.column()),
                None => "the body makes no sense".to_owned(),
            }
        }
        _ => rejection.body_text(),
    }
}

//! The time limit for reading a small body (JSON, a form), so that a slow client cannot hold a connection forever.

use std::{future::Future, time::Duration};

use axum::http::StatusCode;

use super::{Failure, failure::HttpResult};

/// Shorter in tests.
const BODY_TIMEOUT: Duration = if cfg!(test) { Duration::from_millis(50) } else { Duration::from_secs(30) };

/// Fails with 408 if reading takes too long.
pub async fn in_time<T>(reading: impl Future<Output = T>) -> HttpResult<T> {
    let slow = |_| Failure::new(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive");
    tokio::time::timeout(BODY_TIMEOUT, reading).await.map_err(slow)
}

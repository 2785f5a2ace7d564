//! How long a request's body may take, where it is small: JSON, a form. A slow sender does not keep a connection for ever.

use std::{future::Future, time::Duration};

use axum::http::StatusCode;

use super::{Failure, failure::Answer};

/// Tests wait less.
const PATIENCE: Duration = if cfg!(test) { Duration::from_millis(50) } else { Duration::from_secs(30) };

/// What was read, if it came in time.
///
/// # Errors
/// 408 where it did not.
pub async fn in_time<T>(reading: impl Future<Output = T>) -> Answer<T> {
    let slow = |_| Failure::new(StatusCode::REQUEST_TIMEOUT, "the body did not come");
    tokio::time::timeout(PATIENCE, reading).await.map_err(slow)
}

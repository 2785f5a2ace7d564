//! What a form brought.

use axum::{
    extract::{Form, FromRequest, Request},
    http::StatusCode,
};

use super::form::Filled;
use crate::{Failure, patience::in_time};

/// Names and values, as they came.
#[derive(Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let wrong = |_| Failure::new(StatusCode::BAD_REQUEST, "the form makes no sense");
        in_time(Form::<Vec<(String, String)>>::from_request(request, state))
            .await?
            .map(|Form(fields)| Self(fields))
            .map_err(wrong)
    }
}

impl Fields {
    /// The value of this name; the first where there are several, empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }

    /// The same, without the spaces around it; none where it is empty.
    pub fn optional(&self, name: &str) -> Option<String> {
        Some(self.text(name).trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Whether there is one: a box that is ticked.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(given, _)| given == name)
    }

    /// What stands behind this beginning in the names that have it: the boxes of a group.
    pub fn below<'a>(&'a self, beginning: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(beginning)?, value.as_str())))
    }

    /// These, to be shown again.
    pub fn filled(&self, names: &[&str]) -> Filled {
        let mut filled = Filled::default();
        for (name, value) in self.0.iter().filter(|(name, _)| names.contains(&name.as_str())) {
            filled.values.entry(name.clone()).or_insert_with(|| value.clone());
        }
        filled
    }

    /// All but what is secret, to be shown again. Whatever is asked for as a password is never shown anyway.
    pub fn all(&self) -> Filled {
        const SECRET: [&str; 5] = ["Password", "NewPassword", "Again", "SecretKey", "csrf"];
        let mut filled = Filled::default();
        for (name, value) in self.0.iter().filter(|(name, _)| !SECRET.contains(&name.as_str())) {
            filled.values.entry(name.clone()).or_insert_with(|| value.clone());
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Body,
        http::{Method, header},
    };

    use super::*;

    #[test]
    fn a_form_that_does_not_come_is_not_waited_for_without_end() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let (never, _more) = tokio::io::duplex(8);
            let body = Body::from_stream(tokio_util::io::ReaderStream::new(never));
            let request = Request::builder().method(Method::POST);
            let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            let rejected = Fields::from_request(request.body(body).expect("a request"), &()).await.err();
            assert_eq!(rejected.map(|failure| failure.status), Some(StatusCode::REQUEST_TIMEOUT));
        });
    }
}

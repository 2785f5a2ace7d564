//! The submitted fields of a form.

use axum::{
    extract::{Form, FromRequest, Request, rejection::FormRejection},
    http::StatusCode,
};

use super::form::Filled;
use crate::{Failure, body_timeout::in_time};

/// Names and values in the order of the request.
#[derive(Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let wrong = |rejection: FormRejection| match rejection.status() {
            status @ StatusCode::PAYLOAD_TOO_LARGE => Failure::new(status, "the form is too long"),
            _ => Failure::new(StatusCode::BAD_REQUEST, "the form cannot be decoded"),
        };
        in_time(Form::<Vec<(String, String)>>::from_request(request, state))
            .await?
            .map(|Form(fields)| Self(fields))
            .map_err(wrong)
    }
}

impl Fields {
    /// The first value of the field, or an empty text.
    pub fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// The trimmed value, or `None` if it is empty.
    pub fn optional(&self, name: &str) -> Option<String> {
        Some(self.text(name).trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Whether the field was submitted. Browsers submit a checkbox only if it is ticked.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }

    /// The fields whose names start with `prefix`, without the prefix: the ticked checkboxes of a group.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    /// These fields, to show the form again.
    pub fn filled(&self, names: &[&str]) -> Filled {
        let mut filled = Filled::default();
        for (name, value) in self.0.iter().filter(|(name, _)| names.contains(&name.as_str())) {
            filled.values.entry(name.clone()).or_insert_with(|| value.clone());
        }
        filled
    }

    /// All fields except secrets, to show the form again. A password field never shows a value anyway.
    pub fn all(&self) -> Filled {
        const SECRET: [&str; 4] = ["Password", "NewPassword", "Again", "SecretKey"];
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
    fn a_form_whose_body_does_not_arrive_times_out() {
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

//! Form controls, and the submitted fields of a form. Each control has a label, and shows its error beside it.

use std::collections::BTreeMap;

use axum::{
    extract::{Form, FromRequest, Request, rejection::FormRejection},
    http::StatusCode,
};
use maud::{Markup, html};

use crate::{Failure, body::in_time, notify::kinds::AllowedValue};

/// The values and errors of a form, by the name of the control.
#[derive(Debug, Default, Clone)]
pub(super) struct Filled {
    pub values: BTreeMap<String, String>,
    /// The error with the empty name concerns the form as a whole.
    pub errors: BTreeMap<String, String>,
}

impl Filled {
    pub(super) fn with<const N: usize>(values: [(&str, String); N]) -> Self {
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { values, errors: BTreeMap::new() }
    }

    pub(super) fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    pub(super) fn tick(&mut self, name: &str, is_ticked: bool) {
        self.values.extend(is_ticked.then(|| (name.to_owned(), "on".to_owned())));
    }

    pub(super) fn is_ticked(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Sets the error of a control.
    pub(super) fn refuse(&mut self, name: &str, why: impl Into<String>) {
        self.errors.insert(name.to_owned(), why.into());
    }

    fn error(&self, name: &str) -> Option<&str> {
        self.errors.get(name).map(String::as_str)
    }
}

/// A form that consists of one button.
pub(super) fn button(action: &str, class: &str, words: Markup) -> Markup {
    html! { form method="post" action=(action) { button type="submit" class=(class) { (words) } } }
}

/// The error of the form as a whole, or the number of invalid fields, which screen readers announce.
pub(super) fn trouble(filled: &Filled) -> Markup {
    let fields = filled.errors.keys().filter(|name| !name.is_empty()).count();
    html! {
        @if let Some(error) = filled.error("") { div.banner.bad role="alert" { p { (error) } } }
        @else if fields > 0 { div.banner.bad role="alert" { p {
            "Please correct " (super::words::count(fields as u64, "field")) " below."
        } } }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Field<'a> {
    name: &'a str,
    label: &'a str,
    kind: &'a str,
    hint: &'a str,
    autocomplete: &'a str,
    is_required: bool,
    lines: u32,
    read_only: Option<&'a str>,
}

impl<'a> Field<'a> {
    pub(super) fn text(name: &'a str, label: &'a str) -> Self {
        let (kind, hint, autocomplete) = ("text", "", "off");
        Self { name, label, kind, hint, autocomplete, is_required: false, lines: 1, read_only: None }
    }

    /// `autocomplete` is `current-password`, `new-password` or `off`.
    pub(super) fn password(name: &'a str, label: &'a str, autocomplete: &'a str) -> Self {
        Self { kind: "password", autocomplete, ..Self::text(name, label) }
    }

    /// Sets the `type` of the input.
    pub(super) fn kind(self, kind: &'a str) -> Self {
        Self { kind, ..self }
    }

    pub(super) fn autocomplete(self, autocomplete: &'a str) -> Self {
        Self { autocomplete, ..self }
    }

    /// Adds a line below the field.
    pub(super) fn hint(self, hint: &'a str) -> Self {
        Self { hint, ..self }
    }

    pub(super) fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    /// Sets the number of lines. More than one makes it a `textarea`.
    pub(super) fn lines(self, lines: u32) -> Self {
        Self { lines, ..self }
    }

    /// With a reason, the field is read-only and shows the reason instead of the hint.
    pub(super) fn read_only(self, why: Option<&'a str>) -> Self {
        Self { read_only: why, ..self }
    }

    pub(super) fn show(&self, filled: &Filled) -> Markup {
        let error = filled.error(self.name);
        let id = format!("field-{}", self.name);
        let about = self.described(error.is_some());
        let value = if self.kind == "password" { "" } else { filled.value(self.name) };
        let invalid = error.map(|_| "true");
        let read_only = self.read_only.is_some();
        html! {
            div.field {
                label for=(id) { (self.label) }
                @if self.lines > 1 {
                    textarea id=(id) name=(self.name) rows=(self.lines) required[self.is_required] readonly[read_only]
                        spellcheck="false" aria-invalid=[invalid] aria-describedby=[about] { (value) }
                } @else {
                    input id=(id) name=(self.name) type=(self.kind) value=(value) required[self.is_required]
                        readonly[read_only] autocomplete=(self.autocomplete) autocapitalize="none" spellcheck="false"
                        aria-invalid=[invalid] aria-describedby=[about];
                }
                (below(self.name, self.read_only.unwrap_or(self.hint), error))
            }
        }
    }

    fn described(&self, has_error: bool) -> Option<String> {
        described(self.name, self.read_only.unwrap_or(self.hint), has_error)
    }
}

fn described(name: &str, hint: &str, has_error: bool) -> Option<String> {
    let error = has_error.then(|| format!("error-{name}"));
    let hint = (!hint.is_empty()).then(|| format!("hint-{name}"));
    let both: Vec<String> = error.into_iter().chain(hint).collect();
    (!both.is_empty()).then(|| both.join(" "))
}

fn below(name: &str, hint: &str, error: Option<&str>) -> Markup {
    html! {
        @if let Some(error) = error { p.error id={ "error-" (name) } { (error) } }
        @if !hint.is_empty() { p.hint id={ "hint-" (name) } { (hint) } }
    }
}

pub(super) fn select(name: &str, label: &str, hint: &str, options: &[AllowedValue], filled: &Filled) -> Markup {
    let error = filled.error(name);
    let about = described(name, hint, error.is_some());
    html! {
        div.field {
            label for={ "field-" (name) } { (label) }
            select id={ "field-" (name) } name=(name) aria-invalid=[error.map(|_| "true")] aria-describedby=[about] {
                @for AllowedValue { value, description } in options {
                    option value=(value) selected[filled.value(name) == *value] { (description) }
                }
            }
            (below(name, hint, error))
        }
    }
}

pub(super) fn tick(name: &str, label: &str, hint: &str, filled: &Filled) -> Markup {
    let about = described(name, hint, false);
    html! {
        div.tick {
            input type="checkbox" id={ "field-" (name) } name=(name) value="on" checked[filled.is_ticked(name)]
                aria-describedby=[about];
            div {
                label for={ "field-" (name) } { (label) }
                @if !hint.is_empty() { span.hint id={ "hint-" (name) } { (hint) } }
            }
        }
    }
}

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
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// The trimmed value, or `None` if it is empty.
    pub(super) fn optional(&self, name: &str) -> Option<String> {
        Some(self.text(name).trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Whether the field was submitted. Browsers submit a checkbox only if it is ticked.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }

    /// The fields whose names start with `prefix`, without the prefix: the ticked checkboxes of a group.
    pub(super) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    /// These fields, to show the form again.
    pub(super) fn filled(&self, names: &[&str]) -> Filled {
        let mut filled = Filled::default();
        for (name, value) in self.0.iter().filter(|(name, _)| names.contains(&name.as_str())) {
            filled.values.entry(name.clone()).or_insert_with(|| value.clone());
        }
        filled
    }

    /// All fields except secrets, to show the form again. A password field never shows a value anyway.
    pub(super) fn all(&self) -> Filled {
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
    fn a_field_shows_its_error_and_its_value_unless_it_is_a_password() {
        let mut filled = Filled::with([("Title", "<b>".to_owned()), ("Password", "secret".to_owned())]);
        filled.refuse("Title", "too short");
        let title = Field::text("Title", "Title").hint("words").show(&filled).into_string();
        assert!(title.contains(r#"value="&lt;b&gt;""#), "{title}");
        assert!(title.contains(r#"aria-describedby="error-Title hint-Title""#), "{title}");
        assert!(title.contains(r#"<p class="error" id="error-Title">too short</p>"#), "{title}");
        let password = Field::password("Password", "Password", "new-password").show(&filled).into_string();
        assert!(!password.contains("secret"), "{password}");
    }

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

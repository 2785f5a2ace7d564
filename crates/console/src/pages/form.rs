//! Form controls. Each control has a label, and shows its error beside it.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::notify::kinds::AllowedValue;

/// The values and errors of a form, by the name of the control.
#[derive(Debug, Default, Clone)]
pub(super) struct Filled {
    pub values: BTreeMap<String, String>,
    /// The error with the empty name concerns the form as a whole.
    pub errors: BTreeMap<String, String>,
}

impl Filled {
    pub fn with<const N: usize>(values: [(&str, String); N]) -> Self {
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { values, errors: BTreeMap::new() }
    }

    pub fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// Ticks a checkbox.
    pub fn tick(&mut self, name: &str, is_ticked: bool) {
        self.values.extend(is_ticked.then(|| (name.to_owned(), "on".to_owned())));
    }

    pub fn is_ticked(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Sets the error of a control.
    pub fn refuse(&mut self, name: &str, why: impl Into<String>) {
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

/// A builder for text fields.
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
    pub fn text(name: &'a str, label: &'a str) -> Self {
        let (kind, hint, autocomplete) = ("text", "", "off");
        Self { name, label, kind, hint, autocomplete, is_required: false, lines: 1, read_only: None }
    }

    /// `autocomplete` is `current-password`, `new-password` or `off`.
    pub fn password(name: &'a str, label: &'a str, autocomplete: &'a str) -> Self {
        Self { kind: "password", autocomplete, ..Self::text(name, label) }
    }

    /// Sets the `type` of the input.
    pub fn kind(self, kind: &'a str) -> Self {
        Self { kind, ..self }
    }

    pub fn autocomplete(self, autocomplete: &'a str) -> Self {
        Self { autocomplete, ..self }
    }

    /// Adds a line below the field.
    pub fn hint(self, hint: &'a str) -> Self {
        Self { hint, ..self }
    }

    pub fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    /// Sets the number of lines. More than one makes it a `textarea`.
    pub fn lines(self, lines: u32) -> Self {
        Self { lines, ..self }
    }

    /// With a reason, the field is read-only and shows the reason instead of the hint.
    pub fn read_only(self, why: Option<&'a str>) -> Self {
        Self { read_only: why, ..self }
    }

    pub fn show(&self, filled: &Filled) -> Markup {
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

/// A drop-down list.
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

/// A checkbox.
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

#[cfg(test)]
mod tests {
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
}

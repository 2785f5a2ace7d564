//! Typed access to the tables of a profile. Keys and values keep their positions, so that each error is a usage error
//! with file, line, key and a suggestion.
//!
//! Unknown keys are errors and never ignored, because a misspelt key would silently change what is backed up or
//! switched off. The error suggests the nearest known key.

use std::{collections::BTreeMap, ops::Range};

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use volume::error::{Error, Result};

pub type Span = Range<usize>;

#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Names the profile in errors: its path, or the name of a built-in one.
    pub name: &'a str,
    pub text: &'a str,
}

impl<'a> Source<'a> {
    pub fn parse(&self) -> Result<Spanned<DeTable<'a>>> {
        DeTable::parse(self.text).map_err(|cause| {
            let line = cause.span().map_or_else(String::new, |span| format!(", line {}", self.line(span.start)));
            let what = cause.message().lines().collect::<Vec<_>>().join(", ");
            let error = Error::usage(format!("the profile {}{line} is not TOML: {what}", self.name));
            error.hint("put strings in quotes, lists in [ ], and a table on one line in { }")
        })
    }

    /// A usage error for the line of the span. `instead` is the hint.
    pub fn fault(&self, span: &Span, what: impl std::fmt::Display, instead: impl Into<String>) -> Error {
        let line = self.line(span.start);
        Error::usage(format!("the profile {}, line {line}: {what}", self.name)).hint(instead)
    }

    fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().get(..at).unwrap_or(self.text.as_bytes());
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

#[derive(Debug, Clone)]
pub struct Table<'a> {
    pub source: Source<'a>,
    /// Name of the table in errors, such as `[state]`.
    pub title: String,
    pub span: Span,
    members: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    pub fn of_document(source: Source<'a>, document: &'a Spanned<DeTable<'a>>) -> Self {
        Self { source, title: "a profile".to_owned(), span: 0..0, members: document.get_ref() }
    }

    pub fn called(&self, title: String) -> Self {
        Self { title, ..self.clone() }
    }

    pub fn fault(&self, key: &str, what: impl std::fmt::Display, instead: impl Into<String>) -> Error {
        let span = self.span_of(key);
        self.source.fault(&span, format!("`{key}` {what}"), instead)
    }

    pub fn wrong(&self, what: impl std::fmt::Display, instead: impl Into<String>) -> Error {
        self.source.fault(&self.span, what, instead)
    }

    pub fn has(&self, key: &str) -> bool {
        self.members.contains_key(key)
    }

    /// The keys with their positions, in the order of the text.
    pub fn keys(&self) -> Vec<(&'a str, Span)> {
        let mut keys: Vec<_> = self.members.keys().map(|key| (key.get_ref().as_ref(), key.span())).collect();
        keys.sort_by_key(|(_, span)| span.start);
        keys
    }

    /// Refuses the first unknown key. `elsewhere` returns a hint if the key belongs into another table.
    pub fn only(&self, known: &[&str], elsewhere: impl Fn(&str) -> Option<String>) -> Result<()> {
        let Some((key, _)) = self.keys().into_iter().find(|(key, _)| !known.contains(key)) else { return Ok(()) };
        let all = || format!("the keys of {} are {}", self.title, listed(known));
        let instead = match nearest(key, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? {}", all()),
            None => elsewhere(key).unwrap_or_else(all),
        };
        Err(self.fault(key, format!("is not a key of {}", self.title), instead))
    }

    pub fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.members.get(key)
    }

    /// A string that is not empty. `example` is the value that the hint suggests, here and below.
    pub fn text(&self, key: &str, example: &str) -> Result<Option<&'a str>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let text = value.get_ref().as_str().ok_or_else(|| self.is_not(key, "a string", example))?;
        self.plain(key, text, example).map(Some)
    }

    /// Like [`Self::text`], but a missing key is an error.
    pub fn needs(&self, key: &str, example: &str) -> Result<&'a str> {
        let missing = || self.wrong(format!("{} needs `{key}`", self.title), format!("write {key} = {example}"));
        self.text(key, example)?.ok_or_else(missing)
    }

    /// A list of strings. A single string is an error.
    pub fn texts(&self, key: &str, example: &str) -> Result<Option<Vec<(&'a str, Span)>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let list = value.get_ref().as_array().ok_or_else(|| self.is_not(key, "a list of strings", example))?;
        self.strings(key, list, example).map(Some)
    }

    /// One string or a list of strings. An empty list is an error, a missing key is not.
    pub fn text_or_texts(&self, key: &str, example: &str) -> Result<Vec<String>> {
        let list = match self.get(key).map(Spanned::get_ref) {
            None => return Ok(Vec::new()),
            Some(DeValue::Array(list)) => self.strings(key, list, example)?,
            Some(_) => self.text(key, example)?.map(|text| (text, 0..0)).into_iter().collect(),
        };
        match list.is_empty() {
            true => Err(self.fault(key, "names nothing", format!("write {key} = {example}, or leave it out"))),
            false => Ok(list.into_iter().map(|(text, _)| text.to_owned()).collect()),
        }
    }

    /// A missing key means `false`.
    pub fn flag(&self, key: &str) -> Result<bool> {
        let Some(value) = self.get(key) else { return Ok(false) };
        value.get_ref().as_bool().ok_or_else(|| self.is_not(key, "true or false", "true"))
    }

    pub fn table(&self, key: &str, title: &str, example: &str) -> Result<Option<Table<'a>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::Table(members) => Ok(Some(self.below(title, self.span_of(key), members))),
            _ => Err(self.is_not(key, "a table", example)),
        }
    }

    /// An array of tables. A missing key means none.
    pub fn tables(&self, key: &str) -> Result<Vec<Table<'a>>> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let wrong = || self.fault(key, "must be a list of tables", format!("begin each table with a line [[{key}]]"));
        let list = value.get_ref().as_array().ok_or_else(wrong)?;
        let table = |value: &'a Spanned<DeValue<'a>>| match value.get_ref() {
            DeValue::Table(members) => Ok(self.below(&format!("[[{key}]]"), value.span(), members)),
            _ => Err(wrong()),
        };
        list.iter().map(table).collect()
    }

    fn below(&self, title: &str, span: Span, members: &'a DeTable<'a>) -> Table<'a> {
        Table { source: self.source, title: title.to_owned(), span, members }
    }

    fn strings(&self, key: &str, list: &'a DeArray<'a>, example: &str) -> Result<Vec<(&'a str, Span)>> {
        let text = |value: &'a Spanned<DeValue<'a>>| match value.get_ref().as_str() {
            Some(text) => Ok((self.plain(key, text, example)?, value.span())),
            None => {
                let found = describe(value.get_ref());
                let what = format!("`{key}` must be a list of strings, but contains {found}");
                Err(self.source.fault(&value.span(), what, format!("write {key} = {example}")))
            }
        };
        list.iter().map(text).collect()
    }

    fn plain(&self, key: &str, text: &'a str, example: &str) -> Result<&'a str> {
        match text {
            "" => Err(self.fault(key, "is empty", format!("write {key} = {example}"))),
            text if text.contains('\0') => Err(self.fault(key, "contains a NUL", format!("write {key} = {example}"))),
            text => Ok(text),
        }
    }

    fn is_not(&self, key: &str, what: &str, example: &str) -> Error {
        let found = self.get(key).map_or("nothing", |value| describe(value.get_ref()));
        self.fault(key, format!("must be {what}, not {found}"), format!("write {key} = {example}"))
    }

    fn span_of(&self, key: &str) -> Span {
        self.members.get_key_value(key).map_or_else(|| self.span.clone(), |(key, _)| key.span())
    }

    /// Reads all values with `read`, in the order of the text, so that the first error is the topmost one.
    pub fn members<T>(
        &self,
        mut read: impl FnMut(&str, &'a Spanned<DeValue<'a>>) -> Result<T>,
    ) -> Result<BTreeMap<String, T>> {
        let mut members = BTreeMap::new();
        for (key, _) in self.keys() {
            if let Some(value) = self.get(key) {
                members.insert(key.to_owned(), read(key, value)?);
            }
        }
        Ok(members)
    }
}

pub fn describe(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(true) => "true",
        DeValue::Boolean(false) => "false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

pub fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let word = word.to_lowercase();
    let distance = |near: &&str| strsim::damerau_levenshtein(&word, near);
    // A third of the letters may be wrong, and two of a short word: `tabel`, `filter-on`.
    known.min_by_key(distance).filter(|near| distance(near) <= (near.chars().count() / 3).clamp(1, 3))
}

/// "`a`, `b`, `c`"
pub fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

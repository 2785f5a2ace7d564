//! A profile's text as tables whose every key and value knows its line, and the words for what is wrong with one.
//!
//! Every fault is a usage error that names the file, the line, the key, and what to write instead. Nothing is passed
//! over: a key that is not asked for by name is unknown, and the nearest one that is known is named.

use std::{collections::BTreeMap, ops::Range};

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use volume::error::{Error, Result};

/// A value and where it stands.
pub type Place = Range<usize>;

/// The text of a profile, and what it is called.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// A path, or whatever else says which profile it is.
    pub name: &'a str,
    /// The text.
    pub text: &'a str,
}

impl<'a> Source<'a> {
    /// Its tables.
    ///
    /// # Errors
    /// `Usage` where it is no TOML.
    pub fn parse(&self) -> Result<Spanned<DeTable<'a>>> {
        DeTable::parse(self.text).map_err(|cause| {
            let line = cause.span().map_or_else(String::new, |place| format!(", line {}", self.line(place.start)));
            let what = cause.message().lines().collect::<Vec<_>>().join(", ");
            let error = Error::usage(format!("the profile {}{line} is not TOML: {what}", self.name));
            error.hint("strings stand in quotes, lists in [ ], and a table on one line in { }")
        })
    }

    /// What is wrong at a place.
    pub fn fault(&self, place: &Place, what: impl std::fmt::Display, instead: impl Into<String>) -> Error {
        let line = self.line(place.start);
        Error::usage(format!("the profile {}, line {line}: {what}", self.name)).hint(instead)
    }

    fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().get(..at).unwrap_or(self.text.as_bytes());
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

/// One table of a profile.
#[derive(Debug, Clone)]
pub struct Table<'a> {
    /// The text that it is of.
    pub source: Source<'a>,
    /// What it is called in an error.
    pub title: String,
    /// Where it begins.
    pub place: Place,
    members: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    /// The table of the whole document.
    pub fn of_document(source: Source<'a>, document: &'a Spanned<DeTable<'a>>) -> Self {
        Self { source, title: "a profile".to_owned(), place: 0..0, members: document.get_ref() }
    }

    /// The same table, called otherwise in an error.
    pub fn called(&self, title: String) -> Self {
        Self { title, ..self.clone() }
    }

    /// What is wrong with one of its keys.
    pub fn fault(&self, key: &str, what: impl std::fmt::Display, instead: impl Into<String>) -> Error {
        let place = self.place_of(key);
        self.source.fault(&place, format!("`{key}` {what}"), instead)
    }

    /// What is wrong with the whole of it.
    pub fn wrong(&self, what: impl std::fmt::Display, instead: impl Into<String>) -> Error {
        self.source.fault(&self.place, what, instead)
    }

    /// Whether there is such a key.
    pub fn has(&self, key: &str) -> bool {
        self.members.contains_key(key)
    }

    /// Its keys, and where each stands, in the order of the text.
    pub fn keys(&self) -> Vec<(&'a str, Place)> {
        let mut keys: Vec<_> = self.members.keys().map(|key| (key.get_ref().as_ref(), key.span())).collect();
        keys.sort_by_key(|(_, place)| place.start);
        keys
    }

    /// Refuses any other key; `elsewhere` may know where one belongs.
    ///
    /// # Errors
    /// `Usage`, for the first that is unknown.
    pub fn only(&self, known: &[&str], elsewhere: impl Fn(&str) -> Option<String>) -> Result<()> {
        let Some((key, _)) = self.keys().into_iter().find(|(key, _)| !known.contains(key)) else { return Ok(()) };
        let all = || format!("the keys of {} are {}", self.title, listed(known));
        let instead = match nearest(key, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? {}", all()),
            None => elsewhere(key).unwrap_or_else(all),
        };
        Err(self.fault(key, format!("is no key of {}", self.title), instead))
    }

    /// A value, whatever it is.
    pub fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.members.get(key)
    }

    /// A value that is text, and not empty.
    ///
    /// # Errors
    /// `Usage` where it is anything else.
    pub fn text(&self, key: &str, example: &str) -> Result<Option<&'a str>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let text = value.get_ref().as_str().ok_or_else(|| self.is_not(key, "a string", example))?;
        self.plain(key, text, example).map(Some)
    }

    /// As [`Self::text`], where it must be there.
    ///
    /// # Errors
    /// `Usage` where it is missing or anything else.
    pub fn needs(&self, key: &str, example: &str) -> Result<&'a str> {
        let missing = || self.wrong(format!("{} needs `{key}`", self.title), format!("write {key} = {example}"));
        self.text(key, example)?.ok_or_else(missing)
    }

    /// A list of strings; one string is a mistake.
    ///
    /// # Errors
    /// `Usage` where it is anything else.
    pub fn texts(&self, key: &str, example: &str) -> Result<Option<Vec<(&'a str, Place)>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let list = value.get_ref().as_array().ok_or_else(|| self.is_not(key, "a list of strings", example))?;
        self.strings(key, list, example).map(Some)
    }

    /// One string, or a list of them.
    ///
    /// # Errors
    /// `Usage` where it is anything else, or an empty list.
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

    /// `true` or `false`.
    ///
    /// # Errors
    /// `Usage` where it is anything else.
    pub fn flag(&self, key: &str) -> Result<bool> {
        let Some(value) = self.get(key) else { return Ok(false) };
        value.get_ref().as_bool().ok_or_else(|| self.is_not(key, "true or false", "true"))
    }

    /// A table in it.
    ///
    /// # Errors
    /// `Usage` where it is anything else.
    pub fn table(&self, key: &str, title: &str, example: &str) -> Result<Option<Table<'a>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::Table(members) => Ok(Some(self.below(title, self.place_of(key), members))),
            _ => Err(self.is_not(key, "a table", example)),
        }
    }

    /// An array of tables in it.
    ///
    /// # Errors
    /// `Usage` where it is anything else.
    pub fn tables(&self, key: &str) -> Result<Vec<Table<'a>>> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let wrong = || self.fault(key, "is a list of tables", format!("begin each of them with a line [[{key}]]"));
        let list = value.get_ref().as_array().ok_or_else(wrong)?;
        let table = |value: &'a Spanned<DeValue<'a>>| match value.get_ref() {
            DeValue::Table(members) => Ok(self.below(&format!("[[{key}]]"), value.span(), members)),
            _ => Err(wrong()),
        };
        list.iter().map(table).collect()
    }

    fn below(&self, title: &str, place: Place, members: &'a DeTable<'a>) -> Table<'a> {
        Table { source: self.source, title: title.to_owned(), place, members }
    }

    fn strings(&self, key: &str, list: &'a DeArray<'a>, example: &str) -> Result<Vec<(&'a str, Place)>> {
        let text = |value: &'a Spanned<DeValue<'a>>| match value.get_ref().as_str() {
            Some(text) => Ok((self.plain(key, text, example)?, value.span())),
            None => {
                let found = describe(value.get_ref());
                let what = format!("`{key}` is a list of strings, and {found} is in it");
                Err(self.source.fault(&value.span(), what, format!("write {key} = {example}")))
            }
        };
        list.iter().map(text).collect()
    }

    fn plain(&self, key: &str, text: &'a str, example: &str) -> Result<&'a str> {
        match text {
            "" => Err(self.fault(key, "is empty", format!("write {key} = {example}"))),
            text if text.contains('\0') => Err(self.fault(key, "has a NUL in it", format!("write {key} = {example}"))),
            text => Ok(text),
        }
    }

    fn is_not(&self, key: &str, what: &str, example: &str) -> Error {
        let found = self.get(key).map_or("nothing", |value| describe(value.get_ref()));
        self.fault(key, format!("must be {what}, and is {found}"), format!("write {key} = {example}"))
    }

    fn place_of(&self, key: &str) -> Place {
        self.members.get_key_value(key).map_or_else(|| self.place.clone(), |(key, _)| key.span())
    }

    /// Each member by its key.
    ///
    /// # Errors
    /// The first that `read` has.
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

/// What a value is, in words.
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

/// The word among these that was probably meant.
pub fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let word = word.to_lowercase();
    let distance = |near: &&str| strsim::damerau_levenshtein(&word, near);
    // A third of the letters may be wrong, and two of a short word: `tabel`, `filter-on`.
    known.min_by_key(distance).filter(|near| distance(near) <= (near.chars().count() / 3).clamp(1, 3))
}

/// Words, as a sentence lists them.
pub fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

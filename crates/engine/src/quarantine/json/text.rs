//! JSON parsed in place: ranges of values in a text, without copies.
//!
//! serde_json validates the whole text once, without recursion. After that, skipping over strings and brackets is
//! enough to find a value, because the text is valid. Together they keep every byte, any depth, and all digits of a
//! number. A syntax tree that preserves the text (jsonc-parser) would need a heap allocation per token, thirty times
//! the size of the text; it can neither restore a removed member at its exact place nor reject its own extensions of
//! JSON.

use std::{borrow::Cow, fmt};

use serde::de::{self, Deserializer, IgnoredAny, Visitor};

use crate::prelude::*;

const BOM: &str = "\u{feff}";

/// A value, as a range of the text that contains it.
#[derive(Clone, Copy)]
pub struct RawValue<'a> {
    text: &'a str,
    pub start: usize,
    pub end: usize,
}

#[derive(Clone, Copy)]
pub struct Member<'a> {
    pub name: RawValue<'a>,
    pub value: RawValue<'a>,
}

/// The type of a value, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Object,
    Array,
    Text,
    Number,
    /// `true`, `false`, `null`
    Word,
}

/// Parses a document. Fails with `AppsUnknown` if it is not JSON (RFC 8259) in UTF-8. A leading byte order mark is
/// ignored.
pub fn document(bytes: &[u8]) -> Result<RawValue<'_>> {
    let unusable = |why: String| Error::new(Code::AppsUnknown, why).hint("fix the file, or use another backup");
    let text = str::from_utf8(bytes).map_err(|cause| {
        unusable(format!("it is not JSON: not UTF-8 after the first {} bytes", cause.valid_up_to()))
    })?;
    let bom = if text.starts_with(BOM) { BOM.len() } else { 0 };
    let json = text.get(bom..).unwrap_or_default();
    if json.trim_ascii().is_empty() {
        return Err(unusable("it is empty, but must be JSON".to_owned()));
    }
    serde_json::from_str::<IgnoredAny>(json).map_err(|cause| unusable(format!("it is not JSON: {cause}")))?;
    let start = skip_space(text, bom);
    Ok(RawValue { text, start, end: skip_value(text, start) })
}

impl<'a> RawValue<'a> {
    /// A text that is exactly one valid value, without surrounding space.
    pub fn whole(text: &'a str) -> Self {
        RawValue { text, start: 0, end: text.len() }
    }

    pub fn source(self) -> &'a str {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    pub fn shape(self) -> Shape {
        match byte(self.text, self.start) {
            b'{' => Shape::Object,
            b'[' => Shape::Array,
            b'"' => Shape::Text,
            b'-' | b'0'..=b'9' => Shape::Number,
            _ => Shape::Word,
        }
    }

    /// The members of an object, in order; nothing for other types.
    pub fn members(self) -> impl Iterator<Item = Member<'a>> {
        let mut parts = self.parts(Shape::Object);
        std::iter::from_fn(move || Some(Member { name: parts.next()?, value: parts.next()? }))
    }

    /// The elements of an array, in order; nothing for other types.
    pub fn elements(self) -> impl Iterator<Item = RawValue<'a>> {
        self.parts(Shape::Array)
    }

    /// The content of a string, `None` for other types. It is UTF-8, except that an unpaired surrogate is three bytes.
    pub fn decoded(self) -> Option<Cow<'a, [u8]>> {
        if self.shape() != Shape::Text {
            return None;
        }
        let inner = self.text.get(self.start + 1..self.end - 1)?;
        if !inner.contains('\\') {
            return Some(Cow::Borrowed(inner.as_bytes()));
        }
        let mut reader = serde_json::Deserializer::from_str(self.source());
        reader.deserialize_bytes(Bytes).ok().map(Cow::Owned)
    }

    pub fn text_is(self, text: &str) -> bool {
        self.decoded().is_some_and(|said| *said == *text.as_bytes())
    }

    /// The parts that commas and colons separate.
    fn parts(self, shape: Shape) -> impl Iterator<Item = RawValue<'a>> {
        let text = self.text;
        let mut at = if self.shape() == shape { self.start + 1 } else { self.end };
        let end = self.end;
        std::iter::from_fn(move || {
            at = skip_space(text, at);
            if matches!(byte(text, at), b',' | b':') {
                at = skip_space(text, at + 1);
            }
            // The last byte is the closing bracket.
            if at + 1 >= end {
                return None;
            }
            let start = at;
            at = skip_value(text, at);
            Some(RawValue { text, start, end: at })
        })
    }
}

/// Files may contain secrets, which must not reach a log through `Debug`.
impl fmt::Debug for RawValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}..{}", self.shape(), self.start, self.end)
    }
}

/// The byte at `at`; NUL after the end, because NUL never occurs in JSON.
fn byte(text: &str, at: usize) -> u8 {
    text.as_bytes().get(at).copied().unwrap_or_default()
}

fn skip_space(text: &str, mut at: usize) -> usize {
    while matches!(byte(text, at), b' ' | b'\t' | b'\n' | b'\r') {
        at += 1;
    }
    at
}

fn skip_value(text: &str, at: usize) -> usize {
    match byte(text, at) {
        b'"' => skip_string(text, at),
        b'{' | b'[' => skip_brackets(text, at),
        _ => {
            let rest = text.as_bytes().get(at..).unwrap_or_default();
            let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
            at + rest.iter().position(is_end).unwrap_or(rest.len())
        }
    }
}

fn skip_string(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn skip_brackets(text: &str, mut at: usize) -> usize {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = skip_string(text, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// Decodes a string as bytes, because serde_json supports unpaired surrogates only this way.
struct Bytes;

impl Visitor<'_> for Bytes {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_owned())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
        Ok(text.as_bytes().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::*;

    /// Builds a whole tree from the ranges alone.
    fn rebuilt(value: RawValue<'_>) -> Json {
        let said =
            |value: RawValue<'_>| String::from_utf8(value.decoded().expect("a string").into_owned()).expect("UTF-8");
        match value.shape() {
            Shape::Object => value.members().map(|member| (said(member.name), rebuilt(member.value))).collect(),
            Shape::Array => value.elements().map(rebuilt).collect(),
            Shape::Text => said(value).into(),
            Shape::Number | Shape::Word => serde_json::from_str(value.source()).expect("is JSON"),
        }
    }

    #[test]
    fn unpaired_surrogates_are_distinguished() {
        let text = r#"["\ud83d", "\ude00", "\ud83d\ude00", "\ud83dx"]"#;
        let said: Vec<_> = document(text.as_bytes()).expect("JSON").elements().map(RawValue::decoded).collect();
        assert!(said.iter().all(Option::is_some), "{said:?}");
        assert_eq!(said[2].as_deref(), Some("\u{1f600}".as_bytes()));
        assert!(said[0] != said[1] && String::from_utf8_lossy(said[3].as_deref().unwrap_or_default()).ends_with('x'));
    }

    const TEXTS: [&str; 6] = [
        r#"{"a":[1,{"b":"c"}],"d":null}"#,
        "\u{feff} [ ]\r\n",
        r#" { "a" : { } , "b\"\\" : [ "]" , "}\\" , -1.5e+7 ] , "" : "\u00e9\/" } "#,
        "[[[[]],{}],[[],[[true]]]]",
        "\"\\ud83d\\ude00\"",
        "[1e400, 12345678901234567890123, -0, 0.10]",
    ];

    proptest! {
        #[test]
        fn the_ranges_match_serde_json(
            text in prop::sample::select(TEXTS.to_vec()),
            changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b" []{},:\"\\u0e-.1tfn\n\x01\x80\xe9".to_vec())), 0..4),
        ) {
            let mut bytes = text.as_bytes().to_vec();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let json = bytes.strip_prefix(BOM.as_bytes()).unwrap_or(&bytes);
            match (document(&bytes), serde_json::from_slice::<Json>(json)) {
                (Ok(value), Ok(tree)) => prop_assert_eq!(rebuilt(value), tree),
                (Err(_), Ok(tree)) => prop_assert!(false, "{tree} was refused"),
                // Unpaired surrogates, and numbers too large for a double, are JSON that cannot become a tree.
                (Ok(value), Err(cause)) => {
                    let words = cause.to_string();
                    prop_assert!(words.contains("surrogate") || words.contains("hex escape") || words.contains("out of range"), "{}", words);
                    value.members().for_each(drop);
                }
                (Err(_), Err(_)) => {}
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(value) = document(&bytes) {
                value.elements().chain(value.members().map(|member| member.value)).for_each(drop);
            }
        }
    }
}

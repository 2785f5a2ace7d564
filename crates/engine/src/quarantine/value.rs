//! A SQLite value, stored in JSON without loss.
//!
//! ```text
//! "null"  {"integer": -1}  {"real": "0.1"}  {"text": "…"}  {"text_base64": "…"}  {"blob": "…"}
//! ```
//! A real is stored as text, in the shortest digits that identify it, so that JSON parsers do not round it; infinity is
//! `inf`. Text that is not UTF-8, and every blob, is standard base64.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

use crate::prelude::*;
use profile::step::Scalar;

/// A SQLite value. Two are equal if SQLite stores the same bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "Json", try_from = "Json")]
pub enum ColumnValue {
    Null,
    Integer(i64),
    /// The bits of a double.
    Real(u64),
    /// The bytes of a text, which may not be UTF-8.
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Json {
    Null,
    Integer(i64),
    Real(String),
    Text(String),
    TextBase64(String),
    Blob(String),
}

impl From<ColumnValue> for Json {
    fn from(value: ColumnValue) -> Self {
        match value {
            ColumnValue::Null => Self::Null,
            ColumnValue::Integer(number) => Self::Integer(number),
            ColumnValue::Real(bits) => Self::Real(f64::from_bits(bits).to_string()),
            ColumnValue::Text(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Self::Text(text),
                Err(cause) => Self::TextBase64(BASE64_STANDARD.encode(cause.as_bytes())),
            },
            ColumnValue::Blob(bytes) => Self::Blob(BASE64_STANDARD.encode(bytes)),
        }
    }
}

impl TryFrom<Json> for ColumnValue {
    type Error = String;

    fn try_from(json: Json) -> Result<Self, String> {
        let decode = |text: String| BASE64_STANDARD.decode(text).map_err(|cause| cause.to_string());
        Ok(match json {
            Json::Null => Self::Null,
            Json::Integer(number) => Self::Integer(number),
            Json::Real(text) => {
                let number: f64 = text.parse().map_err(|_| format!("{text:?} is not a number"))?;
                Self::Real(number.to_bits())
            }
            Json::Text(text) => Self::Text(text.into_bytes()),
            Json::TextBase64(text) => Self::Text(decode(text)?),
            Json::Blob(text) => Self::Blob(decode(text)?),
        })
    }
}

/// A value from a profile.
impl From<&Scalar> for ColumnValue {
    fn from(value: &Scalar) -> Self {
        match value {
            Scalar::Null => Self::Null,
            Scalar::Integer(number) => Self::Integer(*number),
            Scalar::Real(number) => Self::Real(number.to_bits()),
            Scalar::Text(text) => Self::Text(text.clone().into_bytes()),
        }
    }
}

impl From<ValueRef<'_>> for ColumnValue {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number.to_bits()),
            ValueRef::Text(bytes) => Self::Text(bytes.to_owned()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_owned()),
        }
    }
}

impl ToSql for ColumnValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(bits) => ValueRef::Real(f64::from_bits(*bits)),
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// As part of an app's id, which users type.
impl fmt::Display for ColumnValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Integer(number) => number.fmt(f),
            Self::Real(bits) => f64::from_bits(*bits).fmt(f),
            Self::Text(bytes) => printable(&String::from_utf8_lossy(bytes)).fmt(f),
            Self::Blob(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// Escapes control characters, because a row must not control the terminal.
fn printable(text: &str) -> String {
    let escape = |character: char| match character.is_control() {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    text.chars().map(escape).collect()
}

/// Rows may contain secrets, which must not reach a log through `Debug`.
impl fmt::Debug for ColumnValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Integer(_) => "Integer",
            Self::Real(_) => "Real",
            Self::Text(_) => "Text",
            Self::Blob(_) => "Blob",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reals() -> Vec<f64> {
        vec![0.1, -0.0, 5e-324, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, 1.0, 9_007_199_254_740_993.0, 0.3]
    }

    #[test]
    fn every_value_survives_json_bit_for_bit() {
        let mut values = vec![
            ColumnValue::Null,
            ColumnValue::Integer(i64::MIN),
            ColumnValue::Integer(i64::MAX),
            ColumnValue::Text("naïve \u{0}\u{1f980}".into()),
            ColumnValue::Text(b"caf\xe9".to_vec()),
            ColumnValue::Blob(vec![0, 255, 10]),
            ColumnValue::Blob(Vec::new()),
            ColumnValue::Text(Vec::new()),
        ];
        values.extend(reals().into_iter().map(|real| ColumnValue::Real(real.to_bits())));
        let json = serde_json::to_string(&values).expect("serialises");
        let back: Vec<ColumnValue> = serde_json::from_str(&json).expect("parses");
        assert!(back == values, "{json}");
    }

    #[test]
    fn a_key_is_shown_as_a_user_types_it_without_control_characters() {
        let shown = [
            (ColumnValue::Null, "NULL"),
            (ColumnValue::Integer(-3), "-3"),
            (ColumnValue::Real(1.5_f64.to_bits()), "1.5"),
            (ColumnValue::Text("naïve key\u{1b}[2J\n".into()), "naïve key\\u{1b}[2J\\n"),
            (ColumnValue::Blob(vec![0, 255]), "00ff"),
        ];
        for (value, text) in shown {
            assert_eq!(value.to_string(), text);
        }
    }

    #[test]
    fn every_value_survives_sqlite_bit_for_bit() {
        let connection = rusqlite::Connection::open_in_memory().expect("opens");
        let values = [
            ColumnValue::Text(b"caf\xe9\0x".to_vec()),
            ColumnValue::Text(Vec::new()),
            ColumnValue::Blob(Vec::new()),
            ColumnValue::Null,
        ];
        let reals = reals().into_iter().map(|real| ColumnValue::Real(real.to_bits()));
        for value in values.into_iter().chain(reals) {
            let back = connection.query_row("SELECT ?1", [&value], |row| Ok(ColumnValue::from(row.get_ref(0)?)));
            assert!(back.expect("reads") == value);
        }
    }
}

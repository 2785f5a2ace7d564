//! Reads the values of a step: new values of columns and JSON members, and conditions on JSON members.
//!
//! TOML has neither null nor a missing value, so profiles write `{ null = true }` and, for JSON, `{ absent = true }`.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};
use toml::{
    Spanned,
    de::{DeInteger, DeTable, DeValue},
};

use super::{
    document::{Source, Table, describe, listed, nearest},
    step::{Condition, Scalar},
};
use volume::error::{Error, Result};

type SpannedValue<'a> = Spanned<DeValue<'a>>;

const CONDITIONS: [&str; 4] = ["absent", "prefix", "not", "null"];

pub fn scalars(table: &Table<'_>) -> Result<BTreeMap<String, Scalar>> {
    table.members(|key, value| {
        let wrong = |instead: &str| {
            let what = format!("`{key}` is {}, which a column cannot store", describe(value.get_ref()));
            table.source.fault(&value.span(), what, instead)
        };
        Ok(match value.get_ref() {
            DeValue::String(text) => Scalar::Text(text.to_string()),
            DeValue::Boolean(is) => Scalar::Integer(i64::from(*is)),
            DeValue::Integer(number) => Scalar::Integer(
                signed(number).ok_or_else(|| wrong("a column holds whole numbers of up to 64 bits with a sign"))?,
            ),
            DeValue::Float(number) => {
                Scalar::Real(number.as_str().parse().map_err(|_| wrong("write a number, such as 1.5"))?)
            }
            DeValue::Datetime(_) => return Err(wrong("write it as text, in quotes, as the server does")),
            DeValue::Array(_) => return Err(wrong("write a list as the text that the server stores, in quotes")),
            DeValue::Table(members) if is_true(members, "null") => Scalar::Null,
            DeValue::Table(members) if members.contains_key("absent") => {
                return Err(wrong("a column is never absent: write { null = true } for NULL"));
            }
            DeValue::Table(_) => return Err(wrong("write a string, a number, true, false or { null = true }")),
        })
    })
}

/// Reads the new values of JSON members. `None` removes the member.
pub fn members(table: &Table<'_>) -> Result<BTreeMap<String, Option<Value>>> {
    table.members(|_, value| match value.get_ref() {
        DeValue::Table(members) if is_true(members, "absent") => Ok(None),
        _ => json(table.source, value).map(Some),
    })
}

pub fn conditions(table: &Table<'_>) -> Result<BTreeMap<String, Condition>> {
    table.members(|_, value| condition(table.source, value))
}

fn condition(source: Source<'_>, value: &SpannedValue<'_>) -> Result<Condition> {
    match value.get_ref() {
        // An empty list is a value, not a list of alternatives, because "one of nothing" never holds. `{ not = [] }`
        // thus selects lists with elements.
        DeValue::Array(list) if !list.is_empty() => {
            list.iter().map(|value| alternative(source, value)).collect::<Result<_>>().map(Condition::OneOf)
        }
        DeValue::Table(members) if !members.is_empty() => operator(source, value, members),
        _ => json(source, value).map(Condition::Is),
    }
}

/// Inside a list of alternatives, a list is a value.
fn alternative(source: Source<'_>, value: &SpannedValue<'_>) -> Result<Condition> {
    match value.get_ref() {
        DeValue::Array(_) => json(source, value).map(Condition::Is),
        _ => condition(source, value),
    }
}

fn operator(source: Source<'_>, found: &SpannedValue<'_>, members: &DeTable<'_>) -> Result<Condition> {
    const EXAMPLES: &str = r#"write { absent = true }, { prefix = "…" }, { not = … } or { null = true }"#;
    let one = members.iter().next().filter(|_| members.len() == 1);
    let Some((key, value)) = one else {
        return Err(source.fault(&found.span(), "a condition must have exactly one key", EXAMPLES));
    };
    let true_alone = |condition| match value.get_ref() {
        DeValue::Boolean(true) => Ok(condition),
        _ => Err(source.fault(&value.span(), format!("`{}` can only be true", key.get_ref()), EXAMPLES)),
    };
    match key.get_ref().as_ref() {
        "absent" => true_alone(Condition::Absent),
        "null" => true_alone(Condition::Is(Value::Null)),
        "prefix" => match value.get_ref().as_str() {
            Some(text) => Ok(Condition::Prefix(text.to_owned())),
            None => {
                let what = format!("`prefix` must be a string, not {}", describe(value.get_ref()));
                Err(source.fault(&value.span(), what, r#"write { prefix = "https://" }"#))
            }
        },
        "not" => condition(source, value).map(|inner| Condition::Not(Box::new(inner))),
        other => {
            let near = nearest(other, CONDITIONS.into_iter()).map(|near| format!("did you mean `{near}`? "));
            let what = format!("`{other}` is not a condition: the conditions are {}", listed(&CONDITIONS));
            Err(source.fault(&key.span(), what, near.unwrap_or_default() + EXAMPLES))
        }
    }
}

fn json(source: Source<'_>, value: &SpannedValue<'_>) -> Result<Value> {
    let wrong = |what: &str, instead: &str| -> Error { source.fault(&value.span(), what, instead) };
    Ok(match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(is) => Value::Bool(*is),
        DeValue::Integer(number) => {
            let number = signed(number).map(Number::from).or_else(|| unsigned(number).map(Number::from));
            Value::Number(number.ok_or_else(|| wrong("the number exceeds 64 bits", "write it as text, in quotes"))?)
        }
        DeValue::Float(number) => {
            let number = number.as_str().parse().ok().and_then(Number::from_f64);
            Value::Number(number.ok_or_else(|| wrong("JSON has no such number", "write a finite number"))?)
        }
        DeValue::Datetime(_) => {
            return Err(wrong("JSON has no dates", "write it as text, in quotes, as the server does"));
        }
        DeValue::Array(list) => Value::Array(list.iter().map(|value| json(source, value)).collect::<Result<_>>()?),
        DeValue::Table(members) if is_true(members, "null") => Value::Null,
        DeValue::Table(members) if is_true(members, "absent") => {
            return Err(wrong(
                "`absent` can only stand for a whole member, not for a part of its value",
                "leave the part out of the value",
            ));
        }
        DeValue::Table(members) => {
            let member = |(key, value): (&Spanned<_>, &SpannedValue<'_>)| {
                Ok((std::borrow::Cow::to_string(key.get_ref()), json(source, value)?))
            };
            Value::Object(members.iter().map(member).collect::<Result<Map<_, _>>>()?)
        }
    })
}

/// `{ key = true }`, and nothing else.
fn is_true(members: &DeTable<'_>, key: &str) -> bool {
    members.len() == 1 && members.get(key).is_some_and(|value| value.get_ref().as_bool() == Some(true))
}

fn signed(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn unsigned(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

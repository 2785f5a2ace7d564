//! Evaluates a filter for one event, in three-valued logic: true, false or unknown.

use std::{borrow::Cow, cmp::Ordering};

use jiff::Timestamp;
use serde_json::Value as Json;

use super::{
    parse::{BuiltIn, Operand, Test},
    token::Compare,
};
use volume::events::Stored;

enum Value<'a> {
    Text(Cow<'a, str>),
    Number(f64),
    Bool(bool),
    Time(Timestamp),
    Null,
    /// A list or an object. It does not equal anything.
    Other,
}

/// `None` means unknown.
pub(super) fn holds(test: &Test, event: &Stored) -> Option<bool> {
    match test {
        Test::All(tests) => join(tests, event, false),
        Test::Any(tests) => join(tests, event, true),
        Test::Not(test) => holds(test, event).map(|holds| !holds),
        Test::Is(operand) => match value(operand, event)? {
            Value::Bool(holds) => Some(holds),
            _ => None,
        },
        Test::Compare { left, how, right, ignore_case } => {
            let (left, right) = (value(left, event)?, value(right, event)?);
            compare(&left, *how, &right, *ignore_case)
        }
        Test::Like { operand, pattern } => match value(operand, event)? {
            Value::Text(text) => Some(pattern.matches(&text)),
            _ => None,
        },
        Test::In { operand, list, ignore_case } => {
            let wanted = value(operand, event)?;
            let is_one = |other: &Operand| {
                let other = value(other, event)?;
                compare(&wanted, Compare::Equal, &other, *ignore_case)
            };
            Some(list.iter().any(|other| is_one(other) == Some(true)))
        }
        Test::IsNull(operand) => Some(matches!(value(operand, event), None | Some(Value::Null))),
    }
}

/// Joins the tests by `or` if `deciding` is true, else by `and`.
fn join(tests: &[Test], event: &Stored, deciding: bool) -> Option<bool> {
    let mut unknown = false;
    for test in tests {
        match holds(test, event) {
            Some(holds) if holds == deciding => return Some(deciding),
            Some(_) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(!deciding)
}

/// Returns `None` if the event lacks the property.
fn value<'a>(operand: &'a Operand, event: &'a Stored) -> Option<Value<'a>> {
    Some(match operand {
        Operand::Text(text) => Value::Text(text.into()),
        Operand::Number(number) => Value::Number(*number),
        Operand::Bool(value) => Value::Bool(*value),
        Operand::Null => Value::Null,
        Operand::Test(test) => Value::Bool(holds(test, event)?),
        Operand::BuiltIn(BuiltIn::Level) => Value::Text(event.level().into()),
        Operand::BuiltIn(BuiltIn::EventType) => Value::Text(event.kind().into()),
        Operand::BuiltIn(BuiltIn::Message) => Value::Text(event.message().into()),
        Operand::BuiltIn(BuiltIn::MessageTemplate) => Value::Text(event.fields.get("@mt")?.as_str()?.into()),
        Operand::BuiltIn(BuiltIn::Timestamp) => Value::Time(event.at()?),
        Operand::Property(names) => {
            let (outer, inner) = names.split_first()?;
            let found = inner.iter().try_fold(event.fields.get(outer)?, |value, name| value.get(name))?;
            of_json(found)
        }
    })
}

fn of_json(value: &Json) -> Value<'_> {
    match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => number.as_f64().map_or(Value::Other, Value::Number),
        Json::String(text) => Value::Text(text.into()),
        Json::Array(_) | Json::Object(_) => Value::Other,
    }
}

/// Values of different types are unequal and have no order. Null equals null.
fn compare(left: &Value<'_>, how: Compare, right: &Value<'_>, ignore_case: bool) -> Option<bool> {
    let order = match (left, right) {
        (Value::Text(left), Value::Text(right)) if ignore_case => Some(left.to_lowercase().cmp(&right.to_lowercase())),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => left.partial_cmp(right),
        (Value::Bool(left), Value::Bool(right)) if left == right => Some(Ordering::Equal),
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        (Value::Time(left), Value::Time(right)) => Some(left.cmp(right)),
        (Value::Time(left), Value::Text(right)) => Some(left.cmp(&right.parse().ok()?)),
        (Value::Text(left), Value::Time(right)) => Some(left.parse::<Timestamp>().ok()?.cmp(right)),
        _ => None,
    };
    match how {
        Compare::Equal => Some(order == Some(Ordering::Equal)),
        Compare::Different => Some(order != Some(Ordering::Equal)),
        Compare::Less => Some(order? == Ordering::Less),
        Compare::LessOrEqual => Some(order? != Ordering::Greater),
        Compare::More => Some(order? == Ordering::Greater),
        Compare::MoreOrEqual => Some(order? != Ordering::Less),
    }
}

//! `where`: whether the members of a node show that it is an app that is on.
//!
//! Values are compared by meaning: `1`, `1.0` and `1e0` are the same number, the order of members does not matter, and
//! an escape equals its character. Numbers are never rounded to become equal.

use std::collections::BTreeMap;

use serde_json::{Number, Value as Wanted};

use super::{
    pointer::{DuplicateName, duplicate_name, member},
    text::{RawValue, Shape},
};
use crate::prelude::*;
use profile::step::Condition;

/// Integers up to this are exact in a double.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Whether the members of a node match all conditions. A value that is not an object has no members. Fails with
/// `AppsUnknown` if a member that matters is duplicated.
pub fn holds(conditions: &BTreeMap<String, Condition>, node: RawValue<'_>, pointer: &str) -> Result<bool> {
    for (name, condition) in conditions {
        let member = member(node, name).map_err(|DuplicateName| duplicate_name(name, pointer))?;
        if !is(condition, member.map(|member| member.value)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is(condition: &Condition, value: Option<RawValue<'_>>) -> bool {
    match condition {
        Condition::Is(wanted) => value.is_some_and(|value| same(wanted, value)),
        Condition::OneOf(conditions) => conditions.iter().any(|condition| is(condition, value)),
        Condition::Absent => value.is_none(),
        Condition::Prefix(prefix) => {
            let said = value.and_then(RawValue::decoded);
            said.is_some_and(|said| said.starts_with(prefix.as_bytes()))
        }
        Condition::Not(condition) => !is(condition, value),
    }
}

pub fn same(wanted: &Wanted, value: RawValue<'_>) -> bool {
    match (wanted, value.shape()) {
        (Wanted::Null, Shape::Word) => value.source() == "null",
        (Wanted::Bool(wanted), Shape::Word) => value.source() == if *wanted { "true" } else { "false" },
        (Wanted::Number(wanted), Shape::Number) => same_number(wanted, value.source()),
        (Wanted::String(wanted), Shape::Text) => value.text_is(wanted),
        (Wanted::Array(wanted), Shape::Array) => {
            let mut elements = value.elements();
            wanted.iter().all(|wanted| elements.next().is_some_and(|value| same(wanted, value)))
                && elements.next().is_none()
        }
        (Wanted::Object(wanted), Shape::Object) => {
            let equal = |(name, wanted): (&String, &Wanted)| matches!(member(value, name), Ok(Some(found)) if same(wanted, found.value));
            value.members().count() == wanted.len() && wanted.iter().all(equal)
        }
        _ => false,
    }
}

fn same_number(wanted: &Number, source: &str) -> bool {
    let written_out = source.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let double = source.parse::<f64>().ok();
    if wanted.is_f64() {
        return double.is_some() && double == wanted.as_f64();
    }
    if written_out {
        return source.parse().is_ok_and(|number: i128| Some(number) == integer(wanted));
    }
    let whole = double.filter(|number| number.fract() == 0.0 && number.abs() <= EXACT);
    #[expect(clippy::cast_possible_truncation, reason = "a whole number that an i64 holds")]
    whole.is_some_and(|number| Some(i128::from(number as i64)) == integer(wanted))
}

fn integer(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::text::document, *};

    fn value_of(text: &str) -> RawValue<'_> {
        document(text.as_bytes()).expect("JSON")
    }

    fn node_is(condition: Condition, node: &str) -> bool {
        let conditions = BTreeMap::from([("x".to_owned(), condition)]);
        holds(&conditions, value_of(node), "").expect("is clear")
    }

    #[test]
    fn numbers_are_compared_by_value() {
        for (wanted, text) in [
            (json!(1), "1"),
            (json!(1), "1.0"),
            (json!(1), "10e-1"),
            (json!(0), "-0"),
            (json!(i64::MIN), "-9223372036854775808"),
            (json!(u64::MAX), "18446744073709551615"),
            (json!(0.5), "5e-1"),
            (json!(2.0), "2"),
        ] {
            assert!(same(&wanted, value_of(text)), "{wanted} and {text}");
        }
        for (wanted, text) in [
            (json!(i64::MAX), "9223372036854775808"),
            (json!(i64::MAX), "9223372036854775807.0"),
            (json!(9_007_199_254_740_993_i64), "9007199254740992"),
            (json!(1), "1e400"),
            (json!(1), "\"1\""),
            (json!(1), "true"),
            (json!(0.1), "0.10000001"),
        ] {
            assert!(!same(&wanted, value_of(text)), "{wanted} and {text}");
        }
    }

    #[test]
    fn nested_values_are_compared_completely() {
        let wanted = json!({"a": [1, {"b": "\u{e9}"}], "c": null});
        assert!(same(&wanted, value_of(" {\"c\":null, \"\\u0061\":[1.0,{\"b\":\"\\u00e9\"}]}\n")));
        for other in [
            r#"{"a": [1, {"b": "é"}]}"#,
            r#"{"a": [1, {"b": "é"}, 2], "c": null}"#,
            r#"{"a": [1], "c": null}"#,
            r#"{"a": [1, {"b": "é"}], "c": null, "d": 1}"#,
            r#"{"a": [1, {"b": "é"}], "a": [1, {"b": "é"}]}"#,
            r#"{"a": [1, {"b": "é"}], "c": false}"#,
        ] {
            assert!(!same(&wanted, value_of(other)), "{other}");
        }
    }

    #[test]
    fn each_condition_and_its_opposite() {
        let not = |condition| Condition::Not(Box::new(condition));
        let is = |value| Condition::Is(value);
        let one_of = Condition::OneOf(vec![is(json!(false)), Condition::Absent]);
        assert!(node_is(one_of.clone(), "{}") && node_is(one_of.clone(), r#"{"x": false}"#));
        assert!(!node_is(one_of.clone(), r#"{"x": true}"#) && !node_is(one_of, r#"{"x": null}"#));
        assert!(node_is(not(Condition::Absent), r#"{"x": null}"#));
        assert!(node_is(not(is(json!("no"))), "{}"), "an absent member differs from every value");
        let prefix = Condition::Prefix("http:".to_owned());
        assert!(node_is(prefix.clone(), r#"{"x": "\u0068ttp://"}"#));
        assert!(!node_is(prefix.clone(), r#"{"x": "xhttp:"}"#) && !node_is(prefix.clone(), r#"{"x": 1}"#));
        assert!(node_is(not(prefix), "[]"), "a value that is not an object has no members");
        assert!(node_is(is(json!(null)), r#"{"x": null}"#) && !node_is(is(json!(null)), "{}"));
    }

    #[test]
    fn a_duplicate_member_is_an_error_if_it_matters() {
        let conditions = BTreeMap::from([("x".to_owned(), Condition::Absent)]);
        let error = holds(&conditions, value_of(r#"{"x": 1, "x": 2}"#), "/a").expect_err("which?");
        assert_eq!(error.message(), r#"/a has two members "x""#);
        assert!(!holds(&conditions, value_of(r#"{"y": 1, "y": 2, "x": 1}"#), "/a").expect("is clear"));
    }
}

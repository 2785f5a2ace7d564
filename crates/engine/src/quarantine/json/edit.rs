//! One member of an object set or removed, and restored byte for byte.
//!
//! ```text
//! value replaced     the new text replaces the old one               undo: the old text, in its original spelling
//! member added       after the last one, with the same spacing       undo: cut from the end of the one before
//! member removed     with the comma and the space beside it          undo: beside the same neighbour
//! ```
//! Changes to one object are undone in reverse order. If the server has rewritten the object since, the result is valid
//! JSON with the same meaning; only the spacing may differ.

use serde_json::Value as Wanted;

use super::{
    condition::same,
    pointer::{Unambiguous, member},
    text::{Member, RawValue, document},
};
use crate::prelude::*;

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Old {
    Absent,
    Value(String),
    /// It existed, and was removed.
    Taken(RemovedMember),
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedMember {
    /// The source text of name and value.
    member: String,
    /// The text before it that was removed with it.
    lead: String,
    /// The text after it that was removed with it.
    trail: String,
    place: Position,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Position {
    Only,
    First,
    /// After the member whose name has this source text.
    After(String),
}

pub enum Undone {
    Done(String),
    /// It already has its old value.
    Already,
    /// It no longer has the value that quarantine wrote.
    Changed,
}

pub fn damaged() -> Error {
    Error::new(Code::AppsUnknown, "its entry in the quarantine record is damaged")
}

/// Files may contain secrets, which must not reach a log through `Debug`.
impl std::fmt::Debug for Old {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Value(_) => "Value",
            Self::Taken(_) => "RemovedMember",
        })
    }
}

/// Sets a member of the object, or removes it; `None` if that changes nothing.
pub fn set(object: &str, name: &str, value: Option<&Wanted>) -> Unambiguous<Option<(String, Old)>> {
    let found = member(RawValue::whole(object), name)?;
    Ok(match (found, value) {
        (None, None) => None,
        (Some(found), Some(value)) if same(value, found.value) => None,
        (Some(found), Some(value)) => {
            let old = Old::Value(found.value.source().to_owned());
            Some((replaced(object, found.value.start, found.value.end, &value.to_string()), old))
        }
        (None, Some(value)) => Some((put_in(object, &Wanted::from(name).to_string(), &value.to_string()), Old::Absent)),
        (Some(found), None) => {
            let taken = RemovedMember::of(object, &found);
            let (start, end) = (found.name.start - taken.lead.len(), found.value.end + taken.trail.len());
            Some((replaced(object, start, end, ""), Old::Taken(taken)))
        }
    })
}

/// Restores a member, if it still is as `wrote` left it.
pub fn put_back(object: &str, name: &str, wrote: Option<&Wanted>, old: &Old) -> Unambiguous<Undone> {
    let found = member(RawValue::whole(object), name)?;
    Ok(match (old, found) {
        (Old::Absent, None) => Undone::Already,
        (Old::Taken(taken), None) if wrote.is_none() => Undone::Done(taken.put_into(object)),
        (Old::Value(_) | Old::Taken(_), None) => Undone::Changed,
        (Old::Value(old), Some(found)) if found.value.source() == old => Undone::Already,
        (old, Some(found)) if wrote.is_some_and(|wrote| same(wrote, found.value)) => Undone::Done(match old {
            Old::Value(old) => replaced(object, found.value.start, found.value.end, old),
            Old::Absent | Old::Taken(_) => without(object, &found),
        }),
        (old, Some(found)) if old.means(found.value) => Undone::Already,
        (_, Some(_)) => Undone::Changed,
    })
}

impl Old {
    /// Whether the previous value has the same meaning as this one.
    fn means(&self, value: RawValue<'_>) -> bool {
        let equals = |source: &str| serde_json::from_str(source).is_ok_and(|old: Wanted| same(&old, value));
        match self {
            Self::Absent => false,
            Self::Value(source) => source == value.source() || equals(source),
            Self::Taken(taken) => taken.parts(|_, source| source == value.source() || equals(source)).unwrap_or(false),
        }
    }

    /// Checks that the recorded texts are valid JSON, because the record is a file that anything could have damaged.
    pub fn check(&self) -> Result<()> {
        let sound = match self {
            Self::Absent => true,
            Self::Value(source) => document(source.as_bytes()).is_ok(),
            Self::Taken(taken) => taken.parts(|_, _| ()).is_some(),
        };
        sound.then_some(()).ok_or_else(damaged)
    }
}

impl RemovedMember {
    fn of(object: &str, taken: &Member<'_>) -> Self {
        let (before, after) = neighbours(object, taken);
        let text = |from: usize, to: usize| object.get(from..to).unwrap_or_default().to_owned();
        let (lead, trail, place) = match (before, after) {
            (Some(before), _) => (
                text(before.value.end, taken.name.start),
                String::new(),
                Position::After(before.name.source().to_owned()),
            ),
            (None, Some(after)) => (String::new(), text(taken.value.end, after.name.start), Position::First),
            (None, None) => (text(1, taken.name.start), text(taken.value.end, object.len() - 1), Position::Only),
        };
        Self { member: text(taken.name.start, taken.value.end), lead, trail, place }
    }

    fn put_into(&self, object: &str) -> String {
        let Self { member, lead, trail, place } = self;
        let whole = RawValue::whole(object);
        let neighbour = match place {
            Position::Only if whole.members().next().is_none() => return format!("{{{lead}{member}{trail}}}"),
            Position::Only => None,
            Position::First => whole.members().next().map(|first| first.name.start),
            Position::After(name) => {
                let said = RawValue::whole(name).decoded();
                whole.members().find(|member| member.name.decoded() == said).map(|before| before.value.end)
            }
        };
        match neighbour {
            Some(at) => replaced(object, at, at, &format!("{lead}{member}{trail}")),
            None => self.parts(|name, value| put_in(object, name, value)).unwrap_or_else(|| object.to_owned()),
        }
    }

    fn parts<T>(&self, with: impl FnOnce(&str, &str) -> T) -> Option<T> {
        let object = format!("{{{}}}", self.member);
        let whole = document(object.as_bytes()).ok()?;
        let mut members = whole.members();
        let member = members.next().filter(|_| members.next().is_none())?;
        Some(with(member.name.source(), member.value.source()))
    }
}

/// Appends a member, with the spacing of the last one.
fn put_in(object: &str, name: &str, value: &str) -> String {
    let mut members = RawValue::whole(object).members();
    let (mut before, mut last) = (None, members.next());
    for member in members {
        before = last.replace(member);
    }
    let Some(last) = last else { return replaced(object, 1, 1, &format!("{name}: {value}")) };
    let colon = object.get(last.name.end..last.value.start).unwrap_or(": ");
    let in_front = object.get(..last.name.start).unwrap_or_default();
    let space = match in_front.get(in_front.trim_ascii_end().len()..).unwrap_or_default() {
        // `{"a": 1}`: a file with a space after the colon gets one after the comma.
        "" if before.is_none() && colon.ends_with(' ') => " ",
        space => space,
    };
    replaced(object, last.value.end, last.value.end, &format!(",{space}{name}{colon}{value}"))
}

/// Removes a member that [`put_in`] added.
fn without(object: &str, member: &Member<'_>) -> String {
    let (start, end) = match neighbours(object, member) {
        (Some(before), _) => (before.value.end, member.value.end),
        (None, Some(after)) => (member.name.start, after.name.start),
        // It was added to an empty object, so the text after it was there before.
        (None, None) if member.name.start == 1 => (1, member.value.end),
        (None, None) => (1, object.len() - 1),
    };
    replaced(object, start, end, "")
}

fn neighbours<'a>(object: &'a str, member: &Member<'_>) -> (Option<Member<'a>>, Option<Member<'a>>) {
    let (mut before, mut after) = (None, None);
    for other in RawValue::whole(object).members() {
        if other.name.start < member.name.start {
            before = Some(other);
        } else if other.name.start > member.name.start {
            after = Some(other);
            break;
        }
    }
    (before, after)
}

fn replaced(text: &str, start: usize, end: usize, new: &str) -> String {
    let (before, after) = (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
    [before, new, after].concat()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::pointer::DuplicateName, *};

    /// Makes the changes, compares, and undoes them in reverse order.
    #[track_caller]
    fn there_and_back(object: &str, sets: &[(&str, Option<Wanted>)], expected: &str) {
        let mut text = object.to_owned();
        let mut done = Vec::new();
        for (name, value) in sets {
            if let Ok(Some((changed, old))) = set(&text, name, value.as_ref()) {
                text = changed;
                done.push((name, value, old));
            }
        }
        assert_eq!(text, expected);
        for (name, value, old) in done.iter().rev() {
            old.check().expect("sound");
            let Ok(Undone::Done(back)) = put_back(&text, name, value.as_ref(), old) else {
                panic!("{name} of {text} is not restored")
            };
            text = back;
        }
        assert_eq!(text, object);
    }

    #[test]
    fn a_restored_value_keeps_its_spelling() {
        for old in ["1e400", "12345678901234567890", "1.0", "-0", r#""\u0041\/""#, "{ \"a\" :1 }", "[\r\n]", "null"] {
            there_and_back(
                &format!("{{\t\"x\" : {old} , \"y\":2}}"),
                &[("x", Some(json!(false)))],
                "{\t\"x\" : false , \"y\":2}",
            );
        }
    }

    #[test]
    fn an_added_member_is_spaced_like_its_neighbours() {
        let put_in = [("n", Some(json!(true)))];
        there_and_back("{}", &put_in, r#"{"n": true}"#);
        there_and_back("{ \n}", &put_in, "{\"n\": true \n}");
        there_and_back(r#"{"a":1}"#, &put_in, r#"{"a":1,"n":true}"#);
        there_and_back(r#"{"a": 1}"#, &put_in, r#"{"a": 1, "n": true}"#);
        there_and_back("{\r\n\t\"a\": 1\r\n}", &put_in, "{\r\n\t\"a\": 1,\r\n\t\"n\": true\r\n}");
        there_and_back("{ \"a\" :1 , \"b\" :2 }", &put_in, "{ \"a\" :1 , \"b\" :2, \"n\" :true }");
    }

    #[test]
    fn a_removed_member_returns_to_its_place() {
        let text = "{ \"a\": 1 ,\n\"b\" : [ 2 ], \"c\":3 }";
        there_and_back(text, &[("a", None)], "{ \"b\" : [ 2 ], \"c\":3 }");
        there_and_back(text, &[("b", None)], "{ \"a\": 1, \"c\":3 }");
        there_and_back(text, &[("c", None)], "{ \"a\": 1 ,\n\"b\" : [ 2 ] }");
        there_and_back(text, &[("a", None), ("b", None), ("c", None)], "{}");
        there_and_back(text, &[("b", None), ("c", None), ("a", None)], "{}");
        there_and_back(text, &[("c", None), ("n", Some(json!(1))), ("a", None)], "{ \"b\" : [ 2 ],\n\"n\" : 1 }");
    }

    #[test]
    fn setting_the_same_value_changes_nothing() {
        assert!(matches!(set(r#"{"a": 1.0}"#, "a", Some(&json!(1))), Ok(None)));
        assert!(matches!(set("{}", "a", None), Ok(None)));
        assert!(matches!(set(r#"{"a": 1, "a": 2}"#, "a", None), Err(DuplicateName)));
    }

    fn back(now: &str, wrote: Option<Wanted>, old: &Old) -> Undone {
        put_back(now, "x", wrote.as_ref(), old).expect("is clear")
    }

    #[test]
    fn only_values_that_quarantine_wrote_are_restored() {
        let old = Old::Value("1.0".to_owned());
        assert!(matches!(back(r#"{"x": 2}"#, Some(json!(0)), &old), Undone::Changed));
        assert!(matches!(back("{}", Some(json!(0)), &old), Undone::Changed));
        assert!(matches!(back(r#"{"x": 1}"#, Some(json!(0)), &old), Undone::Already));
        assert!(matches!(back(r#"{"x": 0.0}"#, Some(json!(0)), &old), Undone::Done(text) if text == r#"{"x": 1.0}"#));
        assert!(matches!(back("{}", Some(json!(0)), &Old::Absent), Undone::Already));
        assert!(matches!(back(r#"{"x": 1}"#, Some(json!(0)), &Old::Absent), Undone::Changed));
        let Ok(Some((_, taken))) = set(r#"{"a": 1, "x": 2, "b": 3}"#, "x", None) else { panic!("taken away") };
        assert!(matches!(back(r#"{"x":2.0}"#, None, &taken), Undone::Already));
        assert!(matches!(back(r#"{"x":3}"#, None, &taken), Undone::Changed));
    }

    #[test]
    fn a_removed_member_returns_to_a_rewritten_object() {
        let Ok(Some((_, after_a))) = set(r#"{"a": 1, "x": 2, "b": 3}"#, "x", None) else { panic!("taken away") };
        let Ok(Some((_, first))) = set(r#"{"x": 2, "b": 3}"#, "x", None) else { panic!("taken away") };
        let Ok(Some((_, only))) = set(r#"{ "x": 2 }"#, "x", None) else { panic!("taken away") };
        for now in ["{}", "{ }", "{\n}", r#"{"b":3}"#, "{\n  \"b\": 3\n}", r#"{"b":3,"\u0061":1}"#] {
            for old in [&after_a, &first, &only] {
                let Undone::Done(text) = back(now, None, old) else { panic!("{now}") };
                let mut expected: Wanted = serde_json::from_str(now).expect("JSON");
                expected["x"] = json!(2);
                assert_eq!(serde_json::from_str::<Wanted>(&text).expect("is JSON"), expected, "{now} {text}");
            }
        }
    }

    #[test]
    fn a_damaged_record_is_detected() {
        for bad in [r#"{"value": "1, \"y\": 2"}"#, r#"{"value": ""}"#] {
            let old: Old = serde_json::from_str(bad).expect("parses");
            assert!(old.check().is_err(), "{bad}");
        }
        let taken = RemovedMember {
            member: "\"x\": 1, \"y\": 2".to_owned(),
            lead: String::new(),
            trail: String::new(),
            place: Position::Only,
        };
        assert!(Old::Taken(taken).check().is_err());
    }
}

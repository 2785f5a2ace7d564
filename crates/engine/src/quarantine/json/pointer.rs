//! JSON pointers (RFC 6901) in which a part may be `*`: any element of an array, or any member of an object.
//!
//! A pointer that matches nothing has no nodes. If a member is duplicated in its object, we cannot know which of the
//! two the server uses. That is an error, but only if a pointer passes through it.

use std::{collections::HashSet, fmt};

use super::text::{Member, RawValue, Shape};
use crate::prelude::*;

#[derive(Debug, Clone)]
pub struct Pointer {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Any,
    Name(String),
}

#[derive(Debug)]
pub struct FoundNode<'a> {
    pub pointer: String,
    pub value: RawValue<'a>,
}

impl Pointer {
    /// Parses a pointer: empty for the document itself, otherwise parts that each begin with `/`.
    pub fn new(text: &str) -> Result<Self> {
        let refused = |why: &str| Error::usage(format!("the JSON pointer {text:?} is invalid: {why}"));
        if text.is_empty() {
            return Ok(Self { parts: Vec::new() });
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err(refused("it must begin with `/`, or be empty for the document itself"));
        };
        let part = |part: &str| match part {
            "*" => Ok(Part::Any),
            name => {
                unescaped(name).map(Part::Name).ok_or_else(|| refused("`~` is only valid in `~0` (~) and `~1` (/)"))
            }
        };
        Ok(Self { parts: rest.split('/').map(part).collect::<Result<_>>()? })
    }

    /// The nodes that match, in document order. Fails with `AppsUnknown` for a duplicate name on the way.
    pub fn nodes<'a>(&self, document: RawValue<'a>) -> Result<Vec<FoundNode<'a>>> {
        let mut nodes = vec![FoundNode { pointer: String::new(), value: document }];
        for part in &self.parts {
            let mut next = Vec::new();
            for node in &nodes {
                part.step(node, &mut next)?;
            }
            nodes = next;
        }
        Ok(nodes)
    }
}

impl Part {
    fn step<'a>(&self, node: &FoundNode<'a>, next: &mut Vec<FoundNode<'a>>) -> Result<()> {
        match (self, node.value.shape()) {
            (Self::Any, Shape::Array) => {
                next.extend((0_usize..).zip(node.value.elements()).map(|(index, value)| node.below(index, value)));
            }
            (Self::Any, Shape::Object) => {
                let mut names = HashSet::new();
                for member in node.value.members() {
                    let name = member.name.decoded().unwrap_or_default();
                    let text = String::from_utf8_lossy(&name).into_owned();
                    if !names.insert(name) {
                        return Err(duplicate_name(&text, &node.pointer));
                    }
                    next.push(node.below(escaped(&text), member.value));
                }
            }
            (Self::Name(name), Shape::Array) => {
                let value = index(name).and_then(|index| node.value.elements().nth(index));
                next.extend(value.map(|value| node.below(name, value)));
            }
            (Self::Name(name), Shape::Object) => {
                let member = member(node.value, name).map_err(|DuplicateName| duplicate_name(name, &node.pointer))?;
                next.extend(member.map(|member| node.below(escaped(name), member.value)));
            }
            _ => {}
        }
        Ok(())
    }
}

impl<'a> FoundNode<'a> {
    fn below(&self, part: impl fmt::Display, value: RawValue<'a>) -> Self {
        Self { pointer: format!("{}/{part}", self.pointer), value }
    }
}

#[derive(Debug)]
pub struct DuplicateName;

pub type Unambiguous<T> = Result<T, DuplicateName>;

pub fn member<'a>(object: RawValue<'a>, name: &str) -> Unambiguous<Option<Member<'a>>> {
    let mut named = object.members().filter(|member| member.name.text_is(name));
    let first = named.next();
    if named.next().is_some() { Err(DuplicateName) } else { Ok(first) }
}

pub fn duplicate_name(name: &str, pointer: &str) -> Error {
    let place = if pointer.is_empty() { "the document" } else { pointer };
    Error::new(Code::AppsUnknown, format!("{place} has two members {name:?}"))
        .hint("remove one of them, because we cannot know which one the server uses")
}

/// RFC 6901: digits without a leading zero.
fn index(part: &str) -> Option<usize> {
    let plain = part == "0" || (!part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit()));
    if plain { part.parse().ok() } else { None }
}

fn unescaped(part: &str) -> Option<String> {
    let mut pieces = part.split('~');
    let mut name = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (escaped, rest) = piece.split_at_checked(1)?;
        name.push(match escaped {
            "0" => '~',
            "1" => '/',
            _ => return None,
        });
        name.push_str(rest);
    }
    Some(name)
}

/// A name as a part of a pointer.
pub fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::{super::text::document, *};

    fn found(text: &str, pointer: &str) -> Vec<(String, String)> {
        let nodes = Pointer::new(pointer).expect("a pointer").nodes(document(text.as_bytes()).expect("JSON"));
        nodes.expect("is clear").into_iter().map(|node| (node.pointer, node.value.source().to_owned())).collect()
    }

    fn places(text: &str, pointer: &str) -> Vec<String> {
        found(text, pointer).into_iter().map(|(place, _)| place).collect()
    }

    #[test]
    fn the_pointers_of_the_rfc() {
        let text = r#"{"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6,
                       " ": 7, "m~n": 8}"#;
        for (pointer, value) in [
            ("/foo", r#"["bar", "baz"]"#),
            ("/foo/0", r#""bar""#),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/e^f", "3"),
            ("/g|h", "4"),
            ("/i\\j", "5"),
            ("/k\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
        ] {
            assert_eq!(found(text, pointer), [(pointer.to_owned(), value.to_owned())], "{pointer}");
        }
        assert_eq!(found(text, "")[0].1, text);
    }

    #[test]
    fn a_star_matches_any_element_and_any_member() {
        let text = r#"{"rooms": {"a~b": {"hooks": [1, 2]}, "c": {"hooks": {"x/y": 3}}, "d": {"hooks": null}, "e": 4}}"#;
        assert_eq!(
            places(text, "/rooms/*/hooks/*"),
            ["/rooms/a~0b/hooks/0", "/rooms/a~0b/hooks/1", "/rooms/c/hooks/x~1y"]
        );
    }

    #[test]
    fn a_pointer_to_nothing_has_no_nodes() {
        let text = r#"{"a": [1, {"b": 2}], "c": "text", "01": [1]}"#;
        for pointer in [
            "/x",
            "/a/2",
            "/a/-",
            "/a/01",
            "/a/+1",
            "/a/",
            "/a/0/b",
            "/c/0",
            "/c/*",
            "/a/b",
            "/a/*/c",
            "/a/99999999999999999999999",
        ] {
            assert!(places(text, pointer).is_empty(), "{pointer}");
        }
        assert_eq!(places(text, "/01/0"), ["/01/0"]);
    }

    #[test]
    fn names_are_compared_after_unescaping() {
        let text = "{\"\\u0065n\\u0061bled\": 1, \"\\ud83d\\ude00\": 2, \"\\ud83d\": 3, \"\u{e9}\": 4}";
        assert_eq!(found(text, "/enabled")[0].1, "1");
        assert_eq!(found(text, "/\u{1f600}")[0].1, "2");
        assert_eq!(found(text, "/\u{e9}")[0].1, "4");
        assert_eq!(places(text, "/*").len(), 4);
    }

    #[test]
    fn a_duplicate_name_is_an_error_if_a_pointer_passes_it() {
        let text = r#"{"a": {"x": 1, "\u0078": 2}, "b": {"y": 1}}"#;
        let error = |pointer: &str| {
            let document = document(text.as_bytes()).expect("JSON");
            Pointer::new(pointer).expect("a pointer").nodes(document).expect_err(pointer)
        };
        assert_eq!(error("/a/x").message(), r#"/a has two members "x""#);
        assert_eq!(error("/*/*").code(), Code::AppsUnknown);
        assert_eq!(places(text, "/*"), ["/a", "/b"], "no pointer passes through the duplicate");
        assert_eq!(places(text, "/*/y"), ["/b/y"]);
    }

    #[test]
    fn an_invalid_pointer_is_named() {
        for bad in ["a", "*", "/a~2", "/~", "/a~", "#/a"] {
            let error = Pointer::new(bad).expect_err(bad);
            assert!(error.message().contains(&format!("{bad:?}")), "{error}");
        }
    }
}

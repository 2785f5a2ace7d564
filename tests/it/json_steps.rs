//! Steps on JSON files: there, byte for byte, and back.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use engine::quarantine::{
    AppRecord, Before, Outcome,
    json::{Drafts, Node},
};
use profile::step::{Condition, Nodes};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use volume::error::{Code, Error};

struct Tree(tempfile::TempDir);

impl Tree {
    fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().expect("a folder"));
        files.iter().for_each(|(name, content)| tree.write(name, content));
        tree
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().expect("has one")).expect("made");
        fs::write(path, content).expect("written");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root().join(name)).expect("reads")
    }

    fn off(&self, step: &Nodes, before: Vec<AppRecord>) -> Vec<AppRecord> {
        let mut drafts = Drafts::default();
        let kept = drafts.switch_off(self.root(), "step", step, false, before).expect("switches off");
        drafts.commit(self.root()).expect("commits");
        kept
    }

    fn refused(&self, step: &Nodes) -> Error {
        let refused = Drafts::default().switch_off(self.root(), "step", step, false, Vec::new());
        let error = refused.expect_err("refused");
        assert_eq!(error.code(), Code::AppsUnknown, "{error}");
        error
    }

    fn on(&self, step: &Nodes, kept: &[AppRecord]) -> Vec<Outcome> {
        let mut drafts = Drafts::default();
        let outcomes = drafts.put_back(self.root(), step, &nodes_of(kept)).expect("puts back");
        drafts.commit(self.root()).expect("commits");
        outcomes
    }
}

fn nodes_of(kept: &[AppRecord]) -> Vec<&Node> {
    let node = |kept: &'_ AppRecord| match &kept.was {
        Before::Node(_) => (),
        other => panic!("{other:?}"),
    };
    kept.iter().for_each(node);
    kept.iter().filter_map(|kept| if let Before::Node(node) = &kept.was { Some(node) } else { None }).collect()
}

fn ids(kept: &[AppRecord]) -> Vec<&str> {
    kept.iter().map(|kept| kept.id.as_str()).collect()
}

fn left(outcome: &Outcome) -> &str {
    if let Outcome::Left(why) = outcome { why } else { "" }
}

fn step(files: &str, each: &str, key: Option<&str>, set: &[(&str, Option<Json>)]) -> Nodes {
    Nodes {
        files: files.to_owned(),
        each: each.to_owned(),
        key: key.map(str::to_owned),
        filter: BTreeMap::new(),
        set: set.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
    }
}

fn only(mut step: Nodes, name: &str, condition: Condition) -> Nodes {
    step.filter.insert(name.to_owned(), condition);
    step
}

/// Tabs of a flow editor: on where `disabled` is false or not there.
fn tabs() -> Nodes {
    let is_on = Condition::OneOf(vec![Condition::Is(json!(false)), Condition::Absent]);
    let step = step("flows.json", "/*", Some("id"), &[("disabled", Some(json!(true)))]);
    only(only(step, "type", Condition::Is(json!("tab"))), "disabled", is_on)
}

const FLOWS: &str = "\u{feff}[\r\n  {\"id\" :\"a\",\"type\":\"tab\", \"disabled\":false , \"n\":1e400},\r\n\
    \t{ \"id\": \"b\", \"type\": \"tab\", \"big\": 12345678901234567890 },\r\n  {\"id\":\"c\",\"type\":\"tab\",\"disabled\":true},\r\n\
    {\"type\": \"node\", \"x\": 1.0, \"s\": \"\\u00e9\\/\"}\r\n]\r\n";

#[test]
fn every_byte_that_no_step_touches_is_the_same() {
    let tree = Tree::new(&[("flows.json", FLOWS)]);
    let path = tree.root().join("flows.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
    let kept = tree.off(&tabs(), Vec::new());
    assert_eq!(ids(&kept), ["step a", "step b"]);
    let expected = FLOWS
        .replace("\"disabled\":false ", "\"disabled\":true ")
        .replace("\"big\": 12345678901234567890 }", "\"big\": 12345678901234567890, \"disabled\": true }");
    assert_eq!(tree.read("flows.json"), expected);
    assert_eq!(tree.on(&tabs(), &kept), [Outcome::Released, Outcome::Released]);
    assert_eq!(tree.read("flows.json"), FLOWS);
    assert_eq!(fs::metadata(path).expect("is there").mode() & 0o777, 0o640);
}

#[test]
fn released_one_by_one_in_any_order_it_is_the_same_file() {
    let step =
        step("flows.json", "/*", Some("id"), &[("disabled", Some(json!(0))), ("id2", None), ("n", Some(json!(null)))]);
    let tree = Tree::new(&[("flows.json", FLOWS)]);
    let kept = tree.off(&step, Vec::new());
    assert_eq!(ids(&kept), ["step a", "step b", "step c", "step /3"]);
    for kept in [&kept[2..3], &kept[0..1], &kept[3..4], &kept[1..2]] {
        assert_eq!(tree.on(&step, kept), [Outcome::Released]);
    }
    assert_eq!(tree.read("flows.json"), FLOWS);
}

#[test]
fn a_node_is_found_by_its_key_in_a_file_that_the_server_rewrote() {
    let tree =
        Tree::new(&[("flows.json", r#"[{"id":"a","type":"tab","n":1.0},{"id":7,"type":"tab","disabled":false}]"#)]);
    let kept = tree.off(&tabs(), Vec::new());
    assert_eq!(ids(&kept), ["step a", "step 7"]);
    tree.write("flows.json", "[\n  {\"type\": \"new\"},\n  {\n    \"disabled\": true,\n    \"id\": 7,\n    \"type\": \"tab\"\n  },\n  {\n    \"id\": \"\\u0061\",\n    \"disabled\": true\n  }\n]\n");
    assert_eq!(tree.on(&tabs(), &kept), [Outcome::Released, Outcome::Released]);
    assert_eq!(
        tree.read("flows.json"),
        "[\n  {\"type\": \"new\"},\n  {\n    \"disabled\": false,\n    \"id\": 7,\n    \"type\": \"tab\"\n  },\n  {\n    \"id\": \"\\u0061\"\n  }\n]\n"
    );
}

#[test]
fn what_was_changed_or_deleted_meanwhile_is_left_and_said() {
    let tree =
        Tree::new(&[("flows.json", r#"[{"id":"a","type":"tab"},{"id":"b","type":"tab"},{"id":"c","type":"tab"}]"#)]);
    let kept = tree.off(&tabs(), Vec::new());
    let changed = r#"[{"id":"c","type":"tab"},{"id":"b","type":"tab","disabled":"maybe"}]"#;
    tree.write("flows.json", changed);
    let outcomes = tree.on(&tabs(), &kept);
    assert_eq!(left(&outcomes[0]), "it is gone");
    assert_eq!(left(&outcomes[1]), "its \"disabled\" is no longer what quarantine wrote");
    assert_eq!(outcomes[2], Outcome::Released, "a person put it back on: it is as it was");
    assert_eq!(tree.read("flows.json"), changed);
    fs::remove_file(tree.root().join("flows.json")).expect("removed");
    assert!(tree.on(&tabs(), &kept).iter().all(|outcome| left(outcome) == "flows.json is gone"));
}

#[test]
fn of_several_members_those_that_are_as_left_come_back() {
    let step = step("x.json", "", None, &[("on", Some(json!("no"))), ("url", Some(json!("http://127.0.0.1:9/")))]);
    let tree = Tree::new(&[("x.json", r#"{"on": "yes", "url": "https://a.example/"}"#)]);
    let kept = tree.off(&step, Vec::new());
    assert_eq!(ids(&kept), ["step x.json"]);
    tree.write("x.json", r#"{"on": "yes", "url": "http://127.0.0.1:9/"}"#);
    assert_eq!(tree.on(&step, &kept), [Outcome::Released]);
    assert_eq!(tree.read("x.json"), r#"{"on": "yes", "url": "https://a.example/"}"#);
    tree.write("x.json", r#"{"on": "later", "url": "http://127.0.0.1:9/"}"#);
    assert_eq!(left(&tree.on(&step, &kept)[0]), "its \"on\" is no longer what quarantine wrote");
    assert_eq!(tree.read("x.json"), r#"{"on": "later", "url": "https://a.example/"}"#);
}

#[test]
fn quarantine_twice_keeps_the_first() {
    let tree = Tree::new(&[("flows.json", FLOWS)]);
    let kept = tree.off(&tabs(), Vec::new());
    let off = tree.read("flows.json");
    assert_eq!(tree.off(&tabs(), kept.clone()), kept);
    assert_eq!(tree.read("flows.json"), off);
    tree.write(
        "flows.json",
        off.replace(
            "\"big\": 12345678901234567890, \"disabled\": true",
            "\"big\": 12345678901234567890, \"disabled\": false",
        ),
    );
    assert_eq!(tree.off(&tabs(), kept.clone()), kept, "switched on by hand, off again, remembered as it was first");
    assert_eq!(tree.read("flows.json"), off);
    // Killed between remembering and committing: nothing was written.
    tree.write("flows.json", FLOWS);
    assert_eq!(tree.off(&tabs(), kept.clone()), kept);
    assert_eq!(tree.on(&tabs(), &kept), [Outcome::Released, Outcome::Released]);
    assert_eq!(tree.read("flows.json"), FLOWS);
    assert_eq!(tree.on(&tabs(), &kept), [Outcome::Released, Outcome::Released], "again, after a crash");
    assert_eq!(tree.read("flows.json"), FLOWS);
}

#[test]
fn keys_that_are_not_unique_tell_nodes_apart_by_their_place() {
    let text = r#"{"rooms": {"a": [{"id": 1, "on": "yes"}, {"id": 2, "on": "yes"}], "b": [{"id": 1, "on": "no"}, {"id": 1, "on": "yes"}, {"id": 1, "on": 7}]}}"#;
    let step = only(
        step("x.json", "/rooms/*/*", Some("id"), &[("on", Some(json!("no")))]),
        "on",
        Condition::Not(Box::new(Condition::Is(json!("no")))),
    );
    let tree = Tree::new(&[("x.json", text)]);
    let kept = tree.off(&step, Vec::new());
    assert_eq!(ids(&kept), ["step 1", "step 2", "step 1 /rooms/b/1", "step 1 /rooms/b/2"]);
    assert_eq!(tree.off(&step, kept.clone()), kept);
    tree.write("x.json", text);
    assert_eq!(tree.off(&step, kept.clone()), kept);
    assert_eq!(tree.on(&step, &kept), vec![Outcome::Released; 4]);
    assert_eq!(tree.read("x.json"), text);
    tree.off(&step, Vec::new());
    tree.write(
        "x.json",
        r#"{"rooms": {"c": [{"id": 1, "on": "no"}], "d": [{"id": 1, "on": "no"}, {"id": 2, "on": "no"}]}}"#,
    );
    let outcomes = tree.on(&step, &kept);
    assert_eq!(
        outcomes.iter().map(left).collect::<Vec<_>>(),
        ["several nodes have its key", "", "several nodes have its key", "several nodes have its key"]
    );
}

#[test]
fn two_that_have_become_one_are_not_mixed_up() {
    let step = step("x.json", "/*/*", Some("id"), &[("on", Some(json!(false)))]);
    let tree = Tree::new(&[("x.json", r#"[[{"id": 1, "on": "first"}], [{"id": 1, "on": "second"}]]"#)]);
    let kept = tree.off(&step, Vec::new());
    tree.write("x.json", r#"[[{"id": 1, "on": false}]]"#);
    let outcomes = tree.on(&step, &kept);
    assert_eq!(
        (&outcomes[0], left(&outcomes[1])),
        (&Outcome::Released, "it can no longer be distinguished from another app")
    );
    assert_eq!(tree.read("x.json"), r#"[[{"id": 1, "on": "first"}]]"#);
}

#[test]
fn several_steps_edit_one_file_and_several_files_are_named() {
    let one = step("*/w.json", "", None, &[("paused", Some(json!(true)))]);
    let two = step("*/w.json", "/tags/*", None, &[("muted", Some(json!(true)))]);
    let text = "{\n \"tags\": {\"x/y\": {}}, \"a\": 1}";
    let tree = Tree::new(&[("1/w.json", text), ("2/w.json", text)]);
    let mut drafts = Drafts::default();
    let first = drafts.switch_off(tree.root(), "pause", &one, false, Vec::new()).expect("switches off");
    let second = drafts.switch_off(tree.root(), "mute", &two, false, Vec::new()).expect("switches off");
    assert_eq!(ids(&first), ["pause 1/w.json", "pause 2/w.json"]);
    assert_eq!(ids(&second), ["mute 1/w.json /tags/x~1y", "mute 2/w.json /tags/x~1y"]);
    assert_eq!(tree.read("1/w.json"), text, "nothing is written before the commit");
    assert_eq!(drafts.changed().count(), 2);
    drafts.commit(tree.root()).expect("commits");
    assert_eq!(tree.read("2/w.json"), "{\n \"tags\": {\"x/y\": {\"muted\": true}}, \"a\": 1, \"paused\": true}");
    assert_eq!(tree.on(&two, &second).len(), 2);
    assert_eq!(tree.on(&one, &first).len(), 2);
    assert_eq!(tree.read("1/w.json"), text);
}

#[test]
fn what_is_off_already_is_no_app() {
    let step = step("x.json", "/*", None, &[("on", Some(json!(0))), ("gone", None)]);
    let tree = Tree::new(&[("x.json", r#"[{"on": 0.0}, {"on": 0, "gone": null}]"#)]);
    let before = fs::metadata(tree.root().join("x.json")).expect("is there").ino();
    assert_eq!(ids(&tree.off(&step, Vec::new())), ["step /1"]);
    assert_ne!(fs::metadata(tree.root().join("x.json")).expect("is there").ino(), before);
    assert!(tree.off(&step, Vec::new()).is_empty());
    assert_eq!(Drafts::inspect(tree.root(), "step", &step).expect("looks"), [""; 0]);
}

#[test]
fn what_is_not_there_has_no_apps_and_what_is_no_object_is_an_error() {
    let tree = Tree::new(&[("x.json", r#"{"version": 3, "a": {"on": true}, "list": [1], "none": null}"#)]);
    let on = |each: &str| step("x.json", each, None, &[("on", Some(json!(false)))]);
    for each in ["/b", "/b/*", "/none/*", "/list/1", "/a/on/x"] {
        assert!(tree.off(&on(each), Vec::new()).is_empty(), "{each}");
    }
    for (each, place) in [("/list", "/list"), ("/list/*", "/list/0"), ("/*", "/version"), ("/none", "/none")] {
        assert_eq!(
            tree.refused(&on(each)).message(),
            format!("x.json: {place} is not an object, so nothing can be set in it")
        );
    }
    let absent = only(on("/version"), "off", Condition::Absent);
    assert!(tree.refused(&absent).message().contains("/version is not an object"));
    let wanted = only(on("/*"), "on", Condition::Is(json!(true)));
    assert_eq!(ids(&tree.off(&wanted, Vec::new())), ["step /a"], "a number has no member that is true");
}

#[test]
fn a_file_that_cannot_be_edited_is_named() {
    let deep = "[".repeat(200_000);
    let on = step("x.json", "/*", None, &[("on", Some(json!(false)))]);
    for (content, why) in [
        (&b""[..], "it is empty"),
        (b" \r\n", "it is empty"),
        (b"\xef\xbb\xbf", "it is empty"),
        (b"{\"a\": 1,}", "it is not JSON: key must be a string at line 1 column 9"),
        (b"{} {}", "it is not JSON: trailing characters"),
        (b"{'a': 1}", "it is not JSON"),
        (b"[1, // no\n 2]", "it is not JSON"),
        (b"[NaN]", "it is not JSON"),
        (b"[01]", "it is not JSON"),
        (b"[\"\\ud83\"]", "it is not JSON"),
        (b"[\"\x01\"]", "it is not JSON"),
        (b"[\"\xff\"]", "it is not JSON: not UTF-8 after the first 2 bytes"),
        (b"\xff\xfe[\x00]\x00", "it is not JSON: not UTF-8"),
        (deep.as_bytes(), "it is not JSON"),
        (b"{\"a\": {\"on\": 1, \"\\u006fn\": 2}}", "/a has two members \"on\""),
        (b"{\"a\": {}, \"a\": {}}", "the document has two members \"a\""),
    ] {
        let tree = Tree::new(&[]);
        tree.write("x.json", content);
        let error = tree.refused(&on);
        assert!(error.message().starts_with("x.json: ") && error.message().contains(why), "{error}");
        assert_eq!(fs::read(tree.root().join("x.json")).expect("reads"), content);
    }
    let tree = Tree::new(&[]);
    assert_eq!(tree.refused(&on).message(), "there is no file x.json");
    let optional = Drafts::default().switch_off(tree.root(), "step", &on, true, Vec::new());
    assert!(optional.expect("is optional").is_empty());
}

#[test]
fn nesting_has_no_limit() {
    let text = format!("{{\"a\": {}{}, \"b\": {{}}}}", "[{\"x\":".repeat(100_000) + "1", "}]".repeat(100_000));
    let step = step("x.json", "/b", None, &[("on", Some(json!(false)))]);
    let tree = Tree::new(&[("x.json", &text)]);
    let kept = tree.off(&step, Vec::new());
    assert_eq!(tree.read("x.json"), text.replace("{}", "{\"on\": false}"));
    assert_eq!(tree.on(&step, &kept), [Outcome::Released]);
    assert_eq!(tree.read("x.json"), text);
}

#[test]
fn fifty_mebibytes_of_flows() {
    let mut text = "[".to_owned();
    for number in 0..100_000 {
        let comma = if number == 0 { "" } else { "," };
        text +=
            &format!("{comma}\n {{\"id\": \"{number:x}\", \"type\": \"tab\", \"info\": \"{}\"}}", "x\\n".repeat(160));
    }
    text += "\n]\n";
    assert!(text.len() > 50 << 20);
    let tree = Tree::new(&[("flows.json", &text)]);
    let kept = tree.off(&tabs(), Vec::new());
    assert_eq!(kept.len(), 100_000);
    assert_eq!(tree.on(&tabs(), &kept).iter().filter(|outcome| **outcome == Outcome::Released).count(), 100_000);
    assert!(tree.read("flows.json") == text);
}

#[test]
fn a_file_is_never_reached_through_a_link_that_took_a_directorys_place() {
    let (tree, outside) = (Tree::new(&[("d/x.json", "{}")]), Tree::new(&[]));
    let step = step("d/x.json", "", None, &[("on", Some(json!(false)))]);
    let kept = tree.off(&step, Vec::new());
    fs::rename(tree.root().join("d"), outside.root().join("d")).expect("moved");
    std::os::unix::fs::symlink(outside.root().join("d"), tree.root().join("d")).expect("a link");
    assert_eq!(left(&tree.on(&step, &kept)[0]), "d/x.json is gone");
    assert_eq!(outside.read("d/x.json"), "{\"on\": false}");
}

#[test]
fn a_damaged_memory_writes_nothing() {
    let step = step("x.json", "", None, &[("on", Some(json!(false)))]);
    let tree = Tree::new(&[("x.json", "{\"on\": true}")]);
    let kept = tree.off(&step, Vec::new());
    let memory = serde_json::to_string(&kept[0]).expect("serialises").replace("true", "true, \\\"y\\\": 1");
    let damaged: AppRecord = serde_json::from_str(&memory).expect("parses");
    let error = Drafts::default().put_back(tree.root(), &step, &nodes_of(&[damaged])).expect_err("damaged");
    assert!(error.message().contains("is damaged"), "{error}");
}

/// JSON texts of any spacing and spelling.
fn any_text() -> impl Strategy<Value = String> {
    let space = prop_oneof![6 => Just(""), 2 => Just(" "), 1 => Just("\n\t"), 1 => Just("\r\n  ")];
    let name = prop::sample::select(vec!["\"a\"", "\"b\"", "\"c\"", "\"\\u0064\"", "\"e/~\"", "\"\"", "\"\u{e9}\""]);
    let leaf = prop::sample::select(vec![
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1.0",
        "1e5",
        "12345678901234567890",
        "\"\"",
        "\"\\\"]}\\\\\"",
        "\"\\ud83d\\ude00\"",
        "\"x,y:z\"",
        "[]",
        "{}",
        "[ ]",
        "{\n}",
    ]);
    let gap = space.clone();
    leaf.prop_map(str::to_owned).prop_recursive(5, 60, 6, move |inner| {
        let spaces = || (gap.clone(), gap.clone());
        let elements = prop::collection::vec((spaces(), inner.clone()), 0..6);
        let array = elements.prop_map(|elements| {
            let elements = elements.into_iter().map(|((before, after), value)| format!("{before}{value}{after}"));
            format!("[{}]", elements.collect::<Vec<_>>().join(","))
        });
        let members = prop::collection::vec((name.clone(), (spaces(), spaces()), inner), 0..6);
        let object = members.prop_map(|mut members| {
            members.sort_by_key(|(name, ..)| *name);
            members.dedup_by_key(|(name, ..)| *name);
            let members =
                members.into_iter().rev().map(|(name, ((a, b), (c, d)), value)| format!("{a}{name}{b}:{c}{value}{d}"));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        });
        prop_oneof![array, object]
    })
}

/// What the step should make of the document.
fn expected(value: &mut Json, each: &[&str], set: &BTreeMap<String, Option<Json>>) {
    match (each, value) {
        ([], Json::Object(members)) => {
            for (name, new) in set {
                match new {
                    Some(new) => drop(members.insert(name.clone(), new.clone())),
                    None => drop(members.shift_remove(name)),
                }
            }
        }
        (["*", rest @ ..], Json::Array(elements)) => elements.iter_mut().for_each(|value| expected(value, rest, set)),
        (["*", rest @ ..], Json::Object(members)) => members.values_mut().for_each(|value| expected(value, rest, set)),
        ([name, rest @ ..], Json::Object(members)) => {
            members.get_mut(*name).into_iter().for_each(|value| expected(value, rest, set));
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn a_step_does_what_it_says_and_nothing_else(
        text in any_text(),
        each in prop::sample::select(vec!["", "/*", "/*/*", "/a/*", "/b", "/*/d"]),
        set in prop::collection::btree_map(
            prop::sample::select(vec!["a", "b", "d", "new"]).prop_map(str::to_owned),
            prop::option::of(prop::sample::select(vec![json!(true), json!(7), json!({"x": [null]})])),
            1..4,
        ),
    ) {
        let step = Nodes { set, ..step("x.json", each, None, &[]) };
        let tree = Tree::new(&[("x.json", &text)]);
        let mut drafts = Drafts::default();
        // Where a node is not an object it is refused.
        if let Ok(kept) = drafts.switch_off(tree.root(), "step", &step, false, Vec::new()) {
            drafts.commit(tree.root()).expect("commits");
            let mut tree_before: Json = serde_json::from_str(&text).expect("JSON");
            let parts: Vec<&str> = each.split('/').skip(1).collect();
            expected(&mut tree_before, &parts, &step.set);
            let after: Json = serde_json::from_str(&tree.read("x.json")).expect("is JSON");
            prop_assert_eq!(after, tree_before);
            let kept: Vec<AppRecord> = serde_json::from_str(&serde_json::to_string(&kept).expect("serialises")).expect("parses");
            prop_assert!(tree.on(&step, &kept).iter().all(|outcome| *outcome == Outcome::Released));
            prop_assert_eq!(tree.read("x.json"), text);
        }
    }
}

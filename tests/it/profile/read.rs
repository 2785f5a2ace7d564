//! What a profile is read as; that nothing makes the reader panic.

use std::collections::BTreeMap;

use profile::{
    Apps, DEFAULT_PREFIX, Scope, Written,
    step::{Action, Change, Condition, Files, Moment, Nodes, Rows, Scalar, Step},
};
use proptest::prelude::*;
use serde_json::json;

fn read(text: &str) -> Written {
    Written::parse(text, "p.toml").expect(text)
}

fn steps(text: &str) -> Vec<Step> {
    read(&format!("name = 'x'\n{text}")).steps
}

fn map<V>(pairs: impl IntoIterator<Item = (&'static str, V)>) -> BTreeMap<String, V> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_whole_profile_is_read() {
    let written = read(
        "name = 'My server 2'\nprefix = 'my-server'\n\
         [state]\nsqlite = ['a.db']\nfiles = ['*.yaml', 'keys/**']\nexclude = ['media/**']\n\
         [health]\nhttp = 'http://127.0.0.1:8008/health'\n\
         [[quarantine]]\nname = 'hooks'\nsqlite = 'a.db'\ntable = 'hooks'\nset = { enabled = false }\n",
    );
    let scope = Scope {
        sqlite: strings(&["a.db"]),
        files: strings(&["*.yaml", "keys/**"]),
        exclude: strings(&["media/**"]),
        ..Scope::default()
    };
    assert_eq!((written.name.as_str(), written.prefix.as_str()), ("My server 2", "my-server"));
    assert_eq!(written.state, Some(scope));
    assert_eq!(written.health.map(|health| health.to_string()).as_deref(), Some("http://127.0.0.1:8008/health"));
    assert_eq!((written.apps, written.steps.len()), (Apps::Listed, 1));
}

#[test]
fn the_least_profile_leaves_all_to_discovery() {
    let written = read("name = 'x'");
    assert_eq!((written.state, written.health, written.apps), (None, None, Apps::Unknown));
    assert_eq!(written.prefix, DEFAULT_PREFIX);
    assert_eq!(read("name = 'x'\napps = 'none'").apps, Apps::None);
}

#[test]
fn steps_on_rows_are_read() {
    let rows = |change| Rows {
        database: "*.db".to_owned(),
        table: "t".to_owned(),
        key: Vec::new(),
        filter: None,
        when: None,
        change,
    };
    let action = |text: &str| {
        let text = format!("[[quarantine]]\nname = 's'\nsqlite = '*.db'\ntable = 't'\n{text}");
        steps(&text).remove(0).action
    };
    let set = map([
        ("a", Scalar::Integer(0)),
        ("b", Scalar::Null),
        ("c", Scalar::Text(String::new())),
        ("d", Scalar::Real(1.5)),
        ("e", Scalar::Integer(i64::MIN)),
        ("f", Scalar::Integer(255)),
    ]);
    let text = "set = { a = false, b = { null = true }, c = '', d = 1.5, e = -9223372036854775808, f = 0xff }\n\
                expr = { g = \"'x' || g\" }\nkey = ['k', 'l']\nwhere = 'a = 1'\nwhen = '1'";
    let expected = Rows {
        key: strings(&["k", "l"]),
        filter: Some("a = 1".to_owned()),
        when: Some("1".to_owned()),
        ..rows(Change::Update { set, expr: map([("g", "'x' || g".to_owned())]) })
    };
    assert_eq!(action(text), Action::Sqlite(expected));
    assert_eq!(action("delete = true"), Action::Sqlite(rows(Change::Delete { discard: false })));
    assert_eq!(action("delete = true\ndiscard = true"), Action::Sqlite(rows(Change::Delete { discard: true })));
    let insert = Rows { key: strings(&["id"]), ..rows(Change::Insert(map([("id", Scalar::Integer(1))]))) };
    assert_eq!(action("insert = { id = true }\nkey = 'id'"), Action::Sqlite(insert));
}

#[test]
fn steps_on_nodes_are_read() {
    let text = "[[quarantine]]\nname = 's'\njson = 'a/*.json'\neach = '/x~1y/*'\nkey = 'id'\noptional = true\n\
                where = { a = [false, { absent = true }, [1]], b = { prefix = 'h' }, c = { not = { prefix = 'h' } }, \
                d = { null = true }, e = { not = [] }, f = { not = [1, 2] }, g = {} }\n\
                set = { a = true, b = { absent = true }, c = { null = true }, d = { e = [1, { null = true }] }, \
                f = 18446744073709551615, g = 1.0 }";
    let filter = map([
        ("a", Condition::OneOf(vec![Condition::Is(json!(false)), Condition::Absent, Condition::Is(json!([1]))])),
        ("b", Condition::Prefix("h".to_owned())),
        ("c", Condition::Not(Box::new(Condition::Prefix("h".to_owned())))),
        ("d", Condition::Is(json!(null))),
        ("e", Condition::Not(Box::new(Condition::Is(json!([]))))),
        ("f", Condition::Not(Box::new(Condition::OneOf(vec![Condition::Is(json!(1)), Condition::Is(json!(2))])))),
        ("g", Condition::Is(json!({}))),
    ]);
    let set = map([
        ("a", Some(json!(true))),
        ("b", None),
        ("c", Some(json!(null))),
        ("d", Some(json!({ "e": [1, null] }))),
        ("f", Some(json!(u64::MAX))),
        ("g", Some(json!(1.0))),
    ]);
    let step = steps(text).remove(0);
    let each = "/x~1y/*".to_owned();
    let nodes = Nodes { files: "a/*.json".to_owned(), each, key: Some("id".to_owned()), filter, set };
    assert!(step.optional);
    assert_eq!(step.action, Action::Json(nodes));
    let whole = steps("[[quarantine]]\nname = 's'\njson = 'a'\neach = ''\nset.a = 1").remove(0).action;
    assert!(matches!(whole, Action::Json(Nodes { each, .. }) if each.is_empty()), "the document itself");
}

#[test]
fn the_other_steps_are_read() {
    let steps = steps(
        "[[quarantine]]\nname = 'f'\nfile = 'hooks/**'\ncontent = ''\nat = 'restore'\n\
         [[quarantine]]\nname = 'e'\nenv = { SAFE = '', B = '1' }\n\
         [[quarantine]]\nname = 'a'\nargs = ['--safe', '-x']\n\
         [[quarantine]]\nname = 'r'\nat = 'release'\nsqlite = 'q.db'\ntable = 'q'\ndelete = true\n",
    );
    let actions: Vec<_> = steps.iter().map(|step| step.action.clone()).collect();
    assert_eq!(
        actions[..3],
        [
            Action::File(Files { files: "hooks/**".to_owned(), content: Some(String::new()) }),
            Action::Env(map([("B", "1".to_owned()), ("SAFE", String::new())])),
            Action::Args(strings(&["--safe", "-x"])),
        ]
    );
    assert_eq!(steps[3].at, Moment::Release);
}

#[test]
fn a_step_may_name_a_directory_of_the_state() {
    let state = "[state]\nsqlite = ['db']\nfiles = ['hooks/*.sh', 'conf/**']\n";
    for file in ["hooks", "hooks/a.sh", "conf", "conf/a", "h*"] {
        assert_eq!(steps(&format!("{state}[[quarantine]]\nname = 's'\nfile = '{file}'")).len(), 1, "{file}");
    }
    assert_eq!(
        steps(&format!("{state}[[quarantine]]\nname = 's'\nsqlite = 'db/a'\ntable = 't'\ndelete = true")).len(),
        1
    );
}

/// Words that a profile is made of, so that the reader gets further than the first line.
fn word() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "name",
        "prefix",
        "apps",
        "state",
        "health",
        "quarantine",
        "sqlite",
        "json",
        "file",
        "env",
        "args",
        "table",
        "key",
        "where",
        "when",
        "set",
        "expr",
        "delete",
        "discard",
        "insert",
        "each",
        "content",
        "at",
        "optional",
        "files",
        "exclude",
        "http",
        "tcp",
        "alive",
        "[",
        "]",
        "[[quarantine]]",
        "[state]",
        "[health]",
        "{",
        "}",
        "=",
        ".",
        ",",
        "\n",
        "'",
        "'none'",
        "'release'",
        "true",
        "false",
        "'a.db'",
        "'/a/*'",
        "1",
        "1.5",
        "null",
        "absent",
        "prefix",
        "not",
        "#",
        "\"\\u0000\"",
        "é",
        "2020-01-01",
        "[]",
        "{}",
        "'http://h/'",
        "name = 'x'\n",
    ]);
    prop_oneof![8 => known.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)]
}

/// A value of any shape.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("true".to_owned()),
        Just("'x'".to_owned()),
        Just("''".to_owned()),
        Just("1".to_owned()),
        Just("nan".to_owned()),
        Just("'/a~'".to_owned()),
        Just("2020-01-01".to_owned()),
        Just("'*['".to_owned()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let key = prop::sample::select(vec!["null", "absent", "prefix", "not", "a", "'é'"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|list| format!("[{}]", list.join(", "))),
            prop::collection::btree_map(key, inner, 0..3).prop_map(|members| {
                let members: Vec<_> = members.into_iter().map(|(key, value)| format!("{key} = {value}")).collect();
                format!("{{ {} }}", members.join(", "))
            }),
        ]
    })
}

fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "sqlite", "json", "file", "env", "args", "table", "key", "where", "when", "set", "expr", "delete", "discard",
        "insert", "each", "content", "at", "optional", "other",
    ])
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = Written::parse(&text, "p");
    }

    #[test]
    fn no_words_make_it_panic(words in prop::collection::vec(word(), 0..40)) {
        let _ = Written::parse(&words.join(" "), "p");
    }

    #[test]
    fn no_step_makes_it_panic(keys in prop::collection::btree_map(key(), value(), 0..6)) {
        let members = keys.iter().map(|(key, value)| format!("{key} = {value}\n")).collect::<String>();
        let _ = Written::parse(&format!("name = 'x'\n[[quarantine]]\nname = 's'\n{members}"), "p");
    }
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    for deep in ["[".repeat(500_000), format!("x{}", ".a".repeat(400_000)), "a={".repeat(300_000)] {
        for text in [format!("a = {deep}"), format!("[{deep}]"), deep.clone()] {
            assert!(Written::parse(&text, "p").is_err());
        }
    }
}

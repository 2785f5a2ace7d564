//! What is wrong with a profile: each fault by file, line and key, with what to write instead.

use std::fs;

use crate::fixture::{Data, argument};

/// A profile, the line of its fault, what is said of it, and of what to write instead.
type Fault<'a> = (&'a str, usize, &'a str, &'a str);

#[track_caller]
fn all_are_reported(faults: &[Fault<'_>]) {
    let data = Data::empty();
    let path = data.path("p.toml");
    for (text, line, said, instead) in faults {
        fs::write(&path, text).expect("writes");
        let ran = data.moorline(&["profile", "check", argument(&path)]);
        let place = format!("the profile {}, line {line}", path.display());
        let (error, hint) = ran.stderr.split_once("moorline: hint: ").unwrap_or((&ran.stderr, ""));
        assert_eq!(ran.code, Some(2), "{text}\n{ran:#?}");
        assert!(error.contains(&place) && error.contains(said), "{place}: {said}\n{text}\n{}", ran.stderr);
        assert!(hint.contains(instead), "{instead}\n{text}\n{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 2, "{}", ran.stderr);
    }
}

/// With what every step needs in front of it.
#[track_caller]
fn all_steps_are_reported(faults: &[Fault<'_>]) {
    let whole = faults.iter().map(|(step, line, said, instead)| {
        (format!("name = 'x'\n[[quarantine]]\nname = 'step'\n{step}"), line + 3, *said, *instead)
    });
    let whole: Vec<_> = whole.collect();
    all_are_reported(
        &whole.iter().map(|(text, line, said, instead)| (&**text, *line, *said, *instead)).collect::<Vec<_>>(),
    );
}

#[test]
fn what_is_no_toml_is_told_by_its_line() {
    all_are_reported(&[
        ("name = 'x'\nprefix = x\n", 2, "is not TOML", "put strings in quotes"),
        ("name = 'x'\nname = 'y'\n", 2, "is not TOML: duplicate key", ""),
        ("name = 'x'\n[state\n", 2, "is not TOML", ""),
        ("name = 'x'\n\n[a.b]\nc = {x = 1", 4, "is not TOML", ""),
    ]);
    let data = Data::empty();
    fs::write(data.path("p.toml"), b"name = 'x'\n# caf\xe9\n").expect("writes");
    data.moorline(&["profile", "check", argument(&data.path("p.toml"))])
        .fails(2, &["p.toml, line 2, is not UTF-8 text"]);
    fs::write(data.path("p.toml"), vec![b'#'; (1 << 20) + 1]).expect("writes");
    data.moorline(&["profile", "check", argument(&data.path("p.toml"))]).fails(2, &["too long to be a profile"]);
    fs::write(data.path("p.toml"), "\u{feff}name = 'x'\r\n[state]\r\nfiles = ['a']\r\n").expect("writes");
    data.moorline(&["profile", "check", argument(&data.path("p.toml"))]).succeeds();
}

#[test]
fn unknown_keys_are_told_with_the_nearest() {
    all_are_reported(&[
        ("nam = 'x'\n", 1, "`nam` is not a key of a profile", "did you mean `name`?"),
        (
            "name = 'x'\nversion = 2\n",
            2,
            "`version` is not a key",
            "`name`, `prefix`, `apps`, `state`, `database`, `health`, `capture`, `quarantine`",
        ),
        ("name = 'x'\nfiles = ['a']\n", 2, "`files` is not a key", "below a line [state]"),
        ("name = 'x'\nhttp = 'http://h/'\n", 2, "`http` is not a key", "below a line [health]"),
        (
            "name = 'x'\n[state]\nfiles = ['a']\nexlude = ['b']\n",
            4,
            "`exlude` is not a key of [state]",
            "did you mean `exclude`?",
        ),
        ("name = 'x'\n[health]\nurl = 'http://h/'\n", 3, "`url` is not a key of [health]", "`http`, `tcp`, `alive`"),
        ("name = 'x'\n[stat]\nfiles = ['a']\n", 2, "`stat` is not a key", "did you mean `state`?"),
    ]);
    all_steps_are_reported(&[
        (
            "sqlite = 'a.db'\ntabel = 't'\nset = {a = 1}\n",
            2,
            "`tabel` is not a key of a step with `sqlite`",
            "did you mean `table`?",
        ),
        (
            "json = 'a.json'\nset = {a = 1}\ntable = 't'\n",
            3,
            "`table` is not a key of a step with `json`",
            "`table` goes with `sqlite`",
        ),
        (
            "file = 'a'\nwhere = 'x'\n",
            2,
            "`where` is not a key of a step with `file`",
            "`where` goes with `sqlite`, `json`",
        ),
        (
            "json = 'a.json'\nwhen = '1'\nset = {a = 1}\n",
            2,
            "`when` is not a key of a step with `json`",
            "`when` goes with `sqlite`",
        ),
        ("sqlit = 'a.db'\n", 1, "`sqlit` is not a key", "did you mean `sqlite`?"),
        (
            "json = 'a'\nset = {a = 1}\nwhere = {b = {prefx = 'x'}}\n",
            3,
            "`prefx` is not a condition",
            "did you mean `prefix`?",
        ),
    ]);
}

#[test]
fn wrong_types_are_told() {
    all_are_reported(&[
        ("name = 5\n", 1, "`name` must be a string, not a number", "name = \"my-server\""),
        ("name = ''\n", 1, "`name` is empty", "name = "),
        ("name = \"a\\nb\"\n", 1, "`name` begins or ends", ""),
        ("prefix = 'x'\n", 1, "a profile needs `name`", "name = \"my-server\""),
        ("name = 'x'\nstate = 'all'\n", 2, "`state` must be a table, not a string", "[state]"),
        (
            "name = 'x'\n[state]\nsqlite = 'a.db'\n",
            3,
            "`sqlite` must be a list of strings, not a string",
            "[\"app.db\"]",
        ),
        (
            "name = 'x'\n[state]\nfiles = ['a',\n  5]\n",
            4,
            "`files` must be a list of strings, but contains a number",
            "",
        ),
        ("name = 'x'\n[quarantine]\nname = 'y'\n", 2, "`quarantine` must be a list of tables", "[[quarantine]]"),
        ("name = 'x'\nquarantine = [1]\n", 2, "`quarantine` must be a list of tables", "[[quarantine]]"),
        ("name = 'x'\n[health]\nalive = 30\n", 3, "`alive` must be a string, not a number", "alive = \"30s\""),
    ]);
    all_steps_are_reported(&[
        ("sqlite = ['a.db']\ntable = 't'\nset = {a = 1}\n", 1, "`sqlite` must be a string, not a list", ""),
        (
            "sqlite = 'a.db'\ntable = 't'\nset = 'a = 1'\n",
            3,
            "`set` must be a table, not a string",
            "{ enabled = false }",
        ),
        (
            "sqlite = 'a.db'\ntable = 't'\nwhere = {a = 1}\nset = {a = 1}\n",
            3,
            "`where` must be a string, not a table",
            "\"enabled = 1\"",
        ),
        (
            "json = 'a'\nwhere = 'a = 1'\nset = {a = 1}\n",
            2,
            "`where` must be a table, not a string",
            "{ enabled = true }",
        ),
        ("sqlite = 'a.db'\ntable = 't'\nexpr = {a = 1}\n", 3, "`a` must be a string, not a number", ""),
        ("sqlite = 'a.db'\ntable = 't'\nkey = 5\nset = {a = 1}\n", 3, "`key` must be a string, not a number", "\"id\""),
        ("json = 'a'\nkey = ['a', 'b']\nset = {c = 1}\n", 2, "`key` must be a string, not a list", "\"id\""),
        ("json = 'a'\noptional = 'yes'\nset = {c = 1}\n", 2, "`optional` must be true or false, not a string", ""),
        (
            "sqlite = 'a.db'\ntable = 't'\nset = {a = [1]}\n",
            3,
            "`a` is a list, which a column cannot store",
            "in quotes",
        ),
        (
            "sqlite = 'a.db'\ntable = 't'\nset = {a = 2020-01-01}\n",
            3,
            "`a` is a date, which a column cannot store",
            "as text, in quotes",
        ),
        ("sqlite = 'a.db'\ntable = 't'\nset = {a = {absent = true}}\n", 3, "a column cannot store", "{ null = true }"),
        ("sqlite = 'a.db'\ntable = 't'\nset = {a = {null = false}}\n", 3, "a column cannot store", "{ null = true }"),
        ("sqlite = 'a.db'\ntable = 't'\nset = {a = 9223372036854775808}\n", 3, "a column cannot store", "64 bits"),
        ("json = 'a'\nset = {a = 2020-01-01}\n", 2, "JSON has no dates", "in quotes"),
        ("json = 'a'\nset = {a = inf}\n", 2, "JSON has no such number", ""),
        (
            "json = 'a'\nset = {a = {b = {absent = true}}}\n",
            2,
            "`absent` can only stand for a whole member",
            "leave the part out",
        ),
        ("json = 'a'\nset = {a = 1}\nwhere = {b = {prefix = 5}}\n", 3, "`prefix` must be a string, not a number", ""),
        (
            "json = 'a'\nset = {a = 1}\nwhere = {b = {absent = false}}\n",
            3,
            "`absent` can only be true",
            "{ absent = true }",
        ),
        (
            "json = 'a'\nset = {a = 1}\nwhere = {b = {absent = true, not = 1}}\n",
            3,
            "exactly one key",
            "{ absent = true }",
        ),
        ("env = ['A=1']\n", 1, "`env` must be a table, not a list", "{ SAFE_MODE = \"1\" }"),
        ("env = {A = 1}\n", 1, "`A` must be a string, not a number", "in quotes"),
        ("env = {MOORLINE_STORAGE = '/x'}\n", 1, "`MOORLINE_STORAGE` is moorline's own variable", ""),
        ("file = 'Init/x'\n", 1, "`file` is \"Init/x\", which is never part of a backup", ""),
        ("env = {'A=B' = '1'}\n", 1, "`A=B` is not a valid name of a variable", ""),
        ("args = '--safe'\n", 1, "`args` must be a list of strings, not a string", "[\"--safe-mode\"]"),
        ("args = [\"a\\u0000b\"]\n", 1, "`args` contains a NUL", ""),
        ("file = 'a'\ncontent = 5\n", 2, "`content` must be a string, not a number", ""),
    ]);
}

#[test]
fn a_key_without_its_companion_and_a_step_without_a_deed_are_told() {
    all_steps_are_reported(&[
        ("table = 't'\nset = {a = 1}\n", 1, "`table` needs `sqlite`", "sqlite = \"app.db\""),
        ("each = '/*'\nset = {a = 1}\n", 1, "`each` needs `json`", "json = \"config.json\""),
        ("content = ''\n", 1, "`content` needs `file`", "file = "),
        (
            "set = {a = 1}\nkey = 'b'\n",
            1,
            "`set` needs `sqlite` or `json`",
            "sqlite = \"app.db\" or json = \"config.json\"",
        ),
    ]);
    all_are_reported(&[
        ("name = 'x'\n[[quarantine]]\nname = 's'\n", 2, "the step does nothing", "sqlite = \"app.db\""),
        (
            "name = 'x'\n[[quarantine]]\nsqlite = 'a.db'\ntable = 't'\nset = {a = 1}\n",
            2,
            "a step with `sqlite` needs `name`",
            "name = ",
        ),
        (
            "name = 'x'\n[[quarantine]]\nname = 's'\nsqlite = 'a.db'\nset = {a = 1}\n",
            2,
            "a step with `sqlite` needs `table`",
            "table = \"webhooks\"",
        ),
        (
            "name = 'x'\n[[quarantine]]\nname = 's'\nsqlite = 'a.db'\ntable = 't'\n",
            2,
            "none of `set`, `expr`, `delete`, `insert`",
            "set = { enabled = false }",
        ),
        ("name = 'x'\n[[quarantine]]\nname = 's'\njson = 'a'\n", 2, "needs `set`", "set = { enabled = false }"),
        ("name = 'x'\n[state]\nexclude = ['a']\n", 2, "neither `sqlite` nor `files`", "leave [state] out"),
        ("name = 'x'\n[health]\n", 2, "[health] is empty", "write one of http ="),
    ]);
    all_steps_are_reported(&[
        ("sqlite = 'a.db'\ntable = 't'\nset = {}\n", 3, "`set` sets no column", "set = { enabled = false }"),
        ("sqlite = 'a.db'\ntable = 't'\ninsert = {}\n", 3, "`insert` gives no column a value", "insert = {"),
        ("json = 'a'\nset = {}\n", 2, "`set` sets no member", ""),
        ("env = {}\n", 1, "`env` sets no variable", ""),
        ("args = []\n", 1, "`args` has no argument", ""),
        ("sqlite = 'a.db'\ntable = 't'\nkey = []\nset = {a = 1}\n", 3, "`key` names nothing", "leave it out"),
        ("sqlite = 'a.db'\ntable = 't'\ndelete = false\n", 3, "`delete` is false", "delete = true"),
    ]);
}

#[test]
fn contradictions_are_told() {
    all_are_reported(&[
        (
            "name = 'x'\napps = 'none'\n[[quarantine]]\nname = 's'\nargs = ['a']\n",
            2,
            "`apps` is \"none\", but the profile has",
            "",
        ),
        ("name = 'x'\napps = 'all'\n", 2, "`apps` is \"all\", but can only be \"none\"", "apps = \"none\""),
        ("name = 'x'\n[health]\nhttp = 'http://h/'\ntcp = 'h:1'\n", 2, "[health] has more than one check", "one of"),
        (
            "name = 'x'\n[[quarantine]]\nname = 's'\nargs = ['a']\n[[quarantine]]\nname = 's'\nargs = ['b']\n",
            6,
            "`name` is \"s\", which an earlier step already uses",
            "its own name",
        ),
        (
            "name = 'x'\n[state]\nsqlite = ['a.db']\nexclude = ['*.db']\n",
            3,
            "`sqlite` names a.db, but `exclude` matches it",
            "`exclude` wins",
        ),
        (
            "name = 'x'\n[[quarantine]]\nname = 's'\nat = 'release'\nsqlite = 'a.db'\ntable = 't'\ndelete = true\n",
            2,
            "no step switches anything off",
            "apps = \"none\"",
        ),
    ]);
    all_steps_are_reported(&[
        (
            "sqlite = 'a.db'\ntable = 't'\nset = {a = 1}\ndelete = true\n",
            4,
            "`delete` contradicts `set`",
            "a step of their own",
        ),
        (
            "sqlite = 'a.db'\ntable = 't'\ninsert = {a = 1}\nexpr = {a = '1'}\n",
            3,
            "`insert` contradicts `expr`",
            "a step of their own",
        ),
        (
            "sqlite = 'a.db'\ntable = 't'\ninsert = {a = 1}\nwhere = '1'\n",
            4,
            "`where` selects rows to change",
            "leave `where` out",
        ),
        (
            "sqlite = 'a.db'\ntable = 't'\nset = {a = 1}\ndiscard = true\n",
            4,
            "`discard` goes with `delete`",
            "delete = true",
        ),
        (
            "sqlite = 'a.db'\ntable = 't'\nset = {a = 1}\nexpr = {a = '1'}\n",
            4,
            "`a` is in `set` and in `expr`",
            "one of them",
        ),
        (
            "sqlite = 'a.db'\ntable = 't'\nkey = ['a', 'b']\nset = {b = 1}\n",
            3,
            "`key` is `b`, which the step changes",
            "the step does not change",
        ),
        (
            "json = 'a.json'\nkey = 'b'\nset = {b = 1}\n",
            2,
            "`key` is `b`, which the step changes",
            "the step does not change",
        ),
        ("json = 'a.json'\nfile = 'b'\nset = {b = 1}\n", 2, "`file` cannot be in a step with `json`", "two steps"),
        ("env = {A = '1'}\nat = 'release'\n", 2, "`at` cannot be \"release\" in a step with `env`", "leave `at` out"),
        ("args = ['a']\nat = 'release'\n", 2, "`at` cannot be \"release\" in a step with `args`", "leave `at` out"),
        ("file = 'a'\nat = 'start'\n", 2, "`at` is \"start\", but can only be", "at = \"release\""),
    ]);
}

#[test]
fn globs_pointers_prefixes_and_checks_that_are_invalid_are_reported() {
    all_are_reported(&[
        ("name = 'x'\nprefix = 'Up'\n", 2, "`prefix` is \"Up\"", "a-z, 0-9 and -"),
        ("name = 'x'\nprefix = 'a_b'\n", 2, "`prefix` is \"a_b\"", "a-z, 0-9 and -"),
        ("name = 'x'\nprefix = ''\n", 2, "`prefix` is empty", "prefix = \"my-server\""),
        (
            "name = 'x'\n[state]\nfiles = [\n  'a',\n  '/etc/x',\n]\n",
            5,
            "the glob `/etc/x` in `files`",
            "relative to the storage root",
        ),
        ("name = 'x'\n[state]\nfiles = ['a']\nexclude = ['b[']\n", 4, "the glob `b[` in `exclude`", "relative"),
        ("name = 'x'\n[state]\nsqlite = ['../a.db']\n", 3, "the glob `../a.db` in `sqlite`", "relative"),
        (
            "name = 'x'\n[state]\nfiles = ['.moorline/**']\n",
            3,
            "`files` names .moorline/**, which is never part of a backup",
            "",
        ),
        (
            "name = 'x'\n[state]\nfiles = ['.moorline/**']\n",
            3,
            "`files` names .moorline/**, which is never part of a backup",
            "",
        ),
        ("name = 'x'\n[health]\nhttp = 'https://h/'\n", 3, "`http` is not a health check", "plain http:// address"),
        (
            "name = 'x'\n[health]\nhttp = 'tcp:h:1'\n",
            3,
            "`http` is not a URL",
            "http = \"http://127.0.0.1:8080/health\"",
        ),
        ("name = 'x'\n[health]\ntcp = '8008'\n", 3, "`tcp` is not a health check", "tcp = \"127.0.0.1:8080\""),
        ("name = 'x'\n[health]\nalive = 'soon'\n", 3, "`alive` is not a health check", "alive = \"30s\""),
    ]);
    all_steps_are_reported(&[
        ("sqlite = '/a.db'\ntable = 't'\nset = {a = 1}\n", 1, "`sqlite` is invalid", "relative to the storage root"),
        ("json = 'a['\nset = {a = 1}\n", 1, "`json` is invalid", "relative"),
        (
            "json = 'a'\neach = 'hooks/*'\nset = {a = 1}\n",
            2,
            "`each` is \"hooks/*\", but a JSON pointer begins with a /",
            "/hooks/*",
        ),
        ("json = 'a'\neach = '/a~2b'\nset = {a = 1}\n", 2, "a ~ that is neither ~0 nor ~1", "~ is ~0"),
    ]);
}

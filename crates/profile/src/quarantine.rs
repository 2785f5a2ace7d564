//! Reads the `[[quarantine]]` tables of a profile into steps, and refuses contradictory ones.

use std::collections::BTreeMap;

use super::{
    document::{Table, listed},
    step::{Action, Change, Files, Moment, Nodes, Rows, Step},
    values,
};
use crate::{Scope, scope};
use volume::{
    METASTORE,
    error::{Error, Result},
};

/// The keys that determine the kind of a step, each with the keys that it allows.
const KINDS: [(&str, &[&str]); 5] = [
    ("sqlite", &["table", "key", "where", "when", "set", "expr", "delete", "discard", "insert"]),
    ("json", &["each", "key", "where", "set"]),
    ("file", &["content"]),
    ("env", &[]),
    ("args", &[]),
];

const COMMON: [&str; 3] = ["name", "at", "optional"];

pub fn steps(tables: Vec<Table<'_>>) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::with_capacity(tables.len());
    for table in &tables {
        let step = step(table)?;
        if steps.iter().any(|other| other.name == step.name) {
            let what = format!("is {:?}, which an earlier step already uses", step.name);
            let instead = "give each step its own name, because `apps release` selects steps by name";
            return Err(table.fault("name", what, instead));
        }
        steps.push(step);
    }
    if let (Some(first), true) = (tables.first(), steps.iter().all(|step| step.at == Moment::Release)) {
        return Err(first.wrong(
            "every step has `at = \"release\"`, so no step switches anything off",
            "add a step that switches the apps off, or write apps = \"none\" at the top if the server has no apps",
        ));
    }
    Ok(steps)
}

fn step(table: &Table<'_>) -> Result<Step> {
    let kind = kind(table)?;
    let of = table.called(format!("a step with `{kind}`"));
    let own = KINDS.iter().find(|(name, _)| *name == kind).map(|(_, own)| *own).unwrap_or_default();
    let known = [&COMMON, [kind].as_slice(), own].concat();
    of.only(&known, |key| {
        let owners = owners(key);
        (!owners.is_empty()).then(|| format!("`{key}` goes with {}", listed(&owners)))
    })?;
    let name = of.needs("name", "\"alerts\"")?;
    if name.trim() != name || name.chars().any(char::is_control) {
        let what = "begins or ends with a space or contains control characters";
        return Err(of.fault("name", what, "write it as one line of words"));
    }
    let step =
        Step { name: name.to_owned(), at: at(&of, kind)?, optional: of.flag("optional")?, action: action(&of, kind)? };
    Ok(step)
}

/// The key that determines the kind of the step; exactly one is allowed.
fn kind(table: &Table<'_>) -> Result<&'static str> {
    let given: Vec<_> = KINDS.iter().map(|(kind, _)| *kind).filter(|kind| table.has(kind)).collect();
    match given.as_slice() {
        [kind] => Ok(kind),
        [first, second, ..] => Err(table.fault(
            second,
            format!("cannot be in a step with `{first}`, because a step has only one target"),
            "write two steps, each with its own [[quarantine]]",
        )),
        [] => Err(missing_kind(table)),
    }
}

/// Suggests a kind from the other keys. The key that the fewest kinds allow is the best evidence.
fn missing_kind(table: &Table<'_>) -> Error {
    let companions = table.keys().into_iter().map(|(key, _)| (key, owners(key)));
    match companions.filter(|(_, owners)| !owners.is_empty()).min_by_key(|(_, owners)| owners.len()) {
        Some((key, owners)) => {
            let meant = owners.iter().map(|kind| format!("{kind} = {}", example(kind))).collect::<Vec<_>>();
            let needs = owners.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(" or ");
            table.fault(key, format!("needs {needs}"), format!("add the target: {}", meant.join(" or ")))
        }
        None => {
            let kinds = KINDS.map(|(kind, _)| kind);
            let what = format!("the step does nothing: it has none of {}", listed(&kinds));
            let instead = "add a target, such as sqlite = \"app.db\" with `table` and `set`";
            let unknown = table.only(&[COMMON.as_slice(), &kinds].concat(), |_| None);
            unknown.err().unwrap_or_else(|| table.wrong(what, instead))
        }
    }
}

fn owners(key: &str) -> Vec<&'static str> {
    KINDS.iter().filter(|(_, keys)| keys.contains(&key)).map(|(kind, _)| *kind).collect()
}

fn example(kind: &str) -> &'static str {
    match kind {
        "sqlite" => "\"app.db\"",
        "json" => "\"config.json\"",
        "env" => "{ SAFE_MODE = \"1\" }",
        "args" => "[\"--safe-mode\"]",
        _ => "\"hooks/*.sh\"",
    }
}

fn at(table: &Table<'_>, kind: &str) -> Result<Moment> {
    match table.text("at", "\"release\"")? {
        None | Some("restore") => Ok(Moment::Restore),
        Some("release") if matches!(kind, "env" | "args") => Err(table.fault(
            "at",
            format!("cannot be \"release\" in a step with `{kind}`, because the server gets it only in quarantine"),
            "leave `at` out",
        )),
        Some("release") => Ok(Moment::Release),
        Some(other) => Err(table.fault(
            "at",
            format!("is {other:?}, but can only be \"release\""),
            "write at = \"release\", or leave `at` out if the step acts when quarantine begins",
        )),
    }
}

fn action(table: &Table<'_>, kind: &str) -> Result<Action> {
    Ok(match kind {
        "sqlite" => Action::Sqlite(rows(table)?),
        "json" => Action::Json(nodes(table)?),
        "file" => Action::File(files(table)?),
        "env" => Action::Env(variables(table)?),
        _ => Action::Args(arguments(table)?),
    })
}

fn rows(table: &Table<'_>) -> Result<Rows> {
    let rows = Rows {
        database: glob(table, "sqlite")?,
        table: table.needs("table", "\"webhooks\"")?.to_owned(),
        key: table.text_or_texts("key", "\"id\"")?,
        filter: table.text("where", "\"enabled = 1\"")?.map(str::to_owned),
        when: table
            .text("when", "\"EXISTS (SELECT 1 FROM pragma_table_info('webhooks') WHERE name = 'enabled')\"")?
            .map(str::to_owned),
        change: change(table)?,
    };
    if let (Change::Insert(_), true) = (&rows.change, rows.filter.is_some()) {
        return Err(table.fault("where", "selects rows to change, but `insert` changes none", "leave `where` out"));
    }
    if let Change::Update { set, expr } = &rows.change
        && let Some(key) = rows.key.iter().find(|key| set.contains_key(*key) || expr.contains_key(*key))
    {
        return Err(table.fault(
            "key",
            format!("is `{key}`, which the step changes, so release would not find the row again"),
            "name columns that the step does not change, or leave `key` out: then it is the primary key, or the rowid",
        ));
    }
    Ok(rows)
}

fn change(table: &Table<'_>) -> Result<Change> {
    let doing: Vec<&str> = ["set", "expr", "delete", "insert"].into_iter().filter(|key| table.has(key)).collect();
    if table.has("discard") && !table.has("delete") {
        return Err(table.fault("discard", "goes with `delete`", "write delete = true too, or leave `discard` out"));
    }
    match doing.as_slice() {
        ["set"] | ["expr"] | ["set", "expr"] => update(table),
        ["delete"] if table.flag("delete")? => Ok(Change::Delete { discard: table.flag("discard")? }),
        ["delete"] => Err(table.fault("delete", "is false, so the step does nothing", "write delete = true")),
        ["insert"] => insert(table),
        [] => Err(table.wrong(
            "the step does nothing to the rows: it has none of `set`, `expr`, `delete`, `insert`",
            "write set = { enabled = false }, or delete = true if the table has no such column",
        )),
        [first, .., last] => Err(table.fault(
            last,
            format!("contradicts `{first}`"),
            "only `set` and `expr` can be combined; `delete` and `insert` each need a step of their own",
        )),
        [_] => Err(table.wrong("the step does nothing to the rows", "write set = { enabled = false }")),
    }
}

fn insert(table: &Table<'_>) -> Result<Change> {
    const ROW: &str = "{ host = \"localhost\", port = 1 }";
    let row = table.table("insert", "`insert`", ROW)?.map(|row| values::scalars(&row)).transpose()?.unwrap_or_default();
    match row.is_empty() {
        true => Err(table.fault("insert", "gives no column a value", format!("write insert = {ROW}"))),
        false => Ok(Change::Insert(row)),
    }
}

fn update(table: &Table<'_>) -> Result<Change> {
    const SET: &str = "{ enabled = false }";
    const EXPR: &str = "{ config = \"json_set(config, '$.enabled', json('false'))\" }";
    let set = table.table("set", "`set`", SET)?.map(|set| values::scalars(&set)).transpose()?.unwrap_or_default();
    let expressions = table.table("expr", "`expr`", EXPR)?;
    let expr = match &expressions {
        Some(found) => found.members(|key, _| found.needs(key, "\"an SQL expression\"").map(str::to_owned))?,
        None => BTreeMap::new(),
    };
    if set.is_empty() && expr.is_empty() {
        let key = if table.has("set") { "set" } else { "expr" };
        return Err(table.fault(key, "sets no column", format!("write set = {SET}")));
    }
    if let (Some(found), Some(both)) = (&expressions, expr.keys().find(|key| set.contains_key(*key))) {
        let what = "is in `set` and in `expr`";
        return Err(found.fault(both, what, "remove one of them, because a column has one new value"));
    }
    Ok(Change::Update { set, expr })
}

fn nodes(table: &Table<'_>) -> Result<Nodes> {
    const SET: &str = "{ enabled = false }";
    let set = table.table("set", "`set`", SET)?;
    let Some(set) = set else {
        return Err(table.wrong("a step with `json` needs `set`", format!("write set = {SET}")));
    };
    let filter = table.table("where", "`where`", "{ enabled = true }")?;
    let nodes = Nodes {
        files: glob(table, "json")?,
        each: pointer(table)?,
        key: table.text("key", "\"id\"")?.map(str::to_owned),
        filter: filter.map(|filter| values::conditions(&filter)).transpose()?.unwrap_or_default(),
        set: values::members(&set)?,
    };
    if nodes.set.is_empty() {
        return Err(table.fault("set", "sets no member", format!("write set = {SET}")));
    }
    if let Some(key) = nodes.key.as_ref().filter(|key| nodes.set.contains_key(*key)) {
        let what = format!("is `{key}`, which the step changes, so release would not find the node again");
        return Err(table.fault("key", what, "name a member that the step does not change, or leave `key` out"));
    }
    Ok(nodes)
}

/// Reads `each`: a JSON pointer (RFC 6901) in which a part may be `*`.
fn pointer(table: &Table<'_>) -> Result<String> {
    const EXAMPLES: &str = "write \"/hooks/*\" for every element of the member `hooks`, \"/*\" for every element of the \
                            document; in a name, / is written ~1 and ~ is ~0";
    // In RFC 6901, the empty pointer is the whole document.
    if table.get("each").is_some_and(|value| value.get_ref().as_str() == Some("")) {
        return Ok(String::new());
    }
    let Some(text) = table.text("each", "\"/hooks/*\"")? else { return Ok(String::new()) };
    if !text.starts_with('/') {
        return Err(table.fault("each", format!("is {text:?}, but a JSON pointer begins with a /"), EXAMPLES));
    }
    let escape = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if !escape {
        let what = format!("is {text:?}, which contains a ~ that is neither ~0 nor ~1");
        return Err(table.fault("each", what, EXAMPLES));
    }
    Ok(text.to_owned())
}

fn files(table: &Table<'_>) -> Result<Files> {
    let content = match table.get("content").map(|value| value.get_ref().as_str()) {
        Some(Some(text)) => Some(text.to_owned()),
        // Not a string: `text` reports it.
        Some(None) => table.text("content", "\"the new content of the file\"")?.map(str::to_owned),
        None => None,
    };
    Ok(Files { files: glob(table, "file")?, content })
}

fn variables(table: &Table<'_>) -> Result<BTreeMap<String, String>> {
    let Some(env) = table.table("env", "`env`", example("env"))? else { return Ok(BTreeMap::new()) };
    let variables = env.members(|name, value| {
        if name.is_empty() || name.contains(['=', '\0']) {
            let what = "is not a valid name of a variable";
            return Err(env.fault(name, what, format!("write env = {}", example("env"))));
        }
        if name.starts_with("MOORLINE_") {
            let instead = "remove it; in quarantine the server gets MOORLINE_QUARANTINED=1 anyway";
            return Err(env.fault(name, "is moorline's own variable", instead));
        }
        // Unlike other strings, a variable may be empty.
        if value.get_ref().as_str() == Some("") {
            return Ok(String::new());
        }
        env.needs(name, "\"1\", in quotes").map(str::to_owned)
    })?;
    match variables.is_empty() {
        true => Err(table.fault("env", "sets no variable", format!("write env = {}", example("env")))),
        false => Ok(variables),
    }
}

fn arguments(table: &Table<'_>) -> Result<Vec<String>> {
    let arguments = table.texts("args", example("args"))?.unwrap_or_default();
    match arguments.is_empty() {
        true => Err(table.fault("args", "has no argument", format!("write args = {}", example("args")))),
        false => Ok(arguments.into_iter().map(|(text, _)| text.to_owned()).collect()),
    }
}

/// A glob of files, relative to the storage root.
fn glob(table: &Table<'_>, key: &str) -> Result<String> {
    const INSTEAD: &str = "write a path relative to the storage root; * and ** are wildcards";
    let glob = table.needs(key, example(key))?;
    let alone = Scope { files: vec![glob.to_owned()], ..Scope::default() };
    alone.check_globs().map_err(|error| table.fault(key, format!("is invalid: {}", error.message()), INSTEAD))?;
    // The console's database is the only file of moorline that contains apps.
    match scope::is_own_glob(glob) && !(key == "sqlite" && glob == METASTORE) {
        true => Err(table.fault(key, format!("is {glob:?}, which is never part of a backup"), INSTEAD)),
        false => Ok(glob.to_owned()),
    }
}

//! Rows put in, and taken out again.

use profile::step::Scalar;

use super::support::{And, Copy, ids, insert, summary, text};

const SERVERS: &str = "CREATE TABLE servers (id INTEGER PRIMARY KEY, host TEXT UNIQUE, port TEXT, made DEFAULT 'now');
                       INSERT INTO servers VALUES (5, 'smtp.example.org', '25', 'then');";

fn dummy() -> profile::step::Step {
    insert("servers", &[("host", text("localhost")), ("port", Scalar::Integer(9))])
}

#[test]
fn an_inserted_row_goes_at_release() {
    let copy = Copy::with(SERVERS);
    let (memory, warnings) = copy.off(&[dummy()]);
    assert_eq!((ids(&memory), warnings), (vec!["servers 6".to_owned()], vec![]));
    assert_eq!(copy.table("servers")[1], "6|'localhost'|'9'|'now'");
    assert_eq!(summary(&copy.on(&memory)), ["servers 1 of 1"]);
    assert_eq!(copy.table("servers").len(), 1);
}

#[test]
fn one_that_was_changed_stays_and_one_that_is_gone_is_gone() {
    let copy = Copy::with(SERVERS);
    let (memory, _) = copy.off(&[dummy(), insert("servers", &[("host", text("other"))]).called("other")]);
    copy.sql(
        "app.db",
        "UPDATE servers SET port = '1' WHERE host = 'localhost'; DELETE FROM servers WHERE host = 'other'",
    );
    assert_eq!(
        summary(&copy.on(&memory)),
        ["other 1 of 1", "servers 0 of 1; servers 6: it was changed since, so it stays"]
    );
    assert_eq!(copy.table("servers").len(), 2);
}

#[test]
fn it_is_inserted_once_however_often_quarantine_begins() {
    let copy = Copy::with(SERVERS);
    let steps = [dummy().with(|rows| rows.key = vec!["host".to_owned()])];
    let (memory, _) = copy.off(&steps);
    let (memory, warnings) = copy.off_again(&steps, Some(memory));
    assert_eq!((copy.table("servers").len(), ids(&memory)), (2, vec!["servers localhost".to_owned()]));
    assert!(warnings.is_empty());
    copy.sql("app.db", "DELETE FROM servers WHERE host = 'localhost'");
    let (memory, _) = copy.off_again(&steps, Some(memory));
    assert_eq!((copy.table("servers").len(), memory.apps().count()), (2, 1), "it is put in again");
    copy.on(&memory);
    assert_eq!(copy.table("servers").len(), 1);
}

#[test]
fn one_that_the_server_has_itself_is_no_app_and_one_in_the_way_is_an_error() {
    let copy = Copy::with(SERVERS);
    let key = |port: i64| {
        let row = [("host", text("smtp.example.org")), ("port", Scalar::Integer(port))];
        insert("servers", &row).with(|rows| rows.key = vec!["host".to_owned()])
    };
    let (memory, warnings) = copy.off(&[key(25)]);
    assert!(memory.is_over() && warnings.is_empty(), "{warnings:?}");
    assert!(copy.refuses(&[key(26)]).message().contains("a different row with the same key exists already"));
    let clash = copy.refuses(&[insert("servers", &[("host", text("smtp.example.org"))])]);
    assert!(clash.message().contains("UNIQUE constraint failed: servers.host"), "{clash}");
}

#[test]
fn a_row_of_a_table_without_rowid_is_found_by_its_primary_key() {
    let copy = Copy::with("CREATE TABLE t (a INTEGER, b TEXT, v, PRIMARY KEY (a, b)) WITHOUT ROWID;");
    let (memory, _) = copy.off(&[insert("t", &[("a", text("1")), ("b", Scalar::Integer(2)), ("v", Scalar::Null)])]);
    assert_eq!((copy.table("t"), ids(&memory)), (vec!["1|'2'|NULL".to_owned()], vec!["t 1,2".to_owned()]));
    copy.on(&memory);
    assert!(copy.table("t").is_empty());
}

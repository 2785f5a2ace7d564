//! A row put in: a dummy mail server, a banner.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params_from_iter};

use super::{
    Acted, Failure, Given, Place, RowBefore, RowChange, is_constraint, refuse_infinite,
    table::{Key, Table, list, values},
};
use crate::{quarantine::Value, store::sqlite::quoted};
use profile::step::Scalar;

pub fn act(place: &Place<'_>, row: &BTreeMap<String, Scalar>) -> Result<Acted, Failure> {
    refuse_infinite(row.values())?;
    let table = Table::open(place.connection, &place.rows.table)?;
    let row = Row::new(&table, row)?;
    let there = Acted { matched: 1, ..Acted::default() };
    for known in place.known.values() {
        if find(place, &table, &table.key_of(place.connection, &names(known))?, &key_values(known))?.is_some() {
            return Ok(there);
        }
    }
    let key = row.key(place, &table)?;
    if row.is_there(place, &table, &key)? {
        return Ok(there);
    }
    let was = row.insert(place, &table, &key)?;
    Ok(Acted { rows: vec![was], ..there })
}

/// What the row with this key holds, if there is one.
fn find(place: &Place<'_>, table: &Table, key: &Key, is: &[Value]) -> rusqlite::Result<Option<Vec<Value>>> {
    let (all, sql, count) = (table.all_columns(), &table.sql, table.stored().len());
    let mut select = place.connection.prepare(&format!("SELECT {all} FROM {sql} WHERE {}", key.is(1)))?;
    select.query_row(params_from_iter(is), |row| values(row, 0..count)).optional()
}

fn names(was: &RowBefore) -> Vec<String> {
    was.key.iter().map(|(name, _)| name.clone()).collect()
}

fn key_values(was: &RowBefore) -> Vec<Value> {
    was.key.iter().map(|(_, value)| value.clone()).collect()
}

/// A row as the profile gives it.
struct Row<'a> {
    columns: Vec<String>,
    values: Vec<&'a Scalar>,
}

impl<'a> Row<'a> {
    fn new(table: &Table, row: &'a BTreeMap<String, Scalar>) -> Result<Self, Failure> {
        let columns = row.keys().map(|name| table.column(name)).collect::<Result<_, _>>()?;
        Ok(Self { columns, values: row.values().collect() })
    }

    fn value(&self, column: &str) -> Option<&'a Scalar> {
        let at = self.columns.iter().position(|name| name.eq_ignore_ascii_case(column))?;
        self.values.get(at).copied()
    }

    fn key(&self, place: &Place<'_>, table: &Table) -> Result<Key, Failure> {
        match &*place.rows.key {
            [] => table.key(place.connection, &[], "FALSE"),
            given => table.key_of(place.connection, given),
        }
    }

    /// Whether the row is there already, as the server's own. One with its key, and something else in it, is in the way.
    fn is_there(&self, place: &Place<'_>, table: &Table, key: &Key) -> Result<bool, Failure> {
        let Some(values) = key.names.iter().map(|name| self.value(name)).collect::<Option<Vec<_>>>() else {
            return Ok(false);
        };
        let same = |condition: &str, values: &[&Scalar]| {
            let sql = format!("SELECT EXISTS (SELECT 1 FROM {} WHERE {condition})", table.sql);
            let values = values.iter().map(|value| Given(value));
            place.connection.query_row(&sql, params_from_iter(values), |row| row.get::<_, bool>(0))
        };
        if !same(&key.is(1), &values)? {
            return Ok(false);
        }
        let columns = self.columns.iter().zip(1..).map(|(column, number)| format!("{} IS ?{number}", quoted(column)));
        match same(&columns.collect::<Vec<_>>().join(" AND "), &self.values)? {
            true => Ok(true),
            false => Err(Failure::Refused("a row with the key of the one to insert is there, and is another".into())),
        }
    }

    fn insert(&self, place: &Place<'_>, table: &Table, key: &Key) -> Result<RowBefore, Failure> {
        let columns = list(self.columns.iter().map(|column| quoted(column)));
        let parameters = list((1..=self.columns.len()).map(|number| format!("?{number}")));
        let sql = format!("INSERT INTO {} ({columns}) VALUES ({parameters})", table.sql);
        let given = self.values.iter().map(|value| Given(value));
        place.connection.execute(&sql, params_from_iter(given)).map_err(|cause| match is_constraint(&cause) {
            true => Failure::Refused(format!("the row cannot be inserted: {}", crate::store::sqlite::words(&cause))),
            false => cause.into(),
        })?;
        self.inserted(place, table, key)
    }

    /// The row as SQLite stored it.
    fn inserted(&self, place: &Place<'_>, table: &Table, key: &Key) -> Result<RowBefore, Failure> {
        let (locator, names) = (table.locator(), table.stored());
        let (keys, all, sql, this) = (key.columns(), table.all_columns(), &table.sql, locator.is(1));
        let mut select = place.connection.prepare(&format!("SELECT {keys}, {all} FROM {sql} WHERE {this}"))?;
        let read = |row: &rusqlite::Row<'_>| {
            let columns = values(row, key.len()..key.len() + names.len())?;
            let columns = names.iter().cloned().zip(columns).collect();
            Ok(place.row(key.with(values(row, 0..key.len())?), RowChange::Inserted { columns }))
        };
        let found = match table.rowid() {
            Some(_) => select.query_row([place.connection.last_insert_rowid()], read),
            None => {
                let given = locator.names.iter().map(|name| Given(self.value(name).unwrap_or(&Scalar::Null)));
                select.query_row(params_from_iter(given), read)
            }
        };
        found.optional()?.ok_or_else(|| {
            Failure::Refused("the row to insert must have a value in every column of the primary key".into())
        })
    }
}

//! Database rows at release: steps that act then, and rows that are restored, in open transactions.

use std::collections::{HashMap, hash_map::Entry};

use crate::{
    prelude::*,
    quarantine::{
        Outcome,
        databases::{Databases, explain},
        sqlite::{self, Failure, KnownRows, RowBefore, Undo},
        tree::Tree,
    },
};
use profile::step::Rows;

/// Runs a step on every database that it names. A newer version of the server may lack its tables or columns; then there is
/// nothing to do, and we only warn.
pub fn act(databases: &Databases, tree: &Tree, step: &Step, rows: &Rows, warnings: &mut Vec<String>) -> Result<()> {
    let paths = tree.databases(&rows.database)?;
    if paths.is_empty() && !step.optional {
        warnings.push(format!("{}: {} does not exist any more", step.name, rows.database));
    }
    for path in &paths {
        match act_on(databases.connection(path)?, path, rows) {
            Err(Failure::Missing(_)) if step.optional => {}
            Err(Failure::Missing(what)) => warnings.push(format!("{}: {path}: {what}", step.name)),
            other => other.map_err(|failure| explain(path, &failure))?,
        }
    }
    Ok(())
}

fn act_on(connection: &rusqlite::Connection, path: &RelPath, rows: &Rows) -> Result<(), Failure> {
    if sqlite::exists(connection, rows)? {
        sqlite::act(connection, path, rows, &KnownRows::new())?;
    }
    Ok(())
}

pub struct TableUndo<'d> {
    databases: &'d Databases,
    rows: &'d Rows,
    /// By database; an error message if the table does not exist any more.
    tables: HashMap<RelPath, Result<Undo<'d>, String>>,
}

impl<'d> TableUndo<'d> {
    pub fn of(databases: &'d Databases, rows: &'d Rows) -> Self {
        Self { databases, rows, tables: HashMap::new() }
    }

    pub fn row(&mut self, row: &RowBefore) -> Result<Outcome> {
        let explained = |failure: Failure| explain(&row.database, &failure);
        let Ok(connection) = self.databases.connection(&row.database) else {
            return Ok(Outcome::Left(format!("{} is gone", row.database)));
        };
        let undo = match self.tables.entry(row.database.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(match Undo::of(connection, &self.rows.table) {
                Err(Failure::Missing(what)) => Err(what),
                other => Ok(other.map_err(explained)?),
            }),
        };
        match undo {
            Ok(undo) => undo.row(row).map_err(explained),
            Err(what) => Ok(Outcome::Left(what.clone())),
        }
    }
}

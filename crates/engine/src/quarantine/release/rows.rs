//! Database rows at release: steps that act then, and rows that are restored, in open transactions.

use std::collections::{BTreeSet, HashMap};

use crate::quarantine::{
    Outcome,
    databases::{Databases, explain},
    sqlite::{self, Failure, KnownRows, RowBefore, Undo},
    tree::Tree,
};
use profile::step::{Rows, Step};
use seqbac_header::RelPath;
use volume::error::Result;

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

fn act_on(connection: &rusqlite::Connection, path: &RelPath, rows: &Rows) -> std::result::Result<(), Failure> {
    if sqlite::exists(connection, rows)? {
        sqlite::act(connection, path, rows, &KnownRows::new())?;
    }
    Ok(())
}

/// Restores the rows of one step.
pub struct TableUndo<'d> {
    databases: &'d Databases,
    open: BTreeSet<RelPath>,
    rows: &'d Rows,
    /// By database; an error message if the table does not exist any more.
    tables: HashMap<RelPath, std::result::Result<Undo<'d>, String>>,
}

impl<'d> TableUndo<'d> {
    pub fn of(databases: &'d Databases, rows: &'d Rows) -> Self {
        Self { databases, open: databases.paths().into_iter().collect(), rows, tables: HashMap::new() }
    }

    pub fn row(&mut self, row: &RowBefore) -> Result<Outcome> {
        if !self.open.contains(&row.database) {
            return Ok(Outcome::Left(format!("{} is gone", row.database)));
        }
        if !self.tables.contains_key(&row.database) {
            let undo = match Undo::of(self.databases.connection(&row.database)?, &self.rows.table) {
                Err(Failure::Missing(what)) => Err(what),
                other => Ok(other.map_err(|failure| explain(&row.database, &failure))?),
            };
            self.tables.insert(row.database.clone(), undo);
        }
        match self.tables.get_mut(&row.database) {
            Some(Ok(undo)) => undo.row(row).map_err(|failure| explain(&row.database, &failure)),
            Some(Err(what)) => Ok(Outcome::Left(what.clone())),
            None => Ok(Outcome::Left(format!("{} is gone", row.database))),
        }
    }
}

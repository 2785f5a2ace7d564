//! One table on both sides: `main` is the live database, and `staged` is its staged image.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::store::sqlite::quoted;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    name: String,
    /// Stored columns only, because generated columns follow from them.
    columns: Vec<Column>,
    /// A name for `rowid` that is not also the name of a column.
    rowid: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    kind: String,
    not_null: bool,
    /// Position in the primary key, from one; zero if the column is not in it.
    key: i64,
}

pub fn all(connection: &Connection, side: &str) -> rusqlite::Result<BTreeMap<String, Table>> {
    let mut list = connection.prepare(&format!("PRAGMA {side}.table_list"))?;
    let rows =
        list.query_map([], |row| Ok((row.get("schema")?, row.get("name")?, row.get("type")?, row.get("wr")?)))?;
    let mut tables = BTreeMap::new();
    for row in rows {
        let (schema, name, kind, without_rowid): (String, String, String, bool) = row?;
        let is_data = !name.starts_with("sqlite_stat") && !matches!(&*name, "sqlite_schema" | "sqlite_master");
        if schema == side && is_data && matches!(&*kind, "table" | "shadow") {
            tables.insert(name.clone(), Table::read(connection, side, name, without_rowid)?);
        }
    }
    Ok(tables)
}

pub fn count(connection: &Connection, side: &str, name: &str) -> rusqlite::Result<u64> {
    number(connection, &format!("SELECT count(*) FROM {side}.{}", quoted(name)))
}

pub fn compare(
    connection: &Connection,
    live: &Table,
    staged: &Table,
    collations: Collations,
) -> rusqlite::Result<(u64, u64, u64)> {
    let key = match live.key(connection)? {
        Some(key) if staged.key(connection)?.as_ref() == Some(&key) => key,
        _ => return Ok((count(connection, "staged", &staged.name)?, 0, count(connection, "main", &live.name)?)),
    };
    join(connection, live, staged, &key, if collations == Collations::Unknown { " COLLATE BINARY" } else { "" })
}

/// Whether this SQLite knows the collations of a database's columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collations {
    /// No unknown collation was found yet.
    Known,
    /// At least one is unknown, so text is compared by its bytes. SQLite can then use an index only if it is in byte
    /// order.
    Unknown,
}

impl Collations {
    /// Defines each missing collation as the order of bytes, because SQLite rejects a statement that needs an unknown
    /// one.
    pub fn define_missing(connection: &Connection) -> rusqlite::Result<Self> {
        connection.collation_needed(|connection, name| connection.create_collation(name, str::cmp))?;
        Ok(Self::Unknown)
    }
}

/// Columns that together are unique for each row, and never NULL.
type Key = Vec<String>;

fn join(
    connection: &Connection,
    live: &Table,
    staged: &Table,
    key: &Key,
    collate: &str,
) -> rusqlite::Result<(u64, u64, u64)> {
    let table = quoted(&live.name);
    let same_key = |by: &str| {
        let equal: Vec<_> = key.iter().map(|column| format!("a.{column}{by} = b.{column}{by}")).collect();
        equal.join(" AND ")
    };
    let differs = if live.columns == staged.columns {
        // A column's own collation may treat different values as equal.
        let differ = live.columns.iter().map(|column| {
            let column = quoted(&column.name);
            format!("(a.{column} COLLATE BINARY IS NOT b.{column} OR typeof(a.{column}) <> typeof(b.{column}))")
        });
        differ.collect::<Vec<_>>().join(" OR ")
    } else {
        "1".to_owned()
    };
    let (on, first) = (same_key(collate), &key[0]);
    let sql = format!(
        "SELECT coalesce(sum(b.{first} IS NULL), 0), coalesce(sum(b.{first} IS NOT NULL AND ({differs})), 0)
         FROM staged.{table} AS a LEFT JOIN main.{table} AS b ON {on}"
    );
    let (appear, change) = connection.query_row(&sql, [], |row| Ok((unsigned(row.get(0)?), unsigned(row.get(1)?))))?;
    let sql =
        format!("SELECT count(*) FROM main.{table} AS a LEFT JOIN staged.{table} AS b ON {on} WHERE b.{first} IS NULL");
    let vanish = number(connection, &sql)?;
    Ok((appear, change, vanish))
}

impl Table {
    fn read(connection: &Connection, side: &str, name: String, without_rowid: bool) -> rusqlite::Result<Self> {
        let mut info = connection.prepare(&format!("PRAGMA {side}.table_xinfo({})", quoted(&name)))?;
        let rows = info.query_map([], |row| {
            let column = Column {
                name: row.get("name")?,
                kind: row.get("type")?,
                not_null: row.get("notnull")?,
                key: row.get("pk")?,
            };
            Ok((column, row.get::<_, i64>("hidden")?))
        })?;
        let all: Vec<(Column, i64)> = rows.collect::<rusqlite::Result<_>>()?;
        let free = |name: &&str| all.iter().all(|(column, _)| !column.name.eq_ignore_ascii_case(name));
        let rowid = ["rowid", "_rowid_", "oid"].into_iter().find(free).filter(|_| !without_rowid);
        let columns = all.into_iter().filter(|(_, hidden)| *hidden == 0).map(|(column, _)| column).collect();
        Ok(Self { name, columns, rowid })
    }

    /// `None` if no key identifies the rows.
    fn key(&self, connection: &Connection) -> rusqlite::Result<Option<Key>> {
        let mut key: Vec<_> = self.columns.iter().filter(|column| column.key > 0).collect();
        key.sort_by_key(|column| column.key);
        if key.is_empty() || (self.rowid.is_some() && self.has_null(connection, &key)?) {
            return Ok(self.rowid.map(|rowid| vec![rowid.to_owned()]));
        }
        Ok(Some(key.into_iter().map(|column| quoted(&column.name)).collect()))
    }

    /// In a table with `rowid`, a primary key may contain NULLs, because SQLite keeps an old bug for compatibility.
    fn has_null(&self, connection: &Connection, key: &[&Column]) -> rusqlite::Result<bool> {
        let null = key.iter().filter(|column| !column.not_null);
        let null: Vec<_> = null.map(|column| format!("{} IS NULL", quoted(&column.name))).collect();
        if null.is_empty() {
            return Ok(false);
        }
        let mut found = 0;
        for side in ["main", "staged"] {
            let table = format!("{side}.{}", quoted(&self.name));
            found += number(connection, &format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE {})", null.join(" OR ")))?;
        }
        Ok(found > 0)
    }
}

fn number(connection: &Connection, sql: &str) -> rusqlite::Result<u64> {
    connection.query_row(sql, [], |row| row.get(0).map(unsigned))
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

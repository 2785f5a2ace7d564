//! Signals: which events an app is sent, as filters by name, joined.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::filter::Filter;
use volume::events::Stored;

/// `StreamedSignalExpression`, as Seq has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "Kind")]
pub enum SignalExpression {
    /// The events of one signal.
    #[serde(rename_all = "PascalCase")]
    Signal {
        /// Its id.
        signal_id: String,
    },
    /// Those that are of both.
    #[serde(rename_all = "PascalCase")]
    Intersection {
        /// One.
        left: Box<Self>,
        /// The other.
        right: Box<Self>,
    },
    /// Those that are of either.
    #[serde(rename_all = "PascalCase")]
    Union {
        /// One.
        left: Box<Self>,
        /// The other.
        right: Box<Self>,
    },
}

/// A filter of a signal.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SignalFilter {
    /// What it is for.
    pub description: Option<String>,
    /// Whether that is left out where the filter is shown.
    pub description_is_excluded: bool,
    /// The filter.
    pub filter: String,
    /// As somebody typed it.
    pub filter_non_strict: Option<String>,
}

/// All filters of a signal, every one of which an event has to match; none, where one of them makes no sense.
pub type Signals = BTreeMap<String, Option<Vec<Filter>>>;

impl SignalExpression {
    /// Whether an event is one of those. A signal that is not there, or makes no sense, has none.
    #[must_use]
    pub fn matches(&self, signals: &Signals, event: &Stored) -> bool {
        match self {
            Self::Signal { signal_id } => signals
                .get(signal_id)
                .and_then(Option::as_ref)
                .is_some_and(|filters| filters.iter().all(|filter| filter.matches(event))),
            Self::Intersection { left, right } => left.matches(signals, event) && right.matches(signals, event),
            Self::Union { left, right } => left.matches(signals, event) || right.matches(signals, event),
        }
    }
}

/// Every signal there is.
///
/// # Errors
/// Where the metastore cannot be read.
pub fn all(connection: &Connection) -> rusqlite::Result<Signals> {
    let mut query = connection.prepare("SELECT id, filters FROM signals")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| row.map(|(id, filters)| (id, compile(&filters)))).collect()
}

/// The filters of a signal as the metastore has them.
#[must_use]
pub fn compile(filters: &str) -> Option<Vec<Filter>> {
    let filters: Vec<SignalFilter> = serde_json::from_str(filters).ok()?;
    let written = filters.iter().map(|filter| filter.filter.trim()).filter(|filter| !filter.is_empty());
    written.map(|filter| filter.parse().ok()).collect()
}

/// The id of the signal that a new metastore has.
pub const BACKUP_TROUBLE: &str = "signal-backuptrouble";

/// Gives a new metastore its signal, "Backup trouble": all that a person who relies on backups is to hear of.
///
/// # Errors
/// Where the metastore cannot be written.
pub fn insert_backup_trouble(connection: &Connection) -> rusqlite::Result<()> {
    let filter = SignalFilter {
        description: Some("What is wrong with backups".to_owned()),
        filter: "@EventType in ['BackupFailed', 'BackupMissed', 'BackupUnverified', 'BackupSuspect', \
                 'VerificationFailed']"
            .to_owned(),
        ..SignalFilter::default()
    };
    let filters = serde_json::json!([filter]).to_string();
    let description = "A backup failed, was missed, or is not what it should be";
    connection.execute(
        "INSERT OR IGNORE INTO signals (id, title, description, filters) VALUES (?1, 'Backup trouble', ?2, ?3)",
        [BACKUP_TROUBLE, description, &filters],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use volume::events::{Kind, Level, Place};

    fn event(kind: Kind) -> Stored {
        let event = volume::events::Event::new(kind);
        let fields = serde_json::from_str(&event.to_clef()).expect("an object");
        Stored { place: Place { day: "20260310".to_owned(), offset: 0 }, fields }
    }

    #[test]
    fn expressions_are_as_seq_writes_them() {
        let text = r#"{"Kind":"Union","Left":{"Kind":"Signal","SignalId":"signal-1"},
            "Right":{"Kind":"Intersection","Left":{"Kind":"Signal","SignalId":"signal-2"},"Right":{"Kind":"Signal","SignalId":"signal-3"}}}"#;
        let expression: SignalExpression = serde_json::from_str(text).expect("an expression");
        let filters = |filter: &str| compile(&serde_json::json!([{"Filter": filter}]).to_string());
        let signals: Signals = [
            ("signal-1".to_owned(), filters("@EventType = 'BackupFailed'")),
            ("signal-2".to_owned(), filters("@Level = 'Error'")),
            ("signal-3".to_owned(), filters("@EventType like 'App%'")),
        ]
        .into();
        assert!(expression.matches(&signals, &event(Kind::BackupFailed)));
        assert!(expression.matches(&signals, &event(Kind::AppFailed)));
        assert!(!expression.matches(&signals, &event(Kind::VerificationFailed)));
        assert!(!expression.matches(&signals, &event(Kind::AppsReleased)));
    }

    #[test]
    fn a_signal_that_makes_no_sense_has_no_events_and_one_without_filters_has_all() {
        let expression = SignalExpression::Signal { signal_id: "s".to_owned() };
        let has = |filters: &str| {
            expression.matches(&[("s".to_owned(), compile(filters))].into(), &event(Kind::BackupFailed))
        };
        assert!(has("[]"));
        assert!(has(r#"[{"Filter": " ", "Description": "x"}]"#));
        assert!(!has(r#"[{"Filter": "@Level = 'Error'"}, {"Filter": "@Level =="}]"#));
        assert!(!has("no list"));
        assert!(!expression.matches(&Signals::new(), &event(Kind::BackupFailed)));
    }

    #[test]
    fn backup_trouble_is_every_error_of_backups_and_nothing_else() {
        let connection = Connection::open_in_memory().expect("opens");
        let table = "CREATE TABLE signals (id TEXT PRIMARY KEY, title TEXT, description TEXT, filters TEXT) STRICT";
        connection.execute_batch(table).expect("a table");
        insert_backup_trouble(&connection).expect("inserted");
        insert_backup_trouble(&connection).expect("there already");
        let signals = all(&connection).expect("signals");
        let expression = SignalExpression::Signal { signal_id: BACKUP_TROUBLE.to_owned() };
        for kind in Kind::ALL {
            let of_backups = ["Backup", "Verification"].iter().any(|start| kind.name().starts_with(start));
            let expected = of_backups && kind.level() == Level::Error;
            assert_eq!(expression.matches(&signals, &event(*kind)), expected, "{kind}");
        }
    }
}

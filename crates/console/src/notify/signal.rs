//! Signals as notifications use them: compiled filters, and the expression that combines signals.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::{
    entities::signals::{SignalFilter, texts},
    filter::Filter,
};
use volume::events::Stored;

/// `StreamedSignalExpression`, in Seq's format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "Kind", rename_all_fields = "PascalCase")]
pub(crate) enum SignalExpression {
    Signal { signal_id: String },
    Intersection { left: Box<Self>, right: Box<Self> },
    Union { left: Box<Self>, right: Box<Self> },
}

/// The filters of each signal, by id. `None` if one of the filters cannot be parsed.
pub(crate) type Signals = BTreeMap<String, Option<Vec<Filter>>>;

impl SignalExpression {
    /// Whether the event matches. No event matches a signal that does not exist or has an invalid filter.
    pub(crate) fn matches(&self, signals: &Signals, event: &Stored) -> bool {
        match self {
            Self::Signal { signal_id } => signals
                .get(signal_id)
                .and_then(Option::as_ref)
                .is_some_and(|filters| filters.iter().all(|filter| filter.matches(event))),
            Self::Intersection { left, right } => left.matches(signals, event) && right.matches(signals, event),
            Self::Union { left, right } => left.matches(signals, event) || right.matches(signals, event),
        }
    }

    /// The ids of all signals in it.
    pub(crate) fn signals(&self) -> Vec<&str> {
        match self {
            Self::Signal { signal_id } => vec![signal_id],
            Self::Intersection { left, right } | Self::Union { left, right } => {
                [left.signals(), right.signals()].concat()
            }
        }
    }
}

pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Signals> {
    let mut query = connection.prepare("SELECT id, filters FROM signals")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| row.map(|(id, filters)| (id, compile(&filters)))).collect()
}

/// Parses the filters of a signal from the JSON in the metastore.
fn compile(filters: &str) -> Option<Vec<Filter>> {
    let filters: Vec<SignalFilter> = serde_json::from_str(filters).ok()?;
    texts(&filters).map(|filter| filter.parse().ok()).collect()
}

const BACKUP_TROUBLE: &str = "signal-backuptrouble";

/// Adds the signal "Backup trouble" to a new metastore: every event that endangers the backups.
pub fn insert_backup_trouble(connection: &Connection) -> rusqlite::Result<()> {
    let filter = SignalFilter {
        description: Some("Problems with backups".to_owned()),
        filter: Some(
            "@EventType in ['BackupFailed', 'BackupMissed', 'BackupUnverified', 'BackupSuspect', \
             'VerificationFailed', 'BackupTwinSuspected']"
                .to_owned(),
        ),
        ..SignalFilter::default()
    };
    let filters = serde_json::json!([filter]).to_string();
    let description = "A backup failed, was missed, or is damaged, doubtful or suspect";
    connection.execute(
        "INSERT OR IGNORE INTO signals (id, title, description, filters) VALUES (?1, 'Backup trouble', ?2, ?3)",
        [BACKUP_TROUBLE, description, &filters],
    )?;
    Ok(())
}

/// Adds the event that the signal "Backup trouble" of an earlier version lacks.
pub fn extend_backup_trouble(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE signals SET filters = replace(filters, ?2, ?3) WHERE id = ?1 AND instr(filters, ?2) > 0",
        [BACKUP_TROUBLE, "'VerificationFailed']", "'VerificationFailed', 'BackupTwinSuspected']"],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use volume::events::{EventPosition, Kind, Level};

    fn event(kind: Kind) -> Stored {
        let event = volume::events::Event::new(kind);
        let fields = serde_json::from_str(&event.to_clef()).expect("an object");
        Stored { position: EventPosition { day: "20260310".to_owned(), offset: 0 }, fields }
    }

    #[test]
    fn expressions_have_the_format_of_seq() {
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
    fn no_event_matches_an_invalid_signal_and_every_event_matches_a_signal_without_filters() {
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
    fn backup_trouble_selects_exactly_the_warnings_and_errors_of_backups() {
        let connection = Connection::open_in_memory().expect("opens");
        let table = "CREATE TABLE signals (id TEXT PRIMARY KEY, title TEXT, description TEXT, filters TEXT) STRICT";
        connection.execute_batch(table).expect("a table");
        insert_backup_trouble(&connection).expect("inserted");
        insert_backup_trouble(&connection).expect("there already");
        // As an earlier version inserted it.
        let earlier = "UPDATE signals SET filters = replace(filters, ', ''BackupTwinSuspected''', '')";
        assert_eq!(connection.execute(earlier, []).expect("updated"), 1);
        for _ in 0..2 {
            extend_backup_trouble(&connection).expect("extended");
        }
        let signals = all(&connection).expect("signals");
        let expression = SignalExpression::Signal { signal_id: BACKUP_TROUBLE.to_owned() };
        for kind in Kind::ALL {
            let of_backups = ["Backup", "Verification"].iter().any(|start| kind.name().starts_with(start));
            let expected = of_backups && kind.level() >= Level::Warning;
            assert_eq!(expression.matches(&signals, &event(*kind)), expected, "{kind}");
        }
    }
}

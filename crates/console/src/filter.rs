//! The filter language of signals, a subset of Seq's.
//!
//! ```text
//! @Level = 'Error' and (@EventType in ['BackupFailed', 'BackupMissed'] or FileName like 'seq_%')
//!
//! or    = and { 'or' and }                         text     = '…', a quote inside is doubled
//! and   = not { 'and' not }                        like     = % matches any text, _ one character; doubled, they
//! not   = [ 'not' ] test                                      match themselves
//! test  = value [ comparison ]                     property = Name, or Name.Inner
//! comparison = ( '=' | '<>' | '<' | '<=' | '>' | '>=' ) value [ 'ci' ]
//!            | [ 'not' ] 'like' text [ 'ci' ] | [ 'not' ] 'in' '[' value { ',' value } ']' [ 'ci' ]
//!            | 'is' [ 'not' ] 'null'
//! value = '(' or ')' | text | number | 'true' | 'false' | 'null' | property
//!       | @Level | @EventType | @Message | @MessageTemplate | @Timestamp
//! ```
//! A comparison with a property that the event lacks is neither true nor false, and neither is its negation, so that the
//! event does not match. `is null` tests for a missing property. `ci` ignores case.
//!
//! Filters are untrusted input: length and nesting depth are limited, and an error names the position and a correction.

mod evaluate;
mod like;
mod parse;
mod token;

use std::str::FromStr;

use volume::{
    error::{Error, Result},
    events::Stored,
};

/// Maximum length of a filter in bytes, far above that of any hand-written filter.
const LONGEST: usize = 4096;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filter {
    test: parse::Test,
}

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() > LONGEST {
            return Err(Error::usage(format!("the filter is longer than {LONGEST} bytes"))
                .hint("split it into two signals, and subscribe the notification to their union"));
        }
        let test = parse::parse(text).map_err(|mistake| mistake.explain(text))?;
        Ok(Self { test })
    }
}

impl Filter {
    /// Whether the filter is true for the event, rather than false or unknown.
    #[must_use]
    pub(crate) fn matches(&self, event: &Stored) -> bool {
        evaluate::holds(&self.test, event) == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use volume::events::EventPosition;

    fn event() -> Stored {
        let fields = json!({
            "@t": "2026-03-10T03:00:01.5Z", "@mt": "Backup failed: {Error}", "@l": "Error", "@i": "BackupFailed",
            "Error": "disk full", "FileName": "seq_20260310.seqbac", "FileSizeBytes": 1024, "Ratio": 0.5,
            "IsRetry": true, "Nothing": null, "It's": 1, "Host": {"Name": "box"},
        });
        let serde_json::Value::Object(fields) = fields else { unreachable!() };
        Stored { position: EventPosition { day: "20260310".to_owned(), offset: 0 }, fields }
    }

    fn matches(filter: &str) -> bool {
        filter.parse::<Filter>().unwrap_or_else(|error| unreachable!("{filter}: {error}")).matches(&event())
    }

    #[test]
    fn an_event_matches_if_the_filter_is_true() {
        for filter in [
            "@Level = 'Error' and (@EventType in ['BackupFailed', 'BackupMissed'] or FileName like 'x')",
            "@Message = 'Backup failed: disk full'",
            "@MessageTemplate like '%{Error}'",
            "FileName like 'seq_%.seqbac'",
            "FileName like 'seq__%'",
            "FileName not like 'SEQ%' and FileName like 'SEQ%' ci",
            "Error <> 'x' and Error = 'DISK FULL' ci and @Level in ['ERROR'] ci",
            "FileSizeBytes > 1000 and FileSizeBytes <= 1024 and FileSizeBytes = 1024.0 and -1 < Ratio",
            "IsRetry",
            "IsRetry = true and not (IsRetry = false)",
            "Nothing is null and Missing is null and Error is not null",
            "Host.Name = 'box'",
            "@Timestamp >= '2026-03-10T03:00:01Z' and @Timestamp < '2026-03-10T05:00:01.4+01:00' is not null",
            "NOT false AND True",
            "@Level not in ['Warning', 'Information']",
            "Error = 'disk full' or Missing = 1",
            "1 = 1 and 'a' < 'b' and null = null",
            "not not true",
        ] {
            assert!(matches(filter), "{filter}");
        }
    }

    #[test]
    fn an_event_does_not_match_if_the_filter_is_false_or_unknown() {
        for filter in [
            "@Level = 'error'",
            "Missing = 1",
            "Missing <> 1",
            "not (Missing = 1)",
            "Missing",
            "Error",
            "1",
            "FileSizeBytes = '1024'",
            "Missing like '%' or Missing in [1]",
            "Error like 'disk'",
            "Error = 'disk full' and Missing = 1",
            "Host = 'box'",
            "@Timestamp > 'yesterday'",
            "FileSizeBytes like '1%'",
            "Host.Name.More = 1",
        ] {
            assert!(!matches(filter), "{filter}");
        }
    }

    #[test]
    fn an_error_names_the_position_and_a_correction() {
        for (filter, place, hint) in [
            ("", 1, "@Level = 'Error'"),
            ("   ", 1, "@Level = 'Error'"),
            ("@Level == 'Error'", 8, "use ="),
            ("@Level != 'Error'", 8, "use <>"),
            ("a = 1 && b = 2", 7, "use and"),
            ("a = 1 || b = 2", 7, "use or"),
            ("a = \"x\"", 5, "single quotes"),
            ("a = 'x", 5, "ends with a quote"),
            ("a =", 4, "a value"),
            ("a = 1 b", 7, "and"),
            ("(a = 1", 7, ")"),
            ("a = 1)", 6, "("),
            ("a in 'x'", 6, "["),
            ("a in []", 7, "a value"),
            ("a in ['x' 'y']", 11, ","),
            ("a like 5", 8, "quotes"),
            ("a like b", 8, "quotes"),
            ("@Levle = 'x'", 1, "@Level"),
            ("@Level > 'Information'", 8, "@Level in"),
            ("'Warning' <= @Level", 11, "@Level in"),
            ("a is 5", 6, "null"),
            ("a = 1.2.3", 5, "number"),
            ("a = #", 5, ""),
            ("a. = 1", 4, "name"),
            ("a not = 1", 7, "like"),
            ("and", 1, "a value"),
            ("caf\u{e9} = \"x\"", 8, "single quotes"),
        ] {
            let error = filter.parse::<Filter>().expect_err(filter);
            assert!(error.message().contains(&format!("character {place}:")), "{filter}: {error}");
            let advice = format!("{} {}", error.message(), error.advice().unwrap_or_default());
            assert!(advice.contains(hint), "{filter}: {advice}");
        }
    }

    #[test]
    fn length_and_depth_are_bounded() {
        for filter in
            ["(".repeat(4000), "not ".repeat(1000) + "a", format!("a = '{}'", "x".repeat(5000)), "a in [".repeat(600)]
        {
            assert!(filter.parse::<Filter>().is_err());
        }
        let flat = vec!["a = 1"; 400].join(" or ");
        assert!(!matches(&flat), "a long chain is not deep");
        assert!(matches(&format!("{}true{}", "(".repeat(20), ")".repeat(20))));
    }

    proptest! {
        #[test]
        fn no_text_causes_a_panic(text in ".{0,200}") {
            if let Ok(filter) = text.parse::<Filter>() {
                let _ = filter.matches(&event());
            }
        }

        #[test]
        fn no_sequence_of_tokens_causes_a_panic(words in proptest::collection::vec(
            prop_oneof![
                Just("and"), Just("or"), Just("not"), Just("in"), Just("like"), Just("is"), Just("null"), Just("("),
                Just(")"), Just("["), Just("]"), Just(","), Just("="), Just("<>"), Just("'%a_'"), Just("1.5"),
                Just("@Level"), Just("@Timestamp"), Just("Error"), Just("Host.Name"), Just("ci"), Just("true"),
            ], 0..30)) {
            if let Ok(filter) = words.join(" ").parse::<Filter>() {
                let _ = filter.matches(&event());
            }
        }
    }
}

//! A console whose database cannot be read: it says so, and probes are answered.

use std::{fs, thread, time::Duration};

use super::client::Console;
use crate::support::TestVolume;

/// For so long nobody asks: the database is closed then, and has to be opened again.
const A_BREAK: Duration = Duration::from_millis(700);

#[test]
fn a_database_that_is_none_any_more_is_told_and_the_probe_is_answered() {
    let volume = TestVolume::in_use();
    let (console, session) = Console::with_administrator(&volume);
    console.get("/health").is(200);
    let file = volume.path(".moorline/metastore.db");
    let refused = (0..50).find_map(|_| {
        thread::sleep(A_BREAK);
        // Between two uses, in which it is closed.
        fs::write(&file, vec![b'x'; 8192]).expect("written");
        Some(console.ask("GET", "/api/settings").by(&session).send()).filter(|answer| answer.status != 200)
    });
    let refused = refused.expect("it is read again").is(500).text();
    // The second, if a connection was still open when the file was overwritten.
    let words = ["not a database", "malformed"];
    assert!(words.iter().any(|word| refused.contains(word)), "{refused}");
    assert!(refused.contains("rename it"), "{refused}");
    let probed = console.get("/health");
    assert_eq!((probed.status, probed.value()["Status"].as_str()), (503, Some("degraded")), "{probed}");
    assert_eq!(console.stop().code, 0);
}

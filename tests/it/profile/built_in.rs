//! Built-in profiles of servers that are not run here: on their tables, a copy has no app left that is on, and release
//! brings all of it back. A name that their servers do not know cannot survive this.

use std::path::Path;

use rusqlite::{Connection, types::Value};

use crate::fixture::Data;

/// A server's state, and what in it is on.
struct Server {
    /// The profile's name.
    profile: &'static str,
    /// Where its databases lie, and their tables and rows, in `tests/it/schemas`.
    databases: &'static [(&'static str, &'static str)],
    /// Its files.
    files: &'static [(&'static str, &'static str)],
    /// What the server asks for to act, and what it gets: before, and after release. In quarantine it gets nothing.
    fires: &'static [(&'static str, &'static str, &'static str)],
    /// Tables that a release may leave other than they were.
    differ: &'static [&'static str],
}

/// One without files.
const NONE: Server = Server { profile: "", databases: &[], files: &[], fires: &[], differ: &[] };

#[test]
fn grafana() {
    const SYNC: &str = "SELECT name FROM resource WHERE \"group\" LIKE 'provisioning.%' ORDER BY 1";
    Server {
        profile: "grafana",
        databases: &[("grafana.db", "grafana")],
        fires: &[
            ("SELECT id FROM alert_rule WHERE NOT is_paused", "1 3", "1 3"),
            (SYNC, "dashboards empty off pull", "dashboards empty off"),
            (
                "SELECT name FROM resource_history WHERE \"group\" LIKE 'provisioning.%' ORDER BY 1",
                "dashboards empty off pull",
                "dashboards empty off",
            ),
        ],
        differ: &["resource", "resource_history"],
        ..NONE
    }
    .is_silent_and_comes_back();
}

const GITEA: Server = Server {
    profile: "gitea",
    databases: &[("gitea/gitea.db", "gitea")],
    files: &[("gitea/conf/app.ini", "[security]\n")],
    fires: &[
        ("SELECT id FROM webhook WHERE is_active = 1", "1 4", "1 4"),
        ("SELECT id FROM hook_task WHERE is_delivered = 0", "2", ""),
        ("SELECT id FROM mirror WHERE next_update_unix <= 1800000000 AND next_update_unix != 0", "1", "1"),
        ("SELECT id FROM push_mirror WHERE \"interval\" != 0 OR sync_on_commit = 1", "1 3 4", "1 3 4"),
        ("SELECT id FROM action_schedule_spec WHERE next <= 1800000000", "7", "7"),
        (
            "SELECT id FROM user WHERE email_notifications_preference IN ('enabled', 'andyourown', 'onmention')",
            "1 2 4",
            "1 2 4",
        ),
        ("SELECT id FROM login_source WHERE is_sync_enabled", "1", "1"),
    ],
    differ: &["hook_task"],
};

#[test]
fn gitea() {
    GITEA.is_silent_and_comes_back();
}

#[test]
fn gitea_of_the_rootless_image() {
    Server { databases: &[("data/gitea.db", "gitea")], files: &[], ..GITEA }.is_silent_and_comes_back();
}

#[test]
fn vaultwarden() {
    // config.json goes before the environment, and what it says of other things stays.
    const ON: &str =
        "{\n  \"_enable_smtp\": true,\n  \"disable_icon_download\": false,\n  \"smtp_host\": \"mail\"\n}\n";
    let data = Server {
        profile: "vaultwarden",
        databases: &[("db.sqlite3", "vaultwarden")],
        files: &[("config.json", ON), ("rsa_key.pem", "key")],
        // A request that has waited for years would be granted at once.
        fires: &[(
            "SELECT uuid FROM emergency_access WHERE status = 3 AND recovery_initiated_at < '2026-01-01'",
            "waits",
            "",
        )],
        differ: &["emergency_access"],
    };
    let copy = data.restored();
    assert_eq!(
        copy.read("config.json"),
        ON.replace("true", "false").replace(": false,\n  \"smtp", ": true,\n  \"smtp")
    );
    copy.moorline(&["--profile", "vaultwarden", "apps", "release", "--all"]).succeeds();
    assert_eq!(copy.read("config.json"), ON);
    assert_eq!(ask(&copy.path("db.sqlite3"), data.fires[0].0), "", "the waiting time begins anew");
    assert_eq!(ask(&copy.path("db.sqlite3"), "SELECT uuid FROM emergency_access WHERE status = 3"), "waits");
}

#[test]
fn paperless_ngx() {
    Server {
        profile: "paperless-ngx",
        databases: &[("db.sqlite3", "paperless-ngx")],
        fires: &[
            ("SELECT id FROM paperless_mail_mailrule WHERE enabled", "1 3", "1 3"),
            ("SELECT id FROM documents_workflow WHERE enabled", "1", "1"),
        ],
        ..NONE
    }
    .is_silent_and_comes_back();
}

#[test]
fn paperless_ngx_whose_mail_rules_have_no_switch() {
    Server {
        profile: "paperless-ngx",
        databases: &[("db.sqlite3", "paperless-ngx-2.0")],
        fires: &[("SELECT id FROM paperless_mail_mailrule", "1 2", "1 2")],
        ..NONE
    }
    .is_silent_and_comes_back();
}

#[test]
fn ntfy() {
    const DUE: &str = "SELECT mid FROM messages WHERE published = 0";
    Server {
        profile: "ntfy",
        databases: &[("cache.db", "ntfy-cache"), ("webpush.db", "ntfy-webpush")],
        // What was due meanwhile has been sent by the original.
        fires: &[(DUE, "due next-century", "next-century")],
        differ: &["messages"],
        ..NONE
    }
    .is_silent_and_comes_back();
    Server {
        profile: "ntfy",
        databases: &[("lib/webpush.db", "ntfy-webpush")],
        fires: &[(
            "SELECT id FROM subscription JOIN subscription_topic ON id = subscription_id",
            "wps_1 wps_1",
            "wps_1 wps_1",
        )],
        ..NONE
    }
    .is_silent_and_comes_back();
}

#[test]
fn woodpecker() {
    Server {
        profile: "woodpecker",
        databases: &[("woodpecker.sqlite", "woodpecker")],
        fires: &[
            ("SELECT id FROM crons WHERE next_exec <= 1800000000 AND enabled", "1", "1"),
            ("SELECT id FROM tasks", "12", ""),
        ],
        differ: &["tasks"],
        ..NONE
    }
    .is_silent_and_comes_back();
}

#[test]
fn woodpecker_whose_schedules_have_no_switch() {
    Server {
        profile: "woodpecker",
        databases: &[("woodpecker.sqlite", "woodpecker-2")],
        fires: &[("SELECT id FROM crons WHERE next_exec <= 1800000000", "1 2", "1 2")],
        ..NONE
    }
    .is_silent_and_comes_back();
}

#[test]
fn drone() {
    Server {
        profile: "drone",
        databases: &[("database.sqlite", "drone")],
        // The original builds what waited.
        fires: &[
            ("SELECT cron_id FROM cron WHERE cron_next < 1800000000 AND cron_disabled IS NOT 1", "1 3", "1 3"),
            ("SELECT build_id FROM builds WHERE build_status IN ('pending', 'running')", "2 3", ""),
            (
                "SELECT stage_id FROM stages WHERE stage_status IN ('pending', 'running', 'waiting_on_dependencies')",
                "2 3 4",
                "",
            ),
        ],
        differ: &["builds", "stages"],
        ..NONE
    }
    .is_silent_and_comes_back();
}

#[test]
fn changedetection_whose_watches_are_in_one_file() {
    const ON: &str = "{\"watching\": {}, \"settings\": {\"application\": {\"all_muted\": true, \"base_url\": null}}}";
    let copy = Server { profile: "changedetection", files: &[("url-watches.json", ON)], ..NONE }.restored();
    let off = copy.read("url-watches.json");
    assert!(off.contains("\"all_paused\": true") && off.contains("\"all_muted\": true"), "{off}");
    copy.moorline(&["--profile", "changedetection", "apps", "release", "--all"]).succeeds();
    assert_eq!(copy.read("url-watches.json"), ON, "and what had been muted stays muted");
}

impl Server {
    fn is_silent_and_comes_back(&self) {
        let original = self.original();
        let copy = self.restore(&original);
        self.gets(&copy, |_| "");
        copy.moorline(&["--profile", self.profile, "apps", "release", "--all"]).succeeds();
        self.gets(&copy, |(_, _, released)| released);
        for (path, _) in self.databases {
            let (before, after) = (tables(&original.path(path)), tables(&copy.path(path)));
            assert_eq!(before.len(), after.len(), "{path}");
            for (before, after) in before.iter().zip(&after) {
                assert!(before == after || self.differ.contains(&before.0.as_str()), "{before:#?}\n{after:#?}");
            }
        }
    }

    /// A restored copy.
    fn restored(&self) -> Data {
        self.restore(&self.original())
    }

    fn original(&self) -> Data {
        let data = Data::empty();
        for (path, schema) in self.databases {
            data.file(path, "");
            let file = Path::new(env!("MOORLINE_REPOSITORY")).join("tests/it/schemas").join(format!("{schema}.sql"));
            let sql = std::fs::read_to_string(file).expect("a schema");
            Connection::open(data.path(path)).expect("opens").execute_batch(&sql).expect(schema);
        }
        for (path, content) in self.files {
            data.file(path, content);
        }
        self.gets(&data, |(_, before, _)| before);
        data
    }

    fn restore(&self, original: &Data) -> Data {
        let backup = original.moorline(&["--profile", self.profile, "backup"]).succeeds();
        let copy = Data::empty();
        let (key, backup) = (format!("--secret-key={}", original.key()), format!("--backup={}", backup.trim_end()));
        copy.moorline(&["--profile", self.profile, "restore", "-y", &key, &backup]).succeeds();
        for (path, content) in self.files.iter().filter(|(path, _)| !path.ends_with(".json")) {
            assert_eq!(copy.read(path), *content);
        }
        copy
    }

    /// Each query of the server gets this.
    fn gets(&self, data: &Data, expected: impl Fn(&(&str, &'static str, &'static str)) -> &'static str) {
        for fires in self.fires {
            assert_eq!(ask(&data.path(self.databases[0].0), fires.0), expected(fires), "{}: {}", self.profile, fires.0);
        }
    }
}

/// The first column of the rows.
fn ask(database: &Path, query: &str) -> String {
    let rows = rows(&Connection::open(database).expect("opens"), query);
    let first: Vec<String> = rows.into_iter().map(|mut row| row.swap_remove(0)).collect();
    first.join(" ")
}

/// All rows of all tables.
fn tables(database: &Path) -> Vec<(String, Vec<Vec<String>>)> {
    let connection = Connection::open(database).expect("opens");
    let names = rows(
        &connection,
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    );
    let rows_of = |name: &str| rows(&connection, &format!("SELECT * FROM \"{name}\" ORDER BY 1, 2"));
    names.into_iter().map(|mut name| name.swap_remove(0)).map(|name| (name.clone(), rows_of(&name))).collect()
}

fn rows(connection: &Connection, query: &str) -> Vec<Vec<String>> {
    let mut query = connection.prepare(query).expect(query);
    let columns = query.column_count();
    let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| Ok(plain(row.get(column)?))).collect();
    query.query_map([], row).expect("readable").map(|row| row.expect("readable")).collect()
}

fn plain(value: Value) -> String {
    match value {
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text,
        other => format!("{other:?}"),
    }
}

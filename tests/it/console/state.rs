//! A volume with a console on it.

use engine::sealed::Seal;
use std::{fs, path::Path};

use engine::metastore::{self, MetastoreLock};
use rusqlite::{Connection, params};
use seqbac_header::SecretKey;
use volume::Volume;

use crate::fixture::{Data, KEY};

/// What is asked of a console's database in one go: nothing stays open.
pub fn with<T>(data: &Data, ask: impl FnOnce(&Connection) -> T) -> T {
    let volume = Volume::open(data.root()).expect("opens");
    volume.prepare().expect("writable");
    let held = MetastoreLock::shared(&volume).expect("free");
    ask(&metastore::open(&volume, &held).expect("opens"))
}

/// A user who is logged in, two apps of which one is on, where backups go, and a password sealed with this key.
pub fn fill(data: &Data, key: &str) {
    let key = SecretKey::parse(key, "the test").expect("a key");
    let sealed = key.seal("appinstances/appinstance-1/Password", "hunter2").expect("sealed");
    with(data, |console| {
        console
            .execute_batch(
                "INSERT INTO users (id, username) VALUES ('user-1', 'ann');
                 INSERT INTO sessions VALUES ('hash', 'user-1', 'csrf', '2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z');
                 INSERT INTO appinstances (id, app_id, title) VALUES ('appinstance-1', 'app-http', 'one');
                 INSERT INTO appinstances (id, app_id, title, is_disabled) VALUES ('appinstance-2', 'app-http', 'two', 1);
                 INSERT INTO settings VALUES ('BackupLocation', '\"/mnt/originals\"'), ('InstanceTitle', '\"mine\"');",
            )
            .expect("filled");
        console
            .execute("INSERT INTO secrets VALUES ('appinstances/appinstance-1/Password', ?1)", params![sealed])
            .expect("a secret");
    });
}

/// A volume with nothing but a console, whose key is [`KEY`].
pub fn console() -> Data {
    let data = Data::empty();
    own_key(&data, KEY);
    fill(&data, KEY);
    data
}

/// Gives a volume this key.
pub fn own_key(data: &Data, key: &str) {
    let volume = Volume::open(data.root()).expect("opens");
    volume.prepare().expect("writable");
    fs::write(volume.key_file(), format!("{key}\n")).expect("written");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(volume.key_file(), private).expect("private");
}

fn column(data: &Data, sql: &str) -> Vec<String> {
    with(data, |console| {
        let mut query = console.prepare(sql).expect("makes sense");
        let rows = query.query_map([], |row| row.get::<_, Option<String>>(0)).expect("readable");
        rows.map(|row| row.expect("readable").unwrap_or_else(|| "NULL".to_owned())).collect()
    })
}

/// The apps that are on.
pub fn on(data: &Data) -> Vec<String> {
    column(data, "SELECT id FROM appinstances WHERE is_disabled = 0 ORDER BY id")
}

pub fn users(data: &Data) -> Vec<String> {
    column(data, "SELECT username FROM users ORDER BY username")
}

pub fn sessions(data: &Data) -> usize {
    column(data, "SELECT user_id FROM sessions").len()
}

/// Where backups go, as the console says.
pub fn location(data: &Data) -> Vec<String> {
    column(data, "SELECT value FROM settings WHERE name = 'BackupLocation'")
}

/// The password that the console keeps, as this key opens it.
pub fn password(data: &Data, key: &str) -> Option<String> {
    let key = SecretKey::parse(key, "the test").expect("a key");
    let sealed = column(data, "SELECT sealed FROM secrets WHERE name = 'appinstances/appinstance-1/Password'");
    sealed.first().map(|sealed| {
        key.unseal("appinstances/appinstance-1/Password", sealed).expect("the volume's key opens it").to_string()
    })
}

pub fn is_in_quarantine(data: &Data) -> bool {
    data.path(".moorline/quarantine.json").exists()
}

/// What SQLite left beside the database.
pub fn beside(data: &Data) -> Vec<String> {
    crate::fixture::names(&data.path(".moorline"))
        .into_iter()
        .filter(|name| name.starts_with("metastore.db-"))
        .collect()
}

/// A copy of a volume, with everything on it.
pub fn duplicate(data: &Data) -> Data {
    let copy = Data::empty();
    let status = std::process::Command::new("cp").arg("-a").arg(data.root().join(".")).arg(copy.root()).status();
    assert!(status.expect("cp runs").success());
    copy
}

/// Writes a user into the database so that it is in the `-wal` alone, as kill -9 leaves it.
pub fn add_user_and_die(data: &Data, name: &str) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let copy_all = |from: &Path, to: &Path| {
        for name in ["metastore.db", "metastore.db-wal", "metastore.db-shm"] {
            fs::copy(from.join(name), to.join(name)).expect("copied");
        }
    };
    with(data, |console| {
        console.execute("INSERT INTO users (id, username) VALUES ('user-' || ?1, ?1)", [name]).expect("a user");
        copy_all(&data.path(".moorline"), folder.path());
    });
    copy_all(folder.path(), &data.path(".moorline"));
}

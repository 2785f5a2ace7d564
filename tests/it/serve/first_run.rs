//! The first start: who is let in, and from where.

use std::{
    io::Write,
    net::TcpListener,
    process::{Command, Stdio},
};

use serde_json::json;

use super::client::{Console, PASSWORD, serve};
use crate::support::{MOORLINE, TestVolume};

#[test]
fn a_password_that_the_environment_gave_has_to_be_changed() {
    let volume = TestVolume::new();
    let start = serve(&volume).env("SEQ_FIRSTRUN_ADMINPASSWORD", "the first one");
    let console = Console::of(start.env("MOORLINE_FIRSTRUN_ADMINUSERNAME", "boss"));
    console.get("/api/settings").is(401);
    console.log_in("boss", "the first on").is(401);
    console.log_in("admin", "the first one").is(401);
    let refused = console.log_in("boss", "the first one").says(403, "has to be changed");
    assert_eq!(refused.value()["MustChangePassword"], json!(true));
    assert_eq!(refused.header("set-cookie"), None);
    let login = |new: &str| json!({"Username": "BOSS", "Password": "the first one", "NewPassword": new});
    console.post("/api/users/login", &login("short")).says(400, "too short");
    console.post("/api/users/login", &login("the first one")).says(400, "the same as the old one");
    let session = console.post("/api/users/login/", &login(PASSWORD)).session();
    let me = console.ask("GET", "/api/users/current").by(&session).send().is(200).value();
    assert_eq!((&me["Username"], &me["MustChangePassword"]), (&json!("boss"), &json!(false)));
    assert_eq!(me["RoleIds"], json!(["role-administrator"]));
    console.log_in("boss", "the first one").is(401);
    console.log_in("boss", PASSWORD).is(200);
}

#[test]
fn a_hash_is_a_password_that_need_not_be_changed() {
    let volume = TestVolume::new();
    let mut hash = Command::new(MOORLINE).arg("hash-password").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let hash = hash.as_mut().expect("starts");
    hash.stdin.take().expect("piped").write_all(format!("{PASSWORD}\n").as_bytes()).expect("writes");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut hash.stdout.take().expect("piped"), &mut text).expect("reads");
    assert!(hash.wait().expect("ends").success());
    let start = serve(&volume).env("MOORLINE_FIRSTRUN_ADMINPASSWORDHASH", text.trim());
    let console = Console::of(start);
    console.log_in("admin", PASSWORD).session();
    assert!(!console.running.log().contains("argon2id"));
}

#[test]
fn what_the_environment_says_counts_once() {
    let volume = TestVolume::new();
    let (console, _) = Console::with_administrator(&volume);
    console.stop();
    let console = Console::of(serve(&volume).env("MOORLINE_FIRSTRUN_ADMINPASSWORD", "another one"));
    console.log_in("admin", "another one").is(401);
    console.log_in("admin", PASSWORD).is(200);
}

#[test]
fn a_password_that_is_given_later_closes_what_was_open() {
    let volume = TestVolume::new();
    let console = Console::of(serve(&volume).env("MOORLINE_FIRSTRUN_NOAUTHENTICATION", "true"));
    console.get("/api/users").is(200);
    console.stop();
    let (console, session) = Console::with_administrator(&volume);
    console.get("/api/users").is(401);
    console.ask("GET", "/api/users").by(&session).send().is(200);
}

#[test]
fn without_a_password_this_host_alone_is_let_in() {
    let volume = TestVolume::new();
    let console = Console::of(serve(&volume).env("MOORLINE_LISTEN", "0.0.0.0:0"));
    assert!(console.address.ip().is_loopback(), "{}", console.address);
    assert!(console.running.log().contains("MOORLINE_FIRSTRUN_ADMINPASSWORD"), "it says what to do");
    console.get("/api/settings").is(200);
    // A name of somebody else's that was made to mean this host.
    for host in ["evil.example", "evil.example:8341", "127.0.0.1.evil.example"] {
        console.ask("GET", "/api/settings").header("Host", host).send().says(403, "localhost only");
    }
    console.ask("GET", "/api/settings").header("Host", "localhost:1").send().is(200);
    // A page of another site that is open in a browser on this host.
    let user = json!({"Username": "mallory", "NewPassword": PASSWORD});
    for (name, value) in [("Origin", "http://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")] {
        console.ask("POST", "/api/users").header(name, value).json(&user).send().says(403, "another address");
    }
    console.post("/api/users", &user).is(201);
}

#[test]
fn it_can_be_opened_to_all_and_cannot_be_opened_by_accident() {
    let volume = TestVolume::new();
    let start = serve(&volume).env("MOORLINE_LISTEN", "0.0.0.0:0");
    let console = Console::of(start.env("MOORLINE_FIRSTRUN_NOAUTHENTICATION", "true"));
    assert!(console.address.ip().is_unspecified(), "{}", console.address);
    console.ask("GET", "/api/settings").header("Host", "console.example").send().is(200);
    console.stop();

    let volume = TestVolume::new();
    let start = serve(&volume).env("MOORLINE_LISTEN", "0.0.0.0:0");
    let console = Console::of(start.env("MOORLINE_FIRSTRUN_ADMINPASSWORD", "the first one"));
    assert!(console.address.ip().is_unspecified(), "{}", console.address);
    let login = json!({"Username": "admin", "Password": "the first one", "NewPassword": PASSWORD});
    let session = console.post("/api/users/login", &login).session();
    let off = console.ask("PUT", "/api/settings/setting-isauthenticationenabled").by(&session);
    off.json(&json!({"Value": false})).send().is(409);
    let off = console.ask("DELETE", "/api/settings/setting-isauthenticationenabled").by(&session);
    off.send().is(409);
    console.get("/api/users").is(401);
}

#[test]
fn a_volume_has_one_console() {
    let volume = TestVolume::new();
    let console = Console::of(serve(&volume));
    let second = serve(&volume).wait();
    assert_eq!(second.code, 75, "{second}");
    assert!(second.err.contains("`serve`") && second.err.contains("process "), "{second}");
    assert_eq!(console.stop().code, 0);
    assert_eq!(Console::of(serve(&volume)).stop().code, 0);
}

#[test]
fn a_port_that_is_taken_leaves_the_console_running_and_is_tried_again() {
    let volume = TestVolume::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut running = serve(&volume).env("MOORLINE_LISTEN", address.as_str()).start();
    running.until_log_has("cannot listen on");
    drop(taken);
    running.until_log_has(&format!("the console listens on http://{address}/"));
    let events = crate::fixture::names(&volume.path(".moorline/events"));
    let log = events.iter().filter(|name| name.ends_with(".clef"));
    let all: String = log.map(|name| volume.read(format!(".moorline/events/{name}"))).collect();
    assert!(all.contains("ConsoleNotListening") && all.contains("ConsoleStarted"), "{all}");
}

#[test]
fn settings_that_make_no_sense_are_refused_before_anything_is_done() {
    for (name, value) in [
        ("MOORLINE_LISTEN", "somewhere"),
        ("MOORLINE_FIRSTRUN_ADMINPASSWORDHASH", "plain text"),
        ("MOORLINE_BACKUP_UTC_TIME_OF_DAY", "25:00"),
        ("MOORLINE_BACKUPS_TO_KEEP", "0"),
        ("MOORLINE_FIRSTRUN_NOAUTHENTICATION", "maybe"),
    ] {
        let volume = TestVolume::new();
        let end = serve(&volume).env(name, value).wait();
        assert_eq!(end.code, 2, "{name}: {end}");
        assert!(!volume.has(".moorline/metastore.db"), "{name}");
    }
}

//! `moorline console reset-password`.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::client::{Console, PASSWORD};
use crate::{
    fixture::Ran,
    support::{MOORLINE, TestVolume},
};

/// With this on stdin.
fn reset(volume: &TestVolume, arguments: &[&str], stdin: &str) -> Ran {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    writer.write_all(stdin.as_bytes()).expect("fits");
    drop(writer);
    let mut command = Command::new(MOORLINE);
    command.args(["console", "reset-password"]).args(arguments).env("MOORLINE_STORAGE", volume.root());
    command.stdin(Stdio::from(reader));
    Ran::of(command)
}

#[test]
fn a_new_password_lets_in_again_and_ends_the_sessions_of_this_user() {
    let volume = TestVolume::new();
    let (console, admin) = Console::with_administrator(&volume);
    let second = console.user(&admin, "second", "role-user-readonly");
    let is_in = |session, status| drop(console.ask("GET", "/api/users/current").by(session).send().is(status));
    is_in(&admin, 200);
    assert_eq!(reset(&volume, &[], "from the terminal\n").succeeds(), "", "a password that is known is not printed");
    is_in(&admin, 401);
    is_in(&second, 200);
    console.log_in("admin", PASSWORD).is(401);
    let admin = console.log_in("admin", "from the terminal").session();
    // Generated.
    let generated = reset(&volume, &["--user", "second"], "");
    let log = generated.stderr.clone();
    let generated = generated.succeeds().trim().to_owned();
    assert!(generated.len() >= 20 && !log.contains(&generated), "{generated} in {log}");
    is_in(&second, 401);
    is_in(&admin, 200);
    console.log_in("second", &generated).is(200);
    // From a file.
    let file = volume.beside("password");
    std::fs::write(&file, "from a file\r\n").expect("writes");
    let answer = reset(&volume, &["--json", "--password-file", file.to_str().expect("text")], "not this one");
    let answer: Value = serde_json::from_str(&answer.succeeds()).expect("JSON");
    assert_eq!(answer, json!({"username": "admin", "password": null}));
    let admin = console.log_in("admin", "from a file").session();
    let path = "/api/events?filter=@EventType%20%3D%20'UserChanged'";
    let events = console.ask("GET", path).by(&admin).send().is(200).value();
    let said = json!("User admin was changed by moorline console reset-password");
    assert!(events.as_array().expect("a list").iter().any(|event| event["RenderedMessage"] == said), "{events}");
    console.stop();
}

#[test]
fn what_cannot_be_reset_is_refused_and_changes_nothing() {
    let volume = TestVolume::new();
    reset(&volume, &[], "a good one\n").fails(10, &["no administrator yet", "MOORLINE_FIRSTRUN_ADMINPASSWORD"]);
    assert!(!volume.has(".moorline"));
    let (console, admin) = Console::with_administrator(&volume);
    reset(&volume, &[], "short\n").fails(2, &["too short"]);
    reset(&volume, &[], "\n").fails(2, &["too short"]);
    reset(&volume, &["--user", "nobody"], "a good one\n").fails(10, &["nobody", "admin"]);
    reset(&volume, &["--password-file", "/nonexistent"], "").fails(1, &["/nonexistent"]);
    console.ask("GET", "/api/users/current").by(&admin).send().is(200);
    console.stop();
}

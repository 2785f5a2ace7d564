//! What somebody changes is told, and what stays as it was is not.

use serde_json::{Value, json};

use super::client::{Console, Session};
use crate::support::TestVolume;

fn told(console: &Console, by: &Session, kind: &str) -> Vec<Value> {
    let all = console.ask("GET", "/api/events?count=1000").by(by).send().is(200).value();
    let all = all.as_array().expect("a list").iter();
    all.filter(|event| event["EventType"] == kind).cloned().collect()
}

#[test]
fn keys_apps_and_signals_are_told_of() {
    let volume = TestVolume::new();
    let (console, admin) = Console::with_administrator(&volume);
    let url = json!({"Url": "http://127.0.0.1:9/"});
    for (path, word, body) in [
        ("/api/apikeys", "ApiKey", json!({"Title": "one", "AssignedPermissions": ["Read"]})),
        ("/api/appinstances", "App", json!({"Title": "one", "AppId": "app-http", "Settings": url, "IsDisabled": true})),
        ("/api/signals", "Signal", json!({"Title": "one"})),
    ] {
        let made = console.ask("POST", path).by(&admin).json(&body).send().is(201).value();
        let path = format!("{path}/{}", made["Id"].as_str().expect("an id"));
        console.ask("PUT", &path).by(&admin).json(&json!({"Title": "two"})).send().is(200);
        console.ask("DELETE", &path).by(&admin).send().is(204);
        for (what, title) in [("Created", "one"), ("Changed", "two"), ("Removed", "two")] {
            let events = told(&console, &admin, &format!("{word}{what}"));
            assert_eq!(events.len(), 1, "{word}{what}: {events:?}");
            let text = events[0].to_string();
            assert!(text.contains(title) && text.contains("admin"), "{text}");
        }
    }
}

#[test]
fn a_user_that_stays_as_it_was_is_not_told_of() {
    let volume = TestVolume::new();
    let (console, admin) = Console::with_administrator(&volume);
    let path = format!("/api/users/{}", admin.user);
    for body in [json!({}), json!({"Username": "admin"}), json!({"DisplayName": "The admin"}), json!({})] {
        console.ask("PUT", &path).by(&admin).json(&body).send().is(200);
    }
    assert_eq!(told(&console, &admin, "UserChanged").len(), 1);
}

//! What is secret is nowhere to be found.

use std::{fs, path::Path};

use serde_json::json;

use super::client::{Console, PASSWORD, serve};
use crate::support::TestVolume;

#[test]
fn a_secret_is_in_no_answer_no_log_and_no_file() {
    const SECRET: &str = "Bearer xyzzy-the-secret-of-an-app";
    const HEADER: &str = "xyzzy-the-token-of-a-header";
    let volume = TestVolume::new();
    let (console, admin) = Console::with_administrator(&volume);
    let app = json!({"AppId": "app-http", "Title": "hook", "StreamedSignalExpression":
        {"Kind": "Signal", "SignalId": "signal-backuptrouble"},
        "Settings": {"Url": "http://127.0.0.1:9/", "AuthorizationHeader": SECRET, "Headers": format!("X-Token: {HEADER}")}});
    let made = console.ask("POST", "/api/appinstances").by(&admin).json(&app).send().is(201).value();
    assert_eq!(made["SetSensitiveSettings"], json!(["AuthorizationHeader", "Headers"]), "{made}");
    let path = format!("/api/appinstances/{}", made["Id"].as_str().expect("an id"));
    let key = json!({"Title": "k", "AssignedPermissions": ["Read"]});
    let key = console.ask("POST", "/api/apikeys").by(&admin).json(&key).send().is(201).value();
    let token = key["Token"].as_str().expect("a token").to_owned();
    console.back_up(&admin);
    // Sent again as it was shown, the secret stays.
    let again = console.ask("PUT", &path).by(&admin).json(&made).send().is(200).value();
    assert_eq!(again["SetSensitiveSettings"], json!(["AuthorizationHeader", "Headers"]), "{again}");
    let in_url = json!({"Settings": {"Url": "http://moor:xyzzy-the-password-in-a-url@127.0.0.1:9/"}});
    let refused = console.ask("PUT", &path).by(&admin).json(&in_url).send().is(400).text();
    assert!(!refused.contains("xyzzy"), "{refused}");
    let secrets = [SECRET, HEADER, &token, PASSWORD, "the first one", &admin.cookie["moorline-session=".len()..]];
    for path in ["/api/appinstances", &path, "/api/apikeys", "/api/users", "/api/events?count=1000", "/api/settings"] {
        let text = console.ask("GET", path).by(&admin).send().is(200).text();
        secrets.iter().for_each(|secret| assert!(!text.contains(secret), "{path}: {text}"));
    }
    let end = console.stop();
    secrets.iter().for_each(|secret| assert!(!end.err.contains(secret) && !end.out.contains(secret), "{end}"));
    look(&volume.root(), &secrets);
}

#[test]
fn an_app_is_told_what_is_wrong_with_it() {
    let volume = TestVolume::new();
    let (console, admin) = Console::with_administrator(&volume);
    let make = |body| console.ask("POST", "/api/appinstances").by(&admin).json(&body).send();
    make(json!({"Title": "x"})).says(400, "AppId");
    make(json!({"Title": "x", "AppId": "app-pager"})).says(400, "app-pager");
    make(json!({"Title": "x", "AppId": "app-http"})).says(400, "Url");
    let signal = json!({"Kind": "Signal", "SignalId": "signal-none"});
    let url = json!({"Url": "http://127.0.0.1:9/"});
    let app = json!({"Title": "x", "AppId": "app-http", "Settings": url, "StreamedSignalExpression": signal});
    make(app).says(400, "signal-none");
    make(json!({"Title": "x", "AppId": "app-http", "Settings": url, "SuppressionTime": "soon"})).is(400);
    let made = make(json!({"Title": "x", "AppId": "app-http", "Settings": url, "SuppressionTime": "00:05:00",
        "StreamedSignalExpression": {"Kind": "Signal", "SignalId": "signal-backuptrouble"}}));
    let made = made.is(201).value();
    console.ask("DELETE", "/api/signals/signal-backuptrouble").by(&admin).send().says(409, "the notification");
    let path = format!("/api/appinstances/{}", made["Id"].as_str().expect("an id"));
    console.ask("DELETE", &path).by(&admin).send().is(204);
    console.ask("DELETE", "/api/signals/signal-backuptrouble").by(&admin).send().is(204);
    console.stop();
    // What came out of the box does not come back.
    let console = Console::of(serve(&volume));
    let signals = console.ask("GET", "/api/signals").by(&admin).send().is(200).value();
    assert_eq!(signals, json!([]));
}

#[test]
fn signals_filter_events() {
    let volume = TestVolume::new();
    let (console, admin) = Console::with_administrator(&volume);
    let make = |filter: &str| {
        let signal = json!({"Title": "s", "Filters": [{"Filter": filter}]});
        console.ask("POST", "/api/signals").by(&admin).json(&signal).send()
    };
    make("@Level = ").is(400);
    let signal = make("@EventType = 'UserCreated' and Username = 'second'").is(201).value();
    console.user(&admin, "second", "role-user-readonly");
    console.user(&admin, "third", "role-user-readonly");
    let path = format!("/api/events?signal={}", signal["Id"].as_str().expect("an id"));
    let events = console.ask("GET", &path).by(&admin).send().is(200).value();
    assert_eq!(events.as_array().map(Vec::len), Some(1), "{events}");
    assert_eq!(events[0]["RenderedMessage"], json!("User second was created by admin"));
    let all = console.ask("GET", "/api/events?filter=@EventType%20%3D%20'UserCreated'&count=1").by(&admin).send();
    let newest = all.is(200).value();
    let older = format!("/api/events?afterId={}&count=1000", newest[0]["Id"].as_str().expect("an id"));
    let older = console.ask("GET", &older).by(&admin).send().is(200).text();
    assert!(older.contains("second") && !older.contains("third"), "{older}");
    for wrong in ["count=0", "count=1001", "count=x", "afterId=x", "filter=%26"] {
        console.ask("GET", &format!("/api/events?{wrong}")).by(&admin).send().is(400);
    }
    console.ask("GET", "/api/events?signal=signal-none").by(&admin).send().is(404);
}

fn look(folder: &Path, secrets: &[&str]) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            look(&path, secrets);
            continue;
        }
        let bytes = fs::read(&path).expect("reads");
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret:?} is in {}", path.display());
        }
    }
}

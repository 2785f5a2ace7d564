//! Logins, sessions, CSRF.

use serde_json::json;

use super::client::{Console, PASSWORD, serve};
use crate::support::TestVolume;

#[test]
fn a_password_cannot_be_guessed_for_long() {
    let volume = TestVolume::new();
    let (console, session) = Console::with_administrator(&volume);
    let answers: Vec<_> = (0..14).map(|_| console.log_in("admin", "guess guess")).collect();
    assert!(answers.iter().any(|answer| answer.status == 401));
    let last = answers.last().expect("some");
    assert_eq!(last.status, 429, "{last}");
    let wait: u64 = last.header("retry-after").and_then(|text| text.parse().ok()).expect("says when");
    assert!((1..60).contains(&wait), "{last}");
    // The right one is not let in either; whoever is in stays in, and others are let in.
    console.log_in("admin", PASSWORD).is(429);
    console.ask("GET", "/api/users").by(&session).send().is(200);
    console.user(&session, "else", "role-user-readonly");
    // Nor does it keep whoever is in from another password.
    let own = json!({"NewPassword": "quite another", "CurrentPassword": PASSWORD});
    console.ask("PUT", &format!("/api/users/{}", session.user)).by(&session).json(&own).send().is(200);
}

#[test]
fn a_login_that_fails_is_told_by_names_that_there_are_only() {
    let volume = TestVolume::new();
    let (console, admin) = Console::with_administrator(&volume);
    console.log_in("ADMIN", "guess guess").is(401);
    console.log_in("a password in the wrong field", PASSWORD).is(401);
    let path = "/api/events?filter=@EventType%20%3D%20'LoginFailed'";
    let events = console.ask("GET", path).by(&admin).send().is(200).value();
    let said: Vec<_> = events.as_array().expect("a list").iter().map(|event| &event["RenderedMessage"]).collect();
    let of = |name: &str| json!(format!("Failed login as {name} from 127.0.0.1"));
    assert_eq!(said, [&of("an unknown user"), &of("admin")]);
}

#[test]
fn a_password_that_has_to_be_changed_is_asked_for_at_once_and_is_another_one() {
    let volume = TestVolume::new();
    let (console, admin) = Console::with_administrator(&volume);
    let second = console.user(&admin, "second", "role-user-readwrite");
    let path = format!("/api/users/{}", second.user);
    let put = |by, body| console.ask("PUT", &path).by(by).json(&body).send();
    let key = json!({"Title": "k", "AssignedPermissions": ["Public"]});
    let key = console.ask("POST", "/api/apikeys").by(&second).json(&key).send().is(201).value();
    put(&second, json!({"NewPassword": PASSWORD, "CurrentPassword": PASSWORD})).says(400, "the old one");
    put(&second, json!({"NewPassword": PASSWORD, "CurrentPassword": "wrong one"})).says(403, "CurrentPassword");
    put(&admin, json!({"MustChangePassword": true})).is(200);
    console.ask("GET", "/api/users/current").by(&second).send().is(401);
    // No password at all is no other one either.
    let none = console.ask("PUT", &path).key(key["Token"].as_str().expect("a token"));
    let none = none.json(&json!({"NewPassword": "", "CurrentPassword": PASSWORD})).send().is(200).value();
    assert_eq!(none["MustChangePassword"], json!(true), "{none}");
    console.log_in("second", PASSWORD).is(403);
    let login = json!({"Username": "second", "Password": PASSWORD, "NewPassword": "quite another"});
    let second = console.post("/api/users/login", &login).session();
    put(&admin, json!({"MustChangePassword": false})).is(200);
    console.ask("GET", "/api/users/current").by(&second).send().is(200);
}

#[test]
fn a_login_leads_on_to_no_page_that_no_header_can_name() {
    let volume = TestVolume::new();
    let (console, _) = Console::with_administrator(&volume);
    let form = console.ask("POST", "/login").header("Content-Type", "application/x-www-form-urlencoded");
    let body = format!("Username=admin&Password={}&next=/%00", PASSWORD.replace(' ', "+"));
    let answer = form.body(body).send();
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{answer}");
}

#[test]
fn no_page_of_another_site_changes_anything_with_the_session_of_a_browser() {
    const REFUSAL: &str = "this form was sent from another address";
    let volume = TestVolume::new();
    let (console, session) = Console::with_administrator(&volume);
    assert!(!session.csrf.is_empty(), "Seq's clients expect a token");
    let user = json!({"Username": "second", "NewPassword": PASSWORD});
    let post = || console.ask("POST", "/api/users").header("Cookie", &session.cookie).json(&user);
    for origin in ["http://evil.example", "null", "http://localhost:9000"] {
        post().header("Origin", origin).send().says(403, REFUSAL);
        // A token does not help, because the page of another site may have got hold of one.
        post().header("Origin", origin).header("X-Seq-CsrfToken", &session.csrf).send().says(403, REFUSAL);
        let form = console.ask("POST", "/api/users/logout").header("Cookie", &session.cookie).header("Origin", origin);
        let form = form.header("Content-Type", "application/x-www-form-urlencoded");
        form.body("").send().says(403, REFUSAL);
    }
    for site in ["cross-site", "same-site"] {
        post().header("Sec-Fetch-Site", site).send().says(403, REFUSAL);
        console
            .ask("DELETE", "/api/users/user-1")
            .header("Cookie", &session.cookie)
            .header("Sec-Fetch-Site", site)
            .send()
            .is(403);
    }
    post().header("Sec-Fetch-Site", "same-origin").send().is(201);
    console.ask("GET", "/api/users").header("Cookie", &session.cookie).send().is(200);
}

#[test]
fn a_browser_sends_the_session_only_with_requests_of_the_console_itself() {
    let volume = TestVolume::new();
    let (console, _) = Console::with_administrator(&volume);
    let answer = console.log_in("admin", PASSWORD);
    let cookie = answer.header("set-cookie").expect("a session");
    assert!(cookie.contains("; SameSite=Strict") && cookie.contains("; HttpOnly"), "{cookie}");
}

#[test]
fn a_session_ends_at_logout_and_outlives_a_restart() {
    let volume = TestVolume::new();
    let (console, first) = Console::with_administrator(&volume);
    let second = console.log_in("admin", PASSWORD).session();
    assert_ne!(first.cookie, second.cookie);
    console.ask("POST", "/api/users/logout").by(&first).send().is(204);
    console.ask("GET", "/api/users/current").by(&first).send().is(401);
    assert_eq!(console.stop().code, 0);
    let console = Console::of(serve(&volume));
    console.ask("GET", "/api/users/current").by(&second).send().is(200);
    console.ask("GET", "/api/users/current").by(&first).send().is(401);
    console.ask("POST", "/api/users/logout").by(&second).send().is(204);
}

#[test]
fn another_password_ends_all_other_sessions() {
    let volume = TestVolume::new();
    let (console, admin) = Console::with_administrator(&volume);
    let first = console.user(&admin, "second", "role-user-readonly");
    let other = console.log_in("second", PASSWORD).session();
    let path = format!("/api/users/{}", first.user);
    let put = |body| console.ask("PUT", &path).by(&first).json(&body).send();
    put(json!({"NewPassword": "quite another"})).says(403, "CurrentPassword");
    put(json!({"NewPassword": "quite another", "CurrentPassword": "wrong one"})).says(403, "CurrentPassword");
    put(json!({"NewPassword": "quite another", "CurrentPassword": PASSWORD})).is(200);
    console.ask("GET", "/api/users/current").by(&first).send().is(200);
    console.ask("GET", "/api/users/current").by(&other).send().is(401);
    console.log_in("second", PASSWORD).is(401);
    console.log_in("second", "quite another").is(200);
}

#[test]
fn cookies_and_headers_give_nothing_away() {
    let volume = TestVolume::new();
    let (console, session) = Console::with_administrator(&volume);
    let login = console.log_in("admin", PASSWORD).is(200);
    let cookie = login.header("set-cookie").expect("a cookie");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    for answer in
        [login, console.get("/"), console.get("/nothing"), console.ask("GET", "/api/users").by(&session).send()]
    {
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
    }
}

#[test]
fn requests_that_make_no_sense_are_told_so() {
    let volume = TestVolume::new();
    let (console, session) = Console::with_administrator(&volume);
    let post = |kind: &str, body: &str| {
        console.ask("POST", "/api/users").by(&session).header("Content-Type", kind).body(body).send()
    };
    post("application/json", "{").is(400);
    post("application/json", "3").is(422);
    post("application/json", r#"{"Username": 1}"#).is(422);
    post("text/plain", "{}").is(415);
    post("application/json", &format!("{{\"Username\": \"{}\"}}", "x".repeat(1 << 20))).is(413);
    console.ask("PATCH", "/api/users").by(&session).send().is(405);
    console.ask("GET", "/api/nothing").by(&session).send().is(404);
    console.ask("GET", "/api/users/%FF").by(&session).send().is(400);
    let refused = post("application/json", "{\"NewPassword\": \"dont show me\", \"Username\": 1}").is(422);
    assert!(!refused.text().contains("dont show me"), "{refused}");
}

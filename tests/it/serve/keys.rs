//! API keys.

use serde_json::json;

use super::client::{Console, serve};
use crate::support::TestVolume;

#[test]
fn a_key_does_what_it_may_until_it_is_removed() {
    let volume = TestVolume::new();
    let (console, admin) = Console::with_administrator(&volume);
    let make = |body| console.ask("POST", "/api/apikeys").by(&admin).json(&body).send();
    make(json!({"AssignedPermissions": ["Read"]})).says(400, "Title");
    make(json!({"Title": "t", "Token": "short"})).says(400, "Token");
    let made = make(json!({"Title": "reader", "AssignedPermissions": ["Read"]})).is(201).value();
    let token = made["Token"].as_str().expect("shown once").to_owned();
    assert!(token.starts_with(made["TokenPrefix"].as_str().expect("is shown")));
    let path = format!("/api/apikeys/{}", made["Id"].as_str().expect("an id"));
    for again in [console.ask("GET", &path).by(&admin).send(), console.ask("GET", "/api/apikeys").by(&admin).send()] {
        assert!(!again.is(200).text().contains(&token), "the token is shown once");
    }
    console.ask("GET", "/api/events").key(&token).send().is(200);
    console.ask("GET", "/api/events").header("Authorization", &format!("Bearer {token}")).send().is(200);
    console.ask("GET", "/api/backups").key(&token).send().is(403);
    // A key that is wrong is not made good by a session.
    console.ask("GET", "/api/events").by(&admin).key("wrong wrong wrong wrong").send().is(401);
    let more = json!({"AssignedPermissions": ["Read", "System"]});
    console.ask("PUT", &path).by(&admin).json(&more).send().is(200);
    console.ask("GET", "/api/backups").key(&token).send().is(200);
    // What changes something needs no CSRF token: no browser sends a key by itself.
    console.ask("PUT", "/api/settings/setting-instancetitle").key(&token).json(&json!({"Value": "x"})).send().is(200);
    console.stop();
    let console = Console::of(serve(&volume));
    console.ask("GET", "/api/backups").key(&token).send().is(200);
    console.ask("DELETE", &path).by(&admin).send().is(204);
    console.ask("GET", "/api/events").key(&token).send().is(401);
}

#[test]
fn a_key_may_no_more_than_its_owner() {
    let volume = TestVolume::new();
    let (console, admin) = Console::with_administrator(&volume);
    let owner = console.user(&admin, "owner", "role-project-owner");
    let body = json!({"Title": "k", "AssignedPermissions": ["Read", "Write"]});
    let made = console.ask("POST", "/api/apikeys").by(&owner).json(&body).send().is(201).value();
    let token = made["Token"].as_str().expect("a token");
    console.ask("GET", "/api/apikeys").key(token).send().is(200);
    let less = json!({"RoleIds": ["role-user-readonly"]});
    console.ask("PUT", &format!("/api/users/{}", owner.user)).by(&admin).json(&less).send().is(200);
    console.ask("GET", "/api/apikeys").key(token).send().is(403);
    console.ask("GET", "/api/events").key(token).send().is(200);
    console.ask("DELETE", &format!("/api/users/{}", owner.user)).by(&admin).send().is(204);
    console.ask("GET", "/api/events").key(token).send().is(401);
}

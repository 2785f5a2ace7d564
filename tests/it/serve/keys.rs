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

#[test]
fn a_key_is_not_shared_or_taken_by_whoever_may_less() {
    let volume = TestVolume::new();
    let (console, admin) = Console::with_administrator(&volume);
    let owner = console.user(&admin, "owner", "role-project-owner");
    let make = |body| console.ask("POST", "/api/apikeys").by(&admin).json(&body).send().is(201).value();
    let path = |key: &serde_json::Value| format!("/api/apikeys/{}", key["Id"].as_str().expect("an id"));
    let put = |key, body| console.ask("PUT", &path(key)).by(&owner).json(&body).send();
    // Its own, which says more than its owner may: shared it would be all that.
    let own = make(json!({"Title": "own", "OwnerId": owner.user, "AssignedPermissions": ["Read", "Organization"]}));
    put(&own, json!({"OwnerId": null})).is(403);
    put(&own, json!({"OwnerId": null, "AssignedPermissions": ["Organization"]})).is(403);
    console.ask("GET", "/api/users").key(own["Token"].as_str().expect("a token")).send().is(403);
    put(&own, json!({"Title": "mine"})).is(200);
    put(&own, json!({"OwnerId": null, "AssignedPermissions": ["Read"]})).is(200);
    // A shared one that may more is not changed, taken or removed.
    let shared = make(json!({"Title": "shared", "OwnerId": null, "AssignedPermissions": ["System"]}));
    put(&shared, json!({"OwnerId": owner.user})).is(403);
    put(&shared, json!({"AssignedPermissions": ["Read"]})).is(403);
    put(&shared, json!({"Title": "x"})).is(403);
    console.ask("DELETE", &path(&shared)).by(&owner).send().is(403);
    console.ask("GET", "/api/backups").key(shared["Token"].as_str().expect("a token")).send().is(200);
    // Nor does a key with one permission remove its owner's others.
    let writer = make(json!({"Title": "writer", "AssignedPermissions": ["Write"]}));
    let token = writer["Token"].as_str().expect("a token");
    let system = make(json!({"Title": "system", "AssignedPermissions": ["System"]}));
    console.ask("DELETE", &path(&system)).key(token).send().is(403);
    console.ask("DELETE", &path(&system)).by(&admin).send().is(204);
    console.ask("DELETE", &path(&writer)).key(token).send().is(204);
}

//! Who may do what: every route there is, asked by everybody.

use console::{Permission, rules};
use serde_json::json;

use super::client::{Console, PASSWORD, Request};
use crate::support::TestVolume;

/// The path, with something in the place of each name.
fn path_of(path: &str) -> String {
    path.replace("{id}", "nobody-1").replace("{name}", "none.seqbac").replace("{script}", "none.sh")
}

#[test]
fn nobody_gets_past_the_table() {
    let volume = TestVolume::new();
    let (console, admin) = Console::with_administrator(&volume);
    let roles = [
        ("reader", "role-user-readonly", &[Permission::Public, Permission::Read][..]),
        (
            "owner",
            "role-project-owner",
            &[Permission::Public, Permission::Ingest, Permission::Read, Permission::Write, Permission::Project],
        ),
    ];
    let sessions = roles.map(|(name, role, may)| (console.user(&admin, name, role), may));
    let rules = rules();
    let api = rules.iter().filter(|rule| rule.path.starts_with("/api") || rule.path == "/metrics");
    let ask = |method: &str, path: &str| -> Request { console.ask(method, &path_of(path)).json(&json!({})) };
    let mut asked = 0;
    for rule in api {
        let Some(needed) = rule.needs else { continue };
        asked += 1;
        ask(rule.method, rule.path).send().is(401);
        ask(rule.method, rule.path).key("not a key of anybody").send().is(401);
        ask(rule.method, rule.path).header("Cookie", "moorline-session=x").send().is(401);
        // One's own session is needed further on.
        if rule.path == "/api/users/logout" {
            continue;
        }
        for (session, may) in &sessions {
            let answer = ask(rule.method, rule.path).by(session).send();
            if may.contains(&needed) {
                let own = rule.path == "/api/users/{id}";
                assert!(own || !matches!(answer.status, 401 | 403), "{} {}: {answer}", rule.method, rule.path);
            } else {
                assert_eq!(answer.status, 403, "{} {}: {answer}", rule.method, rule.path);
            }
        }
    }
    assert!(asked > 30, "{asked}");
}

#[test]
fn a_user_without_system_sees_no_backup() {
    let volume = TestVolume::new();
    let (console, admin) = Console::with_administrator(&volume);
    let backup = console.back_up(&admin);
    let (id, name) = (backup["Id"].as_str().expect("an id"), backup["Filename"].as_str().expect("a name"));
    let owner = console.user(&admin, "owner", "role-project-owner");
    for path in [
        "/api/backups".to_owned(),
        "/api/backups/".to_owned(),
        format!("/api/backups/{id}"),
        format!("/api/backups/files/{name}"),
        format!("/api/backups/{id}/contents"),
        format!("/api/backups/{id}/diff"),
        "/api/restores".to_owned(),
    ] {
        console.ask("GET", &path).by(&owner).send().is(403);
        console.ask("HEAD", &path).by(&owner).send();
        console.ask("GET", &path).by(&admin).send().is(200);
    }
}

#[test]
fn nobody_makes_more_of_themselves() {
    let volume = TestVolume::new();
    let (console, admin) = Console::with_administrator(&volume);
    let user = console.user(&admin, "second", "role-user-readwrite");
    let own = format!("/api/users/{}", user.user);
    let put = |body| console.ask("PUT", &own).by(&user).json(&body).send();
    put(json!({"RoleIds": ["role-administrator"]})).is(403);
    put(json!({"Username": "admin2"})).is(403);
    put(json!({"DisplayName": "Second"})).is(200);
    console.ask("GET", &format!("/api/users/{}", admin.user)).by(&user).send().is(403);
    console.ask("PUT", &format!("/api/users/{}", admin.user)).by(&user).json(&json!({})).send().is(403);
    let key = json!({"Title": "k", "AssignedPermissions": ["System"]});
    console.ask("POST", "/api/apikeys").by(&user).json(&key).send().is(403);
    let key = json!({"Title": "k", "OwnerId": admin.user, "AssignedPermissions": ["Read"]});
    console.ask("POST", "/api/apikeys").by(&user).json(&key).send().is(403);
}

#[test]
fn a_user_without_a_role_may_go() {
    let volume = TestVolume::new();
    let (console, admin) = Console::with_administrator(&volume);
    let user = json!({"Username": "second", "NewPassword": PASSWORD, "RoleIds": []});
    console.ask("POST", "/api/users").by(&admin).json(&user).send().is(201);
    let second = console.log_in("second", PASSWORD).session();
    console.ask("GET", "/api/events").by(&second).send().is(403);
    console.ask("GET", "/account").by(&second).send().is(200);
    console.ask("POST", "/api/users/logout").by(&second).send().is(204);
    console.ask("GET", "/api/users/current").by(&second).send().is(401);
}

#[test]
fn the_last_administrator_stays() {
    let volume = TestVolume::new();
    let (console, admin) = Console::with_administrator(&volume);
    let own = format!("/api/users/{}", admin.user);
    console.ask("DELETE", &own).by(&admin).send().says(409, "no administrator could log in");
    let demoted = json!({"RoleIds": ["role-user-readonly"]});
    console.ask("PUT", &own).by(&admin).json(&demoted).send().says(409, "no administrator could log in");
    // One without a password could not take over.
    let second = json!({"Username": "second", "RoleIds": ["role-administrator"]});
    let second = console.ask("POST", "/api/users").by(&admin).json(&second).send().is(201).value();
    console.ask("DELETE", &own).by(&admin).send().is(409);
    let path = format!("/api/users/{}", second["Id"].as_str().expect("an id"));
    console.ask("PUT", &path).by(&admin).json(&json!({"NewPassword": PASSWORD})).send().is(200);
    console.ask("DELETE", &own).by(&admin).send().is(204);
    console.ask("GET", "/api/users/current").by(&admin).send().is(401);
    console.log_in("second", PASSWORD).is(200);
}

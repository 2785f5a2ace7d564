//! Restores that are asked for in the console, and made by the next start.

use serde_json::json;

use super::client::{Console, PASSWORD, serve};
use crate::support::TestVolume;

#[test]
fn a_restore_that_was_asked_for_is_made_at_the_next_start_and_taken_back_by_another() {
    let volume = TestVolume::new();
    let (console, admin) = Console::with_administrator(&volume);
    console.user(&admin, "before", "role-user-readonly");
    let backup = console.back_up(&admin);
    console.user(&admin, "after", "role-user-readonly");
    let id = backup["Id"].as_str().expect("an id");
    let restore = |body| console.ask("POST", &format!("/api/backups/{id}/restore")).by(&admin).json(&body).send();
    let first = restore(json!({})).is(202).value();
    assert!(first["Message"].as_str().expect("says so").contains("restart"), "{first}");
    restore(json!({})).says(409, "another request is waiting");
    // Taken back, and asked for again.
    let script = first["Links"]["Self"].as_str().expect("a link");
    console.ask("DELETE", "/api/restores/requested/instance.json").by(&admin).send().is(404);
    console.ask("DELETE", &format!("/{script}")).by(&admin).send().is(204);
    assert!(volume.scripts().is_empty());
    let asked = restore(json!({"EnableApps": true})).is(202).value();
    let name = asked["Script"].as_str().expect("a script").to_owned();
    assert_eq!(volume.scripts(), std::slice::from_ref(&name));
    assert_eq!(console.stop().code, 0);

    let init = volume.moorline(["init"]).wait();
    assert_eq!(init.code, 0, "{init}");
    assert_eq!(volume.scripts(), [format!("{name}.done")]);
    let console = Console::of(serve(&volume));
    // Sessions are no part of a backup.
    console.ask("GET", "/api/users").by(&admin).send().is(401);
    let admin = console.log_in("admin", PASSWORD).session();
    console.log_in("before", PASSWORD).is(200);
    console.log_in("after", PASSWORD).is(401);
    let restores = console.ask("GET", "/api/restores").by(&admin).send().is(200).value();
    let made = &restores[0];
    assert_eq!((&made["State"], &made["CanRollBack"]), (&json!("Done"), &json!(true)), "{restores}");
    let path = format!("/api/restores/{}/rollback", made["Id"].as_str().expect("an id"));
    console.ask("POST", &path).by(&admin).json(&json!({})).send().is(202);
    assert_eq!(console.stop().code, 0);

    let init = volume.moorline(["init"]).wait();
    assert_eq!(init.code, 0, "{init}");
    let console = Console::of(serve(&volume));
    console.log_in("after", PASSWORD).is(200);
}

#[test]
fn a_diff_says_what_would_change_and_nothing_does() {
    let volume = TestVolume::in_use();
    let (console, admin) = Console::with_administrator(&volume);
    let backup = console.back_up(&admin);
    volume.write("app.conf", "changed");
    let path = format!("/api/backups/{}/diff", backup["Id"].as_str().expect("an id"));
    let diff = console.ask("GET", &path).by(&admin).send();
    // What the apps of this server are is unknown: without a word about them it is refused, as the restore would be.
    diff.is(409);
    let diff = console.ask("GET", &format!("{path}?enableApps=true")).by(&admin).send().is(200).value();
    assert_eq!(diff["files"]["change"], json!(["app.conf"]), "{diff}");
    assert_eq!(volume.read("app.conf"), "changed");
}

#[test]
fn a_place_for_backups_that_is_released_gets_one_at_once() {
    let volume = TestVolume::new();
    let (mut console, admin) = Console::with_administrator(&volume);
    let folder = volume.beside("elsewhere");
    std::fs::create_dir(&folder).expect("made");
    let has_one = |folder: &std::path::Path| {
        let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.into_iter().any(|name| !name.to_string_lossy().starts_with('.'))
    };
    console.running.until("a scheduled backup on the volume", || has_one(&volume.path("Backups")));
    let body = json!({"Value": folder});
    console.ask("PUT", "/api/settings/setting-backuplocation").by(&admin).json(&body).send().is(200);
    console.running.until("a scheduled backup elsewhere", || has_one(&folder));
    assert_eq!(console.stop().code, 0);
    let disabled = volume.moorline(["apps", "disable", "--all"]).wait();
    assert_eq!(disabled.code, 0, "{disabled}");
    std::fs::remove_dir_all(&folder).and_then(|()| std::fs::create_dir(&folder)).expect("emptied");

    let mut console = Console::of(serve(&volume));
    let admin = console.log_in("admin", PASSWORD).session();
    let release = json!({"All": true});
    console.ask("POST", "/api/quarantine/release").by(&admin).json(&release).send().is(200);
    console.running.until("a scheduled backup where backups go again", || has_one(&folder));
    assert_eq!(console.stop().code, 0);
}

//! Backups over HTTP: listed, downloaded, uploaded.

use std::fs;

use serde_json::json;

use super::client::{Console, Session};
use crate::support::{KEY, MOORLINE, TestVolume};

#[test]
fn a_download_is_the_file_and_so_are_its_parts() {
    let volume = TestVolume::in_use();
    let (console, admin) = Console::with_administrator(&volume);
    let backup = console.back_up(&admin);
    let name = backup["Filename"].as_str().expect("a name");
    let file = fs::read(volume.path("Backups").join(name)).expect("is there");
    assert_eq!(backup["FileSizeBytes"], json!(file.len()));
    let path = format!("/api/backups/files/{name}");
    let whole = console.ask("GET", &path).by(&admin).send().is(200);
    assert!(whole.body == file, "the download is not the file");
    let tag = whole.header("etag").expect("a tag").to_owned();
    let part = |range: &str| console.ask("GET", &path).by(&admin).header("Range", range).send();
    let middle = part("bytes=10-19").is(206);
    assert_eq!(middle.body, file[10..20]);
    assert_eq!(middle.header("content-range"), Some(format!("bytes 10-19/{}", file.len()).as_str()));
    assert_eq!(part("bytes=-5").is(206).body, file[file.len() - 5..]);
    assert!(part("bytes=100-").is(206).body == file[100..], "to its end");
    part(&format!("bytes={}-", file.len())).is(416);
    let known = console.ask("GET", &path).by(&admin).header("If-None-Match", &tag).send();
    assert_eq!((known.status, known.body.len()), (304, 0));
    let changed = console.ask("GET", &path).by(&admin).header("Range", "bytes=0-1").header("If-Range", "\"x\"").send();
    assert!(changed.is(200).body == file, "another file is sent whole");
    for name in ["../secret.key", "..%2F.moorline%2Fsecret.key", "%2Fetc%2Fpasswd", "instance.json", ".", "x%00y"] {
        let answer = console.ask("GET", &format!("/api/backups/files/{name}")).by(&admin).send();
        assert!(matches!(answer.status, 400 | 404), "{name}: {answer}");
    }
}

#[test]
fn an_immediate_backup_is_not_kept_unless_it_is_to_be() {
    let volume = TestVolume::in_use();
    let (console, admin) = Console::with_administrator(&volume);
    let kept = console.back_up(&admin);
    let immediate = || {
        let names = crate::fixture::names(&volume.path("Backups"));
        names.into_iter().filter(|name| name.starts_with("immediate-")).count()
    };
    assert_eq!(immediate(), 1);
    let download = loop {
        let download = console.ask("POST", "/api/backups/immediate").by(&admin).json(&json!({})).send();
        if download.status != 503 {
            break download.is(200);
        }
    };
    assert_eq!(immediate(), 1);
    let path = volume.beside("downloaded.seqbac");
    fs::write(&path, &download.body).expect("writes");
    let verify = volume.moorline(["verify", path.to_str().expect("text")]).not_pid_1().wait();
    assert_eq!(verify.code, 0, "{verify}");
    let listed = console.ask("GET", "/api/backups/").by(&admin).send().is(200).value();
    let ids: Vec<_> = listed.as_array().expect("a list").iter().map(|one| &one["Id"]).collect();
    assert!(ids.contains(&&kept["Id"]), "{listed}");
    let contents = console.ask("GET", &format!("/api/backups/{}/contents", kept["Id"].as_str().expect("an id")));
    let contents = contents.by(&admin).send().is(200).value();
    assert!(contents["members"].to_string().contains("app.conf"), "{contents}");
}

#[test]
fn what_is_no_whole_backup_is_not_taken_in() {
    let volume = TestVolume::in_use();
    let (console, admin) = Console::with_administrator(&volume);
    let backup = console.back_up(&admin);
    let file = volume.path("Backups").join(backup["Filename"].as_str().expect("a name"));
    let whole = fs::read(&file).expect("is there");
    upload(&console, &admin, &whole).says(409, "already");
    fs::remove_file(&file).expect("removes");
    let before = crate::fixture::names(&volume.path("Backups"));
    upload(&console, &admin, b"").is(422);
    upload(&console, &admin, b"no backup at all").is(422);
    upload(&console, &admin, &whole[..whole.len() - 1]).is(422);
    upload(&console, &admin, &whole[..whole.len() / 2]).is(422);
    let mut rotten = whole.clone();
    rotten[whole.len() / 2] ^= 1;
    upload(&console, &admin, &rotten).is(422);
    upload(&console, &admin, &[whole.as_slice(), b"more"].concat()).is(422);
    assert_eq!(crate::fixture::names(&volume.path("Backups")), before, "nothing is left");
    let taken = upload(&console, &admin, &whole).is(201).value();
    assert_eq!((&taken["Id"], &taken["IsOwnKey"]), (&backup["Id"], &json!(true)));
    let again = volume.path("Backups").join(taken["Filename"].as_str().expect("a name"));
    assert!(fs::read(again).expect("is there") == whole, "as it was brought");
    // So that it is never taken for the backup of a clone.
    let record = volume.read(".moorline/backups.json");
    let record: serde_json::Value = serde_json::from_str(&record).expect("is JSON");
    let ours = record.as_object().expect("an object").values().next().expect("a record");
    let id = backup["Id"].as_str().expect("an id").trim_start_matches("backup-");
    assert_eq!(ours["backups"][id]["uploaded"], json!(true), "{record:#}");
}

#[test]
fn a_form_of_the_console_brings_a_backup() {
    let volume = TestVolume::in_use();
    let (console, admin) = Console::with_administrator(&volume);
    let backup = console.back_up(&admin);
    let file = volume.path("Backups").join(backup["Filename"].as_str().expect("a name"));
    let whole = fs::read(&file).expect("is there");
    fs::remove_file(&file).expect("removes");
    let form = |site: &str| {
        let mut body = b"--b\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nx\r\n".to_vec();
        body.extend(b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"../../x.seqbac\"\r\n\r\n");
        body.extend(&whole);
        body.extend(b"\r\n--b--\r\n");
        let post = console.ask("POST", "/api/backups").header("Cookie", &admin.cookie).header("Sec-Fetch-Site", site);
        post.header("Content-Type", "multipart/form-data; boundary=b").body(body).send()
    };
    form("cross-site").says(403, "this form was sent from another address");
    let other =
        console.ask("POST", "/api/backups").header("Cookie", &admin.cookie).header("Sec-Fetch-Site", "cross-site");
    let other = other.header("Content-Type", "application/octet-stream").body(whole.clone());
    other.send().says(403, "this form was sent from another address");
    assert!(!file.exists(), "nothing was written");
    let taken = form("same-origin").is(201).value();
    assert!(taken["Filename"].as_str().expect("a name").starts_with("immediate-"), "{taken}");
}

#[test]
fn a_form_of_another_site_is_refused_before_it_has_arrived() {
    let volume = TestVolume::new();
    let (console, admin) = Console::with_administrator(&volume);
    let part = "--b\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\n";
    let post =
        console.ask("POST", "/api/backups").header("Cookie", &admin.cookie).header("Origin", "http://evil.example");
    let post = post.header("Content-Type", "multipart/form-data; boundary=b");
    post.body(format!("{part}{}", "x".repeat(64 << 10))).cut_off().says(403, "this form was sent from another address");
}

#[test]
fn a_backup_of_another_key_is_kept_as_such() {
    let other = TestVolume::in_use();
    let made = other.moorline(["backup"]).not_pid_1().env("MOORLINE_SECRETKEY", KEY).wait();
    assert_eq!(made.code, 0, "{made}");
    let foreign = fs::read(made.out.trim()).expect("is there");
    let volume = TestVolume::in_use();
    let (console, admin) = Console::with_administrator(&volume);
    let taken = upload(&console, &admin, &foreign).is(201).value();
    assert_eq!((&taken["IsOwnKey"], &taken["IsOwnInstance"]), (&json!(false), &json!(false)), "{taken}");
    assert_eq!(taken["IsSound"], json!(null));
    let restore = format!("/api/backups/{}/restore", taken["Id"].as_str().expect("an id"));
    let ask = |body| console.ask("POST", &restore).by(&admin).json(&body).send();
    ask(json!({})).says(409, "another secret key");
    ask(json!({"SecretKey": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="})).says(409, "does not open");
    ask(json!({"SecretKey": "nonsense"})).is(400);
    let (mut cut, _) = (foreign, MOORLINE);
    cut.truncate(cut.len() - 30);
    upload(&console, &admin, &cut).is(422);
}

fn upload(console: &Console, by: &Session, bytes: &[u8]) -> super::client::Response {
    let post = console.ask("POST", "/api/backups").by(by).header("Content-Type", "application/octet-stream");
    post.body(bytes).send()
}

#[test]
fn a_doubtful_backup_is_shown_with_its_reason_everywhere() {
    let volume = TestVolume::in_use();
    for (name, text) in [("pg/PG_VERSION", "15\n"), ("pg/global/pg_control", "x"), ("pg/base/1/PG_VERSION", "15\n")] {
        volume.write(name, text);
    }
    // PostgreSQL runs in another container; the console holds the volume's lock.
    volume.write("pg/postmaster.pid", "4194303\n/data/pg\n");
    let (console, admin) = Console::with_administrator(&volume);
    let backup = console.back_up(&admin);
    const REASON: &str = "pg is a PostgreSQL cluster in use";
    assert_eq!((&backup["Soundness"], &backup["IsSound"]), (&json!("doubtful"), &json!(false)), "{backup}");
    assert!(backup["Reasons"][0].as_str().is_some_and(|reason| reason.starts_with(REASON)), "{backup}");
    let get = |path: &str| console.ask("GET", path).by(&admin).send();
    let page = get(&format!("/backups/{}", backup["Id"].as_str().expect("an id"))).is(200).text();
    assert!(page.contains("! doubtful") && page.contains(REASON), "{page}");
    assert!(get("/backups").is(200).text().contains("! doubtful"));
    let health = get("/health");
    assert_eq!(health.status, 503, "{health}");
    let health = health.value();
    assert_eq!(health["Soundness"], "doubtful");
    assert!(health["Reasons"].to_string().contains(&format!("the newest backup is doubtful: {REASON}")), "{health}");
    let metrics = get("/metrics").is(200).text();
    assert!(metrics.contains("moorline_backup_newest_soundness{soundness=\"doubtful\"} 1"), "{metrics}");
    let events = get("/api/events").is(200).text();
    assert!(events.contains("BackupUnverified") && events.contains(REASON), "{events}");
    let file = volume.path("Backups").join(backup["Filename"].as_str().expect("a name"));
    fs::write(&file, &fs::read(&file).expect("read")[..500]).expect("cut");
    let page = get("/backups").is(200).text();
    assert!(page.contains("✕ damaged") && page.contains("cut short"), "{page}");
}

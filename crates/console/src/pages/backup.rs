//! `/backups/{id}`: the header and the contents of one backup; its comparison with the current state; the form that requests
//! its restore.

use axum::{extract::Path, response::Response};
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

use super::{
    backups::{download, is_scheduled, soundness},
    comparisons,
    flash::Flash,
    form::{self, Field, Fields, Filled},
    layout::{self, Section},
    table::{Row, list},
    visit::{Visit, refuse, sentences},
    words,
};
use crate::{
    backups::{Backup, contents, find},
    failure::HttpResult,
    restores::{self, RestoreInput},
};

const HERE: Section = Section::Backups;
const ASK: &str = "Restore this backup";
/// Limit on the listed files.
const MOST: usize = 200;

pub(super) async fn show(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    let found = find(&visit.site, &id).await?;
    let inside = match found.backup.is_own_key {
        true => contents(&visit.site, &found).await.map_err(|failure| sentences(&failure)),
        false => {
            Err("This backup is encrypted with another secret key, so only its header can be read here.".to_owned())
        }
    };
    let backup = found.backup;
    let title = format!("Backup of {}", words::utc(backup.created_at));
    let body = html! {
        div {
            (layout::back_to(HERE))
            (layout::head(&title, "", &html! {
                a.button.primary href={ "/backups/" (backup.id) "/restore" } { "Restore…" }
                @if backup.is_own_key { a.button href={ "/backups/" (backup.id) "/differences" } { "Compare with now" } }
                a.button href=(download(&backup)) { "Download" }
            }))
        }
        (facts(&backup, visit.now))
        @match &inside {
            Ok(found) => (show_contents(found)),
            Err(why) => section.card { h2 { "Contents" } p { (why) } },
        }
    };
    visit.page(HERE, &title, body).await
}

fn facts(backup: &Backup, now: Timestamp) -> Markup {
    html! {
        section.card aria-label="Properties" {
            dl.facts {
                dt { "File" } dd { code { (backup.filename) } }
                dt { "Created" } dd { (words::time(backup.created_at)) ", " (words::age(backup.created_at, now)) }
                dt { "Kind" } dd { (if is_scheduled(backup) { "scheduled" } else { "immediate" }) }
                dt { "Size" } dd { (words::size(backup.file_size_bytes)) }
                dt { "Soundness" } dd {
                    (soundness(backup))
                    @for reason in &backup.reasons { small { (reason) } }
                }
                dt { "Instance" } dd { (if backup.is_own_instance { "this one" } else { "another" }) }
                @if let Some(profile) = &backup.profile { dt { "Profile" } dd { (profile) } }
                dt { "Encrypted with" } dd {
                    (if backup.is_own_key { "the secret key of this instance, " } else { "another secret key, " })
                    (words::fingerprint(&backup.key_fingerprint))
                }
                @if backup.is_quarantined == Some(true) { dt { "Apps" } dd { "off, because the backup was taken in quarantine" } }
            }
        }
    }
}

/// Shows the output of `inspect --json`.
fn show_contents(found: &Value) -> Markup {
    let manifest = &found["manifest"];
    let databases: Vec<(String, &Value)> =
        words::array(&manifest["databases"]).map(|database| (words::text(&database["path"]), database)).collect();
    let files: Vec<(String, u64)> = words::array(&found["members"])
        .filter_map(|member| {
            Some((words::text(&member["path"]).strip_prefix("state/")?.to_owned(), bytes(&member["size"])))
        })
        .filter(|(path, _)| databases.iter().all(|(database, _)| database != path))
        .collect();
    let notes: Vec<&Value> = words::array(&manifest["notes"]).collect();
    let database_rows: Vec<Row> = databases.iter().map(|(path, database)| database_row(path, database)).collect();
    let file_row =
        |(path, size): &(String, u64)| Row::new(html! { code { (path) } }).cell("Size", html! { (words::size(*size)) });
    let file_rows: Vec<Row> = files.iter().take(MOST).map(file_row).collect();
    html! {
        (list("Databases", &["Database", "Size", "Check"], &database_rows, html! { p { "None." } }))
        (list(&format!("Files ({})", files.len()), &["File", "Size"], &file_rows, html! { p { "None." } }))
        @if files.len() > MOST { p.soft { "Only the first " (MOST) " are shown; " code { "moorline inspect" } " lists all files." } }
        @if !notes.is_empty() {
            section.card { h2 { "Notes" } ul { @for note in notes {
                li { (words::text(&note["path"])) ": " (words::text(&note["what"])) }
            } } }
        }
    }
}

fn database_row(path: &str, database: &Value) -> Row {
    let findings = words::array(&database["findings"]).count() as u64;
    Row::new(html! { code { (path) } })
        .cell("Size", html! { (words::size(bytes(&database["bytes"]))) })
        .cell("Check", html! { @if findings == 0 { "sound" } @else { (words::count(findings, "fault")) } })
}

fn bytes(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

pub(super) async fn differences(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    let found = find(&visit.site, &id).await?;
    let backup = found.backup.clone();
    let comparison = visit.site.comparisons.of(&visit.site, found).await;
    visit.page(HERE, "Compared with now", comparisons::page(&backup, &comparison)).await
}

pub(super) async fn ask(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    let backup = find(&visit.site, &id).await?.backup;
    let body = restore(&backup, visit.site.is_server, &Filled::default());
    visit.page(HERE, ASK, body).await
}

pub(super) async fn request(visit: Visit, Path(id): Path<String>, fields: Fields) -> HttpResult<Response> {
    let found = find(&visit.site, &id).await?;
    let input =
        RestoreInput { enable_apps: fields.text("Apps") == "as-they-were", secret_key: fields.optional("SecretKey") };
    match restores::request(&visit.site, &visit.who, &found, input).await {
        Ok(requested) => Ok(Flash::done(words::sentence(&requested.message)).redirect("/restores")),
        Err(failure) => {
            let mut filled = fields.all();
            refuse(&mut filled, failure, str::to_owned)?;
            visit.again(HERE, ASK, restore(&found.backup, visit.site.is_server, &filled)).await
        }
    }
}

fn restore(backup: &Backup, is_server: bool, filled: &Filled) -> Markup {
    let apps = filled.value("Apps");
    html! {
        div {
            p.crumb { a href={ "/backups/" (backup.id) } { "← Backup of " (words::utc(backup.created_at)) } }
            (layout::head(ASK, "", &html! {}))
        }
        form.card.stack method="post" action={ "/backups/" (backup.id) "/restore" } {
            (form::trouble(filled))
            p {
                "The state of " strong { (words::utc(backup.created_at)) } " replaces the current state. If the restore fails, nothing changes. "
                "The replaced state is kept, and you can bring it back under " a href="/restores" { "Restores" } "."
            }
            p { (when(is_server)) }
            fieldset {
                legend { "Purpose of the restore" }
                label.choice {
                    input type="radio" name="Apps" value="off" checked[apps != "as-they-were"];
                    span { strong { "A copy: apps off" } span.hint {
                        "For a test, a look at earlier data, or a second server. It gets a new identity, so that earlier backups no longer count as its own. Its apps stay off until you release them under " (Section::Apps.title()) "."
                    } }
                }
                label.choice {
                    input type="radio" name="Apps" value="as-they-were" checked[apps == "as-they-were"];
                    span { strong { "A replacement: apps as they are in the backup" } span.hint {
                        "For a server that takes the place of the original. Alerts, webhooks and jobs are on as soon as it starts. Make sure that the original no longer runs."
                    } }
                }
            }
            @if !backup.is_own_key {
                (Field::password("SecretKey", "Secret key of the backup", "off")
                    .hint("This backup is encrypted with another key than this instance’s. The key is used for this restore only: the restored secrets and later backups are encrypted with the key of this instance.")
                    .required().show(filled))
                p.small { "Its fingerprint is " (words::fingerprint(&backup.key_fingerprint)) "." }
            }
            div.actions {
                button.danger type="submit" { "Restore at the next restart" }
                a.button href={ "/backups/" (backup.id) } { "Cancel" }
            }
        }
    }
}

/// Explains when a requested restore or rollback happens.
pub(super) fn when(is_server: bool) -> &'static str {
    if is_server {
        "Nothing changes now. The console writes an init script, which runs when you restart the container, before the console starts again."
    } else {
        "Nothing changes now. The console writes an init script, which runs when you restart the container of the server, before the server starts."
    }
}

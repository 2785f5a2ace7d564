//! `/backups/{id}`: shows one backup, compares it with the current state, and requests its restore.

use std::sync::Arc;

use axum::{Extension, extract::Path, response::Response};
use serde_json::Value;

use super::{
    backups::shown,
    comparisons::Comparisons,
    fields::Fields,
    flash::Flash,
    form::Filled,
    layout::Section,
    view::{
        self,
        backup::{Contents, Database},
    },
    visit::{Visit, refuse, sentences},
    words,
};
use crate::{
    backups::{contents, find},
    failure::HttpResult,
    restores::{self, RestoreInput},
};

const HERE: Section = Section::Backups;
const ASK: &str = "Restore this backup";

pub(super) async fn show(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    let found = find(&visit.site, &id).await?;
    let inside = match found.backup.is_own_key {
        true => contents(&visit.site, &found).await.map(|found| inside(&found)).map_err(|failure| sentences(&failure)),
        false => {
            Err("This backup is encrypted with another secret key, so only its header can be read here.".to_owned())
        }
    };
    let backup = shown(found.backup);
    let title = format!("Backup of {}", words::utc(backup.created));
    let body = view::backup::page(&backup, inside.as_ref().map_err(String::as_str), visit.now);
    visit.page(HERE, &title, body).await
}

/// Converts the output of `inspect --json`.
fn inside(found: &Value) -> Contents {
    let manifest = &found["manifest"];
    let databases: Vec<Database> = list(&manifest["databases"])
        .map(|database| Database {
            path: text(&database["path"]),
            bytes: database["bytes"].as_u64().unwrap_or_default(),
            findings: list(&database["findings"]).count() as u64,
        })
        .collect();
    let files = list(&found["members"]).filter_map(|member| {
        let path = text(&member["path"]).strip_prefix("state/")?.to_owned();
        let is_database = databases.iter().any(|database| database.path == path);
        (!is_database).then(|| (path, member["size"].as_u64().unwrap_or_default()))
    });
    let files = files.collect();
    let notes = list(&manifest["notes"]).map(|note| format!("{}: {}", text(&note["path"]), text(&note["what"])));
    Contents { files, notes: notes.collect(), databases }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A path that is not UTF-8 is a JSON object and is shown as JSON.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) async fn differences(
    visit: Visit,
    Path(id): Path<String>,
    Extension(comparisons): Extension<Arc<Comparisons>>,
) -> HttpResult<Response> {
    let found = find(&visit.site, &id).await?;
    let (id, created) = (found.backup.id.clone(), found.backup.created_at);
    let comparison = comparisons.of(&visit.site, found).await;
    let body = view::differences::page(&id, created, &comparison);
    visit.page(HERE, "Compared with now", body).await
}

pub(super) async fn ask(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    let backup = shown(find(&visit.site, &id).await?.backup);
    let body = view::backup::restore(&backup, visit.csrf(), visit.site.is_server, &Filled::default());
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
            // The form has a field for the key only if the backup needs another key.
            let fields: &[_] = if found.backup.is_own_key { &[] } else { &[("key", "SecretKey")] };
            refuse(&mut filled, failure, fields)?;
            let backup = shown(found.backup);
            let body = view::backup::restore(&backup, visit.csrf(), visit.site.is_server, &filled);
            visit.again(HERE, ASK, body).await
        }
    }
}

//! `/signals`: lists, creates, changes and removes signals.

use axum::{extract::Path, response::Response};
use maud::Markup;

use super::{
    fields::Fields,
    flash::Flash,
    form::Filled,
    layout::Section,
    view::{self, signals::Signal},
    visit::{Visit, refuse},
};
use crate::{
    Site,
    api::{create_signal, remove_signal, update_signal},
    entities::signals::{self, SignalFilter, SignalInput},
    failure::HttpResult,
    permission::Permission,
};

const HERE: Section = Section::Signals;
const FIELDS: &[(&str, &str)] = &[("Title", "Title"), ("Description", "Description"), ("ilter", "Filter")];

pub(super) async fn all(site: &Site) -> HttpResult<Vec<signals::Signal>> {
    Ok(site.console.database.call(|connection| signals::list(connection)).await?)
}

async fn find(visit: &Visit, id: &str) -> HttpResult<signals::Signal> {
    let id = id.to_owned();
    Ok(visit.site.console.database.call(move |connection| signals::find(connection, &id)).await?)
}

fn filters(signal: &signals::Signal) -> Vec<String> {
    signal.filters.iter().filter_map(|filter| filter.filter.clone()).filter(|text| !text.trim().is_empty()).collect()
}

pub(super) async fn list(visit: Visit) -> HttpResult<Response> {
    let found = all(&visit.site).await?.into_iter();
    let shown = found.map(|signal| Signal {
        filters: filters(&signal),
        id: signal.id,
        title: signal.title,
        description: signal.description.unwrap_or_default(),
    });
    let shown: Vec<Signal> = shown.collect();
    let body = view::signals::page(&shown, visit.who.permissions.has(Permission::Write));
    visit.page(HERE, HERE.title(), body).await
}

fn form(visit: &Visit, id: Option<&str>, filled: &Filled) -> Markup {
    view::signals::edit(id, visit.csrf(), filled)
}

pub(super) async fn new(visit: Visit) -> HttpResult<Response> {
    let body = form(&visit, None, &Filled::default());
    visit.page(HERE, "New signal", body).await
}

pub(super) async fn edit(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    let signal = find(&visit, &id).await?;
    let filled = Filled::with([
        ("Title", signal.title.clone()),
        ("Description", signal.description.clone().unwrap_or_default()),
        ("Filter", filters(&signal).join("\n")),
    ]);
    let body = form(&visit, Some(&id), &filled);
    visit.page(HERE, &signal.title, body).await
}

fn input(fields: &Fields) -> SignalInput {
    let lines = fields.text("Filter").lines().map(str::trim).filter(|line| !line.is_empty());
    let filters = lines.map(|line| SignalFilter { filter: Some(line.to_owned()), ..SignalFilter::default() });
    SignalInput {
        title: Some(fields.text("Title").to_owned()),
        description: Some(fields.text("Description").to_owned()),
        filters: Some(filters.collect()),
        ..SignalInput::default()
    }
}

pub(super) async fn create(visit: Visit, fields: Fields) -> HttpResult<Response> {
    match create_signal(&visit.site, &visit.who, input(&fields)).await {
        Ok(signal) => Ok(Flash::done(format!("Signal “{}” was created.", signal.title)).redirect(HERE.path())),
        Err(failure) => {
            let mut filled = fields.all();
            refuse(&mut filled, failure, FIELDS)?;
            let body = form(&visit, None, &filled);
            visit.again(HERE, "New signal", body).await
        }
    }
}

pub(super) async fn update(visit: Visit, Path(id): Path<String>, fields: Fields) -> HttpResult<Response> {
    match update_signal(&visit.site, &visit.who, id.clone(), input(&fields)).await {
        Ok(signal) => Ok(Flash::done(format!("Signal “{}” was changed.", signal.title)).redirect(HERE.path())),
        Err(failure) => {
            let mut filled = fields.all();
            refuse(&mut filled, failure, FIELDS)?;
            let body = form(&visit, Some(&id), &filled);
            visit.again(HERE, "Signal", body).await
        }
    }
}

pub(super) async fn ask_to_remove(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    let signal = find(&visit, &id).await?;
    let action = format!("/signals/{}/remove", signal.id);
    let body = view::remove::page(HERE, "the signal", &signal.title, "", &action, visit.csrf());
    visit.page(HERE, "Remove the signal", body).await
}

pub(super) async fn remove(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    match remove_signal(&visit.site, &visit.who, id).await {
        Ok(()) => Ok(Flash::done("The signal was removed.").redirect(HERE.path())),
        Err(failure) => Ok(visit.failed(&failure, HERE.path())),
    }
}

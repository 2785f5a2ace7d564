//! One request for a page: its principal, and the frame of the page that answers it.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{Method, StatusCode, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use maud::Markup;

use super::{
    flash::{self, Flash},
    form::Filled,
    layout::{Frame, Section, html_of},
    notices,
};
use crate::{Failure, Site, auth::Principal, entities::settings, failure::HttpResult, permission::Permission};

/// The title of an instance without `InstanceTitle`.
pub(super) const NAMELESS: &str = "moorline";

pub(super) struct Visit {
    pub site: Arc<Site>,
    pub who: Principal,
    pub now: Timestamp,
    pub path: String,
    flash: Option<Flash>,
    /// Only the answer to a GET shows running jobs, because `live.js` reloads the page and would submit a form again.
    is_get: bool,
}

impl FromRequestParts<Arc<Site>> for Visit {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Self::Rejection> {
        let who = Principal::from_request_parts(parts, site).await?;
        Ok(Self {
            site: Arc::clone(site),
            who,
            now: Timestamp::now(),
            path: parts.uri.path().to_owned(),
            flash: Flash::of(&parts.headers),
            is_get: parts.method == Method::GET,
        })
    }
}

impl Visit {
    pub(super) fn last_segment(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The sections that the principal may see, in the order of the menu.
    pub(super) fn sections(&self) -> Vec<Section> {
        Section::ALL.into_iter().filter(|section| self.who.permissions.has(section.needs())).collect()
    }

    pub(super) async fn page(&self, section: Section, title: &str, body: Markup) -> HttpResult<Response> {
        self.page_of(Some(section), title, &body).await
    }

    /// A page that may belong to no section.
    pub(super) async fn page_of(&self, section: Option<Section>, title: &str, body: &Markup) -> HttpResult<Response> {
        let frame = self.frame().await?;
        Ok((self.forget(), html_of(frame.page(section, title, body))).into_response())
    }

    /// The same form again with its errors, as a response with status 422.
    pub(super) async fn again(&self, section: Section, title: &str, body: Markup) -> HttpResult<Response> {
        let page = self.page(section, title, body).await?;
        Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
    }

    /// Redirects to a page that shows the result.
    pub(super) fn done<T>(&self, result: HttpResult<T>, path: &str, words: impl FnOnce(T) -> String) -> Response {
        match result {
            Ok(done) => Flash::done(words(done)).redirect(path),
            Err(failure) => self.failed(&failure, path),
        }
    }

    /// Redirects to a page that shows the failure.
    pub(super) fn failed(&self, failure: &Failure, path: &str) -> Response {
        Flash::failed(sentences(failure)).redirect(path)
    }

    /// Removes the flash cookie, so that the message is shown once.
    fn forget(&self) -> axum::http::HeaderMap {
        if self.flash.is_some() { flash::forget() } else { axum::http::HeaderMap::new() }
    }

    async fn frame(&self) -> HttpResult<Frame> {
        let is_system = self.who.permissions.has(Permission::System);
        Ok(Frame {
            instance: instance(&self.site).await?,
            user: self.who.user.as_ref().map(|user| user.username.clone()),
            sections: self.sections(),
            notices: if is_system { notices::of(&self.site, &self.who).await? } else { Vec::new() },
            flash: self.flash.clone(),
            running: if is_system && self.is_get { self.site.console.jobs.running() } else { Vec::new() },
        })
    }
}

pub(super) async fn instance(site: &Site) -> HttpResult<String> {
    let title = site.console.database.call(|connection| settings::read(connection, "InstanceTitle")).await?;
    Ok(title.as_ref().and_then(serde_json::Value::as_str).unwrap_or(NAMELESS).to_owned())
}

pub(super) fn sentences(failure: &Failure) -> String {
    let problem = &failure.problem;
    let hint = problem.hint.as_deref().map(super::words::sentence).unwrap_or_default();
    format!("{} {hint}", super::words::sentence(&problem.error)).trim_end().to_owned()
}

/// Shows a failure beside the control of the field that it is about, else above the form. A failure that the input did not
/// cause is returned.
pub(super) fn refuse(
    filled: &mut Filled,
    failure: Failure,
    control: impl FnOnce(&'static str) -> String,
) -> HttpResult<()> {
    if !matches!(failure.status.as_u16(), 400 | 403 | 409 | 422) {
        return Err(failure);
    }
    filled.refuse(&failure.field.map(control).unwrap_or_default(), sentences(&failure));
    Ok(())
}

/// `/`: redirects to the first page that the principal may see, or to `/first-run` if the console still needs a password.
pub(super) async fn home(visit: Visit) -> HttpResult<Redirect> {
    let no_users = visit
        .site
        .console
        .database
        .call(|connection| crate::entities::users::are_there(connection).map(|are_there| !are_there));
    if visit.who.is_open && !visit.site.open_to_all && no_users.await? {
        return Ok(Redirect::to("/first-run"));
    }
    Ok(Redirect::to(visit.sections().first().map_or("/account", |section| section.path())))
}

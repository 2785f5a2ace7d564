//! One request for a page: who it is from, and what every page of theirs has around it.

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
    notices, running,
};
use crate::{Failure, Site, auth::Who, entities::settings, failure::Answer, permission::Permission};

/// What it is called where nobody has said.
pub(super) const NAMELESS: &str = "moorline";

/// One request.
pub(super) struct Visit {
    /// The console.
    pub site: Arc<Site>,
    /// Who it is from.
    pub who: Who,
    /// Now.
    pub now: Timestamp,
    flash: Option<Flash>,
    /// Whether it may be loaded again by itself: a form would be sent again.
    is_get: bool,
}

impl FromRequestParts<Arc<Site>> for Visit {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Self::Rejection> {
        let who = Who::from_request_parts(parts, site).await?;
        Ok(Self {
            site: Arc::clone(site),
            who,
            now: Timestamp::now(),
            flash: Flash::of(&parts.headers),
            is_get: parts.method == Method::GET,
        })
    }
}

impl Visit {
    /// The token of their forms.
    pub fn csrf(&self) -> &str {
        self.who.csrf.as_deref().unwrap_or_default()
    }

    /// What they may see, in the menu's order.
    pub fn sections(&self) -> Vec<Section> {
        Section::ALL.into_iter().filter(|section| self.who.permissions.has(needed(*section))).collect()
    }

    /// A page, whole.
    pub async fn page(&self, section: Section, title: &str, body: Markup) -> Answer<Response> {
        self.page_of(Some(section), title, &body).await
    }

    /// A page that stands in no menu, too.
    pub async fn page_of(&self, section: Option<Section>, title: &str, body: &Markup) -> Answer<Response> {
        let frame = self.frame().await?;
        Ok((self.forget(), html_of(frame.page(section, title, body))).into_response())
    }

    /// The same form again, with what is wrong.
    pub async fn again(&self, section: Section, title: &str, body: Markup) -> Answer<Response> {
        let page = self.page(section, title, body).await?;
        Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
    }

    /// What a failure says, on the page that it leads back to.
    pub fn failed(&self, failure: &Failure, path: &str) -> Response {
        Flash::failed(said(failure)).on_to(path)
    }

    /// The flash is shown once.
    fn forget(&self) -> axum::http::HeaderMap {
        if self.flash.is_some() { flash::forget() } else { axum::http::HeaderMap::new() }
    }

    async fn frame(&self) -> Answer<Frame> {
        let is_system = self.who.permissions.has(Permission::System);
        Ok(Frame {
            instance: instance(&self.site).await?,
            user: self.who.user.as_ref().map(|user| user.username.clone()),
            csrf: self.csrf().to_owned(),
            sections: self.sections(),
            notices: if is_system { notices::of(&self.site, &self.who).await? } else { Vec::new() },
            flash: self.flash.clone(),
            running: if is_system && self.is_get { running::of(&self.site) } else { Vec::new() },
        })
    }
}

/// What the instance is called.
pub(super) async fn instance(site: &Site) -> Answer<String> {
    let title = site.console.database.call(|connection| settings::read(connection, "InstanceTitle")).await?;
    Ok(title.as_ref().and_then(serde_json::Value::as_str).unwrap_or(NAMELESS).to_owned())
}

/// The permission that a page needs.
const fn needed(section: Section) -> Permission {
    match section {
        Section::Backups | Section::Schedule | Section::Restores | Section::Apps | Section::SecretKey => {
            Permission::System
        }
        Section::Events | Section::Signals => Permission::Read,
        Section::Access => Permission::Write,
    }
}

/// A failure in sentences.
pub(super) fn said(failure: &Failure) -> String {
    let problem = &failure.problem;
    let hint = problem.hint.as_deref().map(super::words::sentence).unwrap_or_default();
    format!("{} {hint}", super::words::sentence(&problem.error)).trim_end().to_owned()
}

/// Puts a failure beside the field that it names, else above the form. One that is not the form's fault stays a failure.
/// `fields` are words of the message, and the field that each stands for.
pub(super) fn refuse(filled: &mut Filled, failure: Failure, fields: &[(&str, &str)]) -> Answer<()> {
    if !matches!(failure.status.as_u16(), 400 | 403 | 409 | 422) {
        return Err(failure);
    }
    let named = fields.iter().find(|(words, _)| failure.problem.error.contains(words));
    filled.refuse(named.map_or("", |(_, field)| field), said(&failure));
    Ok(())
}

/// `/`: the first page that they may see; the first password before that.
pub(super) async fn home(visit: Visit) -> Answer<Redirect> {
    let nobody = visit
        .site
        .console
        .database
        .call(|connection| crate::entities::users::are_there(connection).map(|are_there| !are_there));
    if visit.who.is_open && !visit.site.open_to_all && nobody.await? {
        return Ok(Redirect::to("/first-run"));
    }
    Ok(Redirect::to(visit.sections().first().map_or("/account", |section| section.path())))
}

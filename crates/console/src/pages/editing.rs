//! The pages that create, change and remove the objects of the metastore.

use axum::{extract::Path, response::Response};
use maud::{Markup, html};

use super::{
    flash::Flash,
    form::{self, Fields, Filled},
    layout::{self, Section},
    visit::{Visit, refuse},
};
use crate::{
    api::resource::{Resource, add, change, one, take_away},
    failure::HttpResult,
};

pub(super) trait Removable: Resource {
    /// The section with the list.
    const HERE: Section;
    /// Such as "signal".
    const NOUN: &'static str;
    /// What a removal causes.
    const CONSEQUENCE: &'static str = "";
}

pub(super) trait Editable: Removable {
    /// What the form depends on besides the object.
    type Kind: Copy + Send + Sync;

    fn kind(&self) -> HttpResult<Self::Kind>;

    /// The kind of a new object, by the last segment of the path.
    fn kind_in(segment: &str) -> HttpResult<Self::Kind>;

    /// The title of the form for a new object.
    fn new_title(kind: Self::Kind) -> &'static str;

    /// The object in messages.
    fn named(&self) -> String;

    /// The values of the form for a new object.
    fn new_values() -> Filled;

    fn values(&self) -> Filled;

    /// Reads the form, and refuses what it must not contain.
    fn input(
        visit: &Visit,
        kind: Self::Kind,
        before: Option<&Self>,
        fields: &Fields,
        filled: &mut Filled,
    ) -> Self::Input;

    fn controls(
        visit: &Visit,
        kind: Self::Kind,
        is_new: bool,
        filled: &Filled,
    ) -> impl Future<Output = HttpResult<Markup>> + Send;

    /// The control for a field of the input.
    fn control(field: &'static str) -> String {
        field.to_owned()
    }
}

/// `before` is `None` for a new object.
async fn form<E: Editable>(
    visit: &Visit,
    kind: E::Kind,
    before: Option<&E>,
    filled: &Filled,
) -> HttpResult<(String, Markup)> {
    let title = before.map_or_else(|| E::new_title(kind).to_owned(), |before| before.title().to_owned());
    let controls = E::controls(visit, kind, before.is_none(), filled).await?;
    let body = html! {
        div { (layout::back_to(E::HERE)) (layout::head(&title, "", &html! {})) }
        form.card.stack method="post" action=(visit.path) {
            (form::trouble(filled))
            (controls)
            div.actions {
                button.primary type="submit" { "Save" }
                a.button href=(E::HERE.path()) { "Cancel" }
                @if before.is_some() { a.button href={ (visit.path) "/remove" } { "Remove…" } }
            }
        }
    };
    Ok((title, body))
}

pub(super) async fn new<E: Editable>(visit: Visit) -> HttpResult<Response> {
    let (title, body) = form::<E>(&visit, E::kind_in(visit.last_segment())?, None, &E::new_values()).await?;
    visit.page(E::HERE, &title, body).await
}

pub(super) async fn edit<E: Editable>(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    let before: E = one(&visit.site, &visit.who, id).await?;
    let (title, body) = form(&visit, before.kind()?, Some(&before), &before.values()).await?;
    visit.page(E::HERE, &title, body).await
}

pub(super) async fn create<E: Editable>(visit: Visit, fields: Fields) -> HttpResult<Response> {
    save::<E>(visit, None, fields).await
}

pub(super) async fn update<E: Editable>(visit: Visit, Path(id): Path<String>, fields: Fields) -> HttpResult<Response> {
    let before = one(&visit.site, &visit.who, id.clone()).await?;
    save::<E>(visit, Some((id, before)), fields).await
}

async fn save<E: Editable>(visit: Visit, before: Option<(String, E)>, fields: Fields) -> HttpResult<Response> {
    let mut filled = fields.all();
    let before_or_new = before.as_ref().map(|(_, before)| before);
    let kind = before_or_new.map_or_else(|| E::kind_in(visit.last_segment()), E::kind)?;
    let input = E::input(&visit, kind, before_or_new, &fields, &mut filled);
    if filled.errors.is_empty() {
        let (saved, done) = match &before {
            None => (add(&visit.site, &visit.who, input).await, "created"),
            Some((id, _)) => (change(&visit.site, &visit.who, id.clone(), input).await, "changed"),
        };
        match saved {
            Ok(saved) => {
                return Ok(Flash::done(format!("{} was {done}.", E::named(&saved))).redirect(E::HERE.path()));
            }
            Err(failure) => refuse(&mut filled, failure, E::control)?,
        }
    }
    let (title, body) = form(&visit, kind, before_or_new, &filled).await?;
    visit.again(E::HERE, &title, body).await
}

pub(super) async fn ask_to_remove<E: Removable>(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    let entity: E = one(&visit.site, &visit.who, id).await?;
    let (noun, title) = (E::NOUN, format!("Remove the {}", E::NOUN));
    let body = html! {
        div { (layout::back_to(E::HERE)) (layout::head(&title, "", &html! {})) }
        form.card.stack method="post" action=(visit.path) {
            p { "Remove the " (noun) " " strong { (entity.title()) } "? " (E::CONSEQUENCE) " Only a restore of an earlier backup brings it back." }
            div.actions { button.danger type="submit" { "Remove" } a.button href=(E::HERE.path()) { "Cancel" } }
        }
    };
    visit.page(E::HERE, &title, body).await
}

pub(super) async fn remove<E: Removable>(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    let removed = take_away::<E>(&visit.site, &visit.who, id).await;
    Ok(visit.done(removed, E::HERE.path(), |()| format!("The {} was removed.", E::NOUN)))
}

//! `/users` and `/apikeys`: the lists, the forms, and the token of a new API key.

use axum::response::Response;
use maud::{Markup, html};

use super::{
    editing::{Editable, Removable},
    form::{self, Field, Fields, Filled},
    layout::{self, Section, Tone, pill},
    table::{Row, list},
    visit::{Visit, refuse},
};
use crate::{
    api::resource::{add, all},
    entities::{
        keys::{ApiKey, ApiKeyInput},
        roles,
        users::{User, UserInput},
    },
    failure::HttpResult,
    permission::{Permission, Permissions},
};

const HERE: Section = Section::Access;

pub(super) async fn list_all(visit: Visit) -> HttpResult<Response> {
    let users: Option<Vec<User>> = match visit.who.permissions.has(Permission::Organization) {
        true => Some(all(&visit.site, &visit.who).await?),
        false => None,
    };
    let keys: Vec<ApiKey> = all(&visit.site, &visit.who).await?;
    let key_rows: Vec<Row> = keys.iter().map(|key| key_row(key, users.as_deref().unwrap_or_default())).collect();
    let body = html! {
        (layout::head("Users and API keys", "", &html! {
            @if users.is_some() { a.button.primary href="/users/new" { "New user" } }
            a.button href="/apikeys/new" { "New API key" }
        }))
        @if let Some(users) = &users {
            (list("Users", &["User", "Roles", "~Actions"], &users.iter().map(user_row).collect::<Vec<_>>(), html! {
                p { strong { "There are no users." } }
            }))
        }
        (list("API keys", &["API key", "Token starts with", "Permissions", "~Actions"], &key_rows, html! {
            p { strong { "There are no API keys." } }
            p { "Programs authenticate with an API key. Send it as " code { "X-Seq-ApiKey" } " or " code { "Authorization: Bearer" } "." }
        }))
    };
    visit.page(HERE, HERE.title(), body).await
}

fn user_row(user: &User) -> Row {
    let title = |id: &String| roles::find(id).map_or_else(|| id.clone(), |role| role.title);
    let roles: Vec<String> = user.role_ids.iter().map(title).collect();
    Row::new(html! { (user.username) @if let Some(name) = &user.display_name { small { (name) } } })
        .cell(
            "Roles",
            html! {
                (roles.join(", ")) @if user.must_change_password { " " (pill(Tone::Warn, "must change password")) }
            },
        )
        .actions(html! {
            a.button.small href={ "/users/" (user.id) } aria-label={ "Edit " (user.username) } { "Edit" }
        })
}

fn key_row(key: &ApiKey, users: &[User]) -> Row {
    let owner = users.iter().find(|user| Some(&user.id) == key.owner_id.as_ref());
    let permissions = Vec::from(key.assigned_permissions).into_iter().map(Permission::name).collect::<Vec<_>>();
    Row::new(html! { (key.title) @if let Some(owner) = owner { small { "of " (owner.username) } } })
        .cell("Starts with", html! { code { (key.token_prefix) "…" } })
        .cell("Permissions", html! { (permissions.join(", ")) })
        .actions(html! {
            a.button.small href={ "/apikeys/" (key.id) "/remove" } aria-label={ "Remove " (key.title) } { "Remove…" }
        })
}

impl Removable for User {
    const HERE: Section = HERE;
    const NOUN: &'static str = "user";
    const CONSEQUENCE: &'static str = "The user’s API keys stop working immediately.";
}

impl Editable for User {
    type Kind = ();

    fn kind(&self) -> HttpResult<()> {
        Ok(())
    }

    fn kind_in(_: &str) -> HttpResult<()> {
        Ok(())
    }

    fn new_title((): ()) -> &'static str {
        "New user"
    }

    fn named(&self) -> String {
        format!("User {}", self.username)
    }

    fn new_values() -> Filled {
        let first = roles::list().into_iter().next().map(|role| role.id).unwrap_or_default();
        Filled::with([("RoleId", first), ("MustChangePassword", "on".to_owned())])
    }

    fn values(&self) -> Filled {
        let mut filled = Filled::with([
            ("Username", self.username.clone()),
            ("DisplayName", self.display_name.clone().unwrap_or_default()),
            ("EmailAddress", self.email_address.clone().unwrap_or_default()),
            ("RoleId", self.role_ids.last().cloned().unwrap_or_default()),
        ]);
        filled.tick("MustChangePassword", self.must_change_password);
        filled
    }

    fn input(visit: &Visit, (): (), before: Option<&Self>, fields: &Fields, filled: &mut Filled) -> UserInput {
        let new_password = fields.optional("NewPassword");
        match before {
            None if new_password.is_none() => filled.refuse("NewPassword", "Enter a password."),
            Some(before) if new_password.is_some() && visit.who.user_id() == Some(before.id.as_str()) => {
                filled.refuse("NewPassword", "Change your own password under Your account.");
            }
            _ => {}
        }
        UserInput {
            username: Some(fields.text("Username").to_owned()),
            display_name: Some(fields.text("DisplayName").to_owned()),
            email_address: Some(fields.text("EmailAddress").to_owned()),
            must_change_password: Some(fields.has("MustChangePassword")),
            role_ids: fields.optional("RoleId").map(|role| vec![role]),
            new_password,
            ..UserInput::default()
        }
    }

    async fn controls(_: &Visit, (): (), is_new: bool, filled: &Filled) -> HttpResult<Markup> {
        let password = Field::password("NewPassword", "Password", "new-password");
        let password = match is_new {
            true => password.hint("At least 8 characters.").required(),
            false => password.hint("Leave empty to keep the current password. At least 8 characters."),
        };
        Ok(html! {
            (Field::text("Username", "User name").required().show(filled))
            (Field::text("DisplayName", "Name").show(filled))
            (Field::text("EmailAddress", "E-mail address").kind("email").show(filled))
            (password.show(filled))
            (form::tick("MustChangePassword", "Must change the password at the next login", "", filled))
            fieldset {
                legend { "Role" }
                @for role in roles::list() {
                    label.choice {
                        input type="radio" name="RoleId" value=(role.id) checked[filled.value("RoleId") == role.id];
                        span { strong { (role.title) } span.hint { (role.description) } }
                    }
                }
            }
        })
    }
}

impl Removable for ApiKey {
    const HERE: Section = HERE;
    const NOUN: &'static str = "API key";
    const CONSEQUENCE: &'static str = "Programs that use it lose access immediately.";
}

/// Descriptions of the permissions for the form of an API key.
const ALLOWS: [(Permission, &str); 6] = [
    (Permission::Ingest, "Send events."),
    (Permission::Read, "View events and signals."),
    (Permission::Write, "Manage its own signals and API keys."),
    (Permission::Project, "Manage shared signals and API keys."),
    (Permission::System, "Backups, restores, quarantine, notifications, settings, metrics."),
    (Permission::Organization, "Manage users."),
];

fn key_form(held: Permissions, filled: &Filled) -> Markup {
    html! {
        div { (layout::back_to(HERE)) (layout::head("New API key", "", &html! {})) }
        form.card.stack method="post" action="/apikeys/new" {
            (form::trouble(filled))
            (Field::text("Title", "Title").hint("The purpose of the key.").required().show(filled))
            fieldset {
                legend { "Permissions" }
                @for (permission, allows) in ALLOWS.into_iter().filter(|(permission, _)| held.has(*permission)) {
                    @let name = permission.name();
                    (form::tick(&format!("Permission.{name}"), name, allows, filled))
                }
            }
            div.actions { button.primary type="submit" { "Create" } a.button href=(HERE.path()) { "Cancel" } }
        }
    }
}

pub(super) async fn new_key(visit: Visit) -> HttpResult<Response> {
    let body = key_form(visit.who.permissions, &Filled::with([("Permission.Read", "on".to_owned())]));
    visit.page(HERE, "New API key", body).await
}

/// The response itself shows the token, because the console stores only its hash.
pub(super) async fn make_key(visit: Visit, fields: Fields) -> HttpResult<Response> {
    let ticked: Vec<&str> = fields.below("Permission.").map(|(name, _)| name).collect();
    let permissions = Permission::ALL.into_iter().filter(|one| ticked.contains(&one.name()));
    let input = ApiKeyInput {
        title: Some(fields.text("Title").to_owned()),
        assigned_permissions: Some(permissions.collect()),
        ..ApiKeyInput::default()
    };
    match add::<ApiKey>(&visit.site, &visit.who, input).await {
        Ok(key) => visit.page(HERE, "API key created", token(&key)).await,
        Err(failure) => {
            let mut filled = fields.all();
            refuse(&mut filled, failure, str::to_owned)?;
            visit.again(HERE, "New API key", key_form(visit.who.permissions, &filled)).await
        }
    }
}

fn token(key: &ApiKey) -> Markup {
    html! {
        div { (layout::back_to(HERE)) (layout::head("API key created", "", &html! {})) }
        section.card {
            h2 { (key.title) }
            p { strong { "Copy the token now, because it is shown only once." } " The console stores only its hash." }
            p.secret.mono #token { (key.token.as_deref().unwrap_or_default()) }
            p.soft { "Send it as " code { "X-Seq-ApiKey" } " or " code { "Authorization: Bearer" } "." }
            div.actions { a.button.primary href=(HERE.path()) { "I have copied it" } }
        }
    }
}

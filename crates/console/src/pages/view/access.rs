//! `/users` and `/apikeys`: the lists, the forms, and the token of a new API key.

use maud::{Markup, html};

use super::super::{
    form::{self, Field, Filled},
    layout::{self, Section, Tone, pill},
    table::{Row, cell, list},
};

#[derive(Debug, Clone)]
pub struct User {
    pub id: String,
    pub username: String,
    pub display_name: String,
    pub roles: Vec<String>,
    pub must_change_password: bool,
}

#[derive(Debug, Clone)]
pub struct ApiKey {
    pub id: String,
    pub title: String,
    pub prefix: String,
    pub permissions: Vec<String>,
    pub owner: Option<String>,
}

/// `users` is `None` for a principal without the permission to see them.
pub fn page(users: Option<&[User]>, keys: &[ApiKey], may_make_keys: bool) -> Markup {
    html! {
        (layout::head("Users and API keys", "", &html! {
            @if users.is_some() { a.button.primary href="/users/new" { "New user" } }
            @if may_make_keys { a.button href="/apikeys/new" { "New API key" } }
        }))
        @if let Some(users) = users {
            (list("Users", &["User", "Roles", "~Actions"], &users.iter().map(user_row).collect::<Vec<_>>(), html! {
                p { strong { "There are no users." } }
            }))
        }
        (list("API keys", &["API key", "Token starts with", "Permissions", "~Actions"], &keys.iter().map(key_row).collect::<Vec<_>>(), html! {
            p { strong { "There are no API keys." } }
            p { "Programs authenticate with an API key. Send it as " code { "X-Seq-ApiKey" } " or " code { "Authorization: Bearer" } "." }
        }))
    }
}

fn user_row(user: &User) -> Row {
    Row {
        head: html! { (user.username) @if !user.display_name.is_empty() { small { (user.display_name) } } },
        cells: vec![
            cell(
                "Roles",
                html! { (user.roles.join(", ")) @if user.must_change_password { " " (pill(Tone::Warn, "must change password")) } },
            ),
            cell(
                "",
                html! { div.actions {
                    a.button.small href={ "/users/" (user.id) } aria-label={ "Edit " (user.username) } { "Edit" }
                } },
            ),
        ],
    }
}

fn key_row(key: &ApiKey) -> Row {
    Row {
        head: html! { (key.title) @if let Some(owner) = &key.owner { small { "of " (owner) } } },
        cells: vec![
            cell("Starts with", html! { code { (key.prefix) "…" } }),
            cell("Permissions", html! { (key.permissions.join(", ")) }),
            cell(
                "",
                html! { div.actions {
                    a.button.small href={ "/apikeys/" (key.id) "/remove" } aria-label={ "Remove " (key.title) } { "Remove…" }
                } },
            ),
        ],
    }
}

/// The form of a user. `id` is `None` for a new user; `roles` are id, title and description.
pub fn user(id: Option<&str>, roles: &[(String, String, String)], csrf: &str, filled: &Filled) -> Markup {
    let title = if id.is_some() { filled.value("Username") } else { "New user" };
    let hint = if id.is_some() {
        "Leave empty to keep the current password. At least 8 characters."
    } else {
        "At least 8 characters."
    };
    let password = Field::password("NewPassword", "Password", "new-password").hint(hint);
    html! {
        div { (layout::back_to(Section::Access)) (layout::head(title, "", &html! {})) }
        form.card.stack method="post" action={ "/users/" (id.unwrap_or("new")) } {
            (form::trouble(filled))
            (form::csrf(csrf))
            (Field::text("Username", "User name").required().show(filled))
            (Field::text("DisplayName", "Name").show(filled))
            (Field::text("EmailAddress", "E-mail address").kind("email").show(filled))
            (if id.is_some() { password.show(filled) } else { password.required().show(filled) })
            (form::tick("MustChangePassword", "Must change the password at the next login", "", filled))
            fieldset {
                legend { "Role" }
                @for (role, title, description) in roles {
                    label.choice {
                        input type="radio" name="RoleId" value=(role) checked[filled.value("RoleId") == role];
                        span { strong { (title) } span.hint { (description) } }
                    }
                }
            }
            div.actions {
                button.primary type="submit" { "Save" }
                a.button href=(Section::Access.path()) { "Cancel" }
                @if let Some(id) = id { a.button href={ "/users/" (id) "/remove" } { "Remove…" } }
            }
        }
    }
}

/// The form of a new API key. `permissions` are name and description.
pub fn new_key(permissions: &[(&str, &str)], csrf: &str, filled: &Filled) -> Markup {
    html! {
        div { (layout::back_to(Section::Access)) (layout::head("New API key", "", &html! {})) }
        form.card.stack method="post" action="/apikeys/new" {
            (form::trouble(filled))
            (form::csrf(csrf))
            (Field::text("Title", "Title").hint("The purpose of the key.").required().show(filled))
            fieldset {
                legend { "Permissions" }
                @for (name, allows) in permissions { (form::tick(&format!("Permission.{name}"), name, allows, filled)) }
            }
            div.actions { button.primary type="submit" { "Create" } a.button href=(Section::Access.path()) { "Cancel" } }
        }
    }
}

/// Shows the token of a new key.
pub fn token(title: &str, token: &str) -> Markup {
    html! {
        div { (layout::back_to(Section::Access)) (layout::head("API key created", "", &html! {})) }
        section.card {
            h2 { (title) }
            p { strong { "Copy the token now, because it is shown only once." } " The console stores only its hash." }
            p.secret.mono #token { (token) }
            p.soft { "Send it as " code { "X-Seq-ApiKey" } " or " code { "Authorization: Bearer" } "." }
            div.actions { a.button.primary href=(Section::Access.path()) { "I have copied it" } }
        }
    }
}

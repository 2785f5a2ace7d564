//! The login, a required change of the password, the first password, and the user's own account.

use maud::{Markup, html};

use super::super::{
    form::{self, Field, Filled},
    layout,
};

/// `next` is the page to return to.
pub fn login(instance: &str, next: &str, filled: &Filled) -> Markup {
    let body = html! {
        form.card method="post" action="/login" {
            h1 { "Log in" }
            (form::trouble(filled))
            input type="hidden" name="next" value=(next);
            (Field::text("Username", "User name").autocomplete("username").required().show(filled))
            (Field::password("Password", "Password", "current-password").required().show(filled))
            button.primary type="submit" { "Log in" }
        }
        p.small.soft {
            "Has every user lost access? "
            code { "moorline restore" } " brings back an earlier state, including its users."
        }
    };
    layout::alone(instance, "Log in", &body)
}

/// Asks for a new password, because another person chose the current one.
pub fn new_password(instance: &str, next: &str, filled: &Filled) -> Markup {
    let body = html! {
        form.card method="post" action="/login" {
            h1 { "Choose a new password" }
            p { "Another person chose your current password. Please replace it before you continue." }
            (form::trouble(filled))
            input type="hidden" name="next" value=(next);
            (Field::text("Username", "User name").autocomplete("username").required().show(filled))
            (Field::password("Password", "Current password", "current-password").required().show(filled))
            (Field::password("NewPassword", "New password", "new-password").hint("At least 8 characters.").required().show(filled))
            (Field::password("Again", "Repeat the new password", "new-password").required().show(filled))
            button.primary type="submit" { "Change password and log in" }
        }
    };
    layout::alone(instance, "Choose a new password", &body)
}

/// Sets the first password. Until then, everybody on this host is an administrator, and other hosts cannot connect.
pub fn first_run(instance: &str, csrf: &str, filled: &Filled) -> Markup {
    let body = html! {
        form.card method="post" action="/first-run" {
            h1 { "Set the administrator’s password" }
            p {
                "The console requires no login yet, so it accepts connections from this host only. With a password it "
                "requires a login, and from its next start it also accepts connections from other hosts."
            }
            (form::trouble(filled))
            (form::csrf(csrf))
            (Field::text("Username", "User name").autocomplete("username").required().show(filled))
            (Field::password("NewPassword", "Password", "new-password").hint("At least 8 characters.").required().show(filled))
            (Field::password("Again", "Repeat the password", "new-password").required().show(filled))
            button.primary type="submit" { "Set the password" }
        }
        p.small { a href="/backups" { "Continue without a password" } }
    };
    layout::alone(instance, "Set the administrator’s password", &body)
}

pub fn account(user: &str, csrf: &str, filled: &Filled) -> Markup {
    html! {
        (layout::head("Your account", &format!("You are logged in as {user}."), &html! {}))
        form.card.stack method="post" action="/account" {
            h2 { "Change your password" }
            (form::trouble(filled))
            (form::csrf(csrf))
            (Field::password("Password", "Current password", "current-password").required().show(filled))
            (Field::password("NewPassword", "New password", "new-password").hint("At least 8 characters.").required().show(filled))
            (Field::password("Again", "Repeat the new password", "new-password").required().show(filled))
            div.actions { button.primary type="submit" { "Change the password" } }
        }
    }
}

//! Before anybody has logged in: logging in, a password that has to be changed, the first password of all.

use maud::{Markup, html};

use super::super::{
    form::{self, Field, Filled},
    layout,
};

/// Asks who it is. `next` is the page that was wanted.
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
            "No user can log in any more? "
            code { "moorline restore" } " brings back an earlier state, and with it its users."
        }
    };
    layout::alone(instance, "Log in", &body)
}

/// Asks for a new password: somebody else chose the old one.
pub fn new_password(instance: &str, next: &str, filled: &Filled) -> Markup {
    let body = html! {
        form.card method="post" action="/login" {
            h1 { "Choose a new password" }
            p { "The one that you have was chosen by somebody else. Please replace it before you go on." }
            (form::trouble(filled))
            input type="hidden" name="next" value=(next);
            (Field::text("Username", "User name").autocomplete("username").required().show(filled))
            (Field::password("Password", "The password that you have", "current-password").required().show(filled))
            (Field::password("NewPassword", "New password", "new-password").hint("Eight characters or more.").required().show(filled))
            (Field::password("Again", "New password, again", "new-password").required().show(filled))
            button.primary type="submit" { "Change it and log in" }
        }
    };
    layout::alone(instance, "Choose a new password", &body)
}

/// Sets the first password: until then only this host reaches the console, and everybody on it may do everything.
pub fn first_run(instance: &str, csrf: &str, filled: &Filled) -> Markup {
    let body = html! {
        form.card method="post" action="/first-run" {
            h1 { "Set the administrator’s password" }
            p {
                "Nobody has to log in yet, so the console is reached from this host only. With a password it asks who you "
                "are, and from its next start on it is reached from elsewhere too."
            }
            (form::trouble(filled))
            (form::csrf(csrf))
            (Field::text("Username", "User name").autocomplete("username").required().show(filled))
            (Field::password("NewPassword", "Password", "new-password").hint("Eight characters or more.").required().show(filled))
            (Field::password("Again", "Password, again", "new-password").required().show(filled))
            button.primary type="submit" { "Set the password" }
        }
        p.small { a href="/backups" { "Not now: go on without a password" } }
    };
    layout::alone(instance, "Set the administrator’s password", &body)
}

/// One's own account.
pub fn account(user: &str, csrf: &str, filled: &Filled) -> Markup {
    html! {
        (layout::head("Your account", &format!("You are logged in as {user}."), &html! {}))
        form.card.stack method="post" action="/account" {
            h2 { "Change your password" }
            (form::trouble(filled))
            (form::csrf(csrf))
            (Field::password("Password", "The password that you have", "current-password").required().show(filled))
            (Field::password("NewPassword", "New password", "new-password").hint("Eight characters or more.").required().show(filled))
            (Field::password("Again", "New password, again", "new-password").required().show(filled))
            div.actions { button.primary type="submit" { "Change the password" } }
        }
    }
}

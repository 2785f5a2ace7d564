//! Asks for confirmation before an object is removed.

use maud::{Markup, html};

use super::super::{
    form,
    layout::{self, Section},
};

/// `what` is the kind of object, such as "the user"; `name` is its name.
pub fn page(section: Section, what: &str, name: &str, consequence: &str, action: &str, csrf: &str) -> Markup {
    html! {
        div { (layout::back_to(section)) (layout::head(&format!("Remove {what}"), "", &html! {})) }
        form.card.stack method="post" action=(action) {
            (form::csrf(csrf))
            p { "Remove " (what) " " strong { (name) } "? " (consequence) " Only a restore of an earlier backup brings it back." }
            div.actions { button.danger type="submit" { "Remove" } a.button href=(section.path()) { "Cancel" } }
        }
    }
}

//! What is shown in place of a page that cannot be.

use maud::{Markup, html};

use super::super::{layout, words};

/// The content. `what` is the status, in words.
pub fn page(what: &str, error: &str, hint: Option<&str>) -> Markup {
    html! {
        (layout::head(what, "", &html! {}))
        section.card {
            p { (words::sentence(error)) }
            @if let Some(hint) = hint { p.soft { (words::sentence(hint)) } }
            div.actions { a.button href="/" { "To the first page" } }
        }
    }
}

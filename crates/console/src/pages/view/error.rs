//! The content of an error page.

use maud::{Markup, html};

use super::super::{layout, words};

pub fn page(title: &str, error: &str, hint: Option<&str>) -> Markup {
    html! {
        (layout::head(title, "", &html! {}))
        section.card {
            p { (words::sentence(error)) }
            @if let Some(hint) = hint { p.soft { (words::sentence(hint)) } }
            div.actions { a.button href="/" { "Go to the start page" } }
        }
    }
}

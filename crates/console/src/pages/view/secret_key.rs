//! The secret key: which one it is, and whether somebody has saved it. Never the key itself.

use maud::{Markup, html};

use super::super::{
    form,
    layout::{self, Tone, pill},
    words,
};

/// The page.
pub fn page(fingerprint: &str, is_saved: bool, is_on_volume: bool, csrf: &str) -> Markup {
    html! {
        (layout::head("Secret key", "Every backup is sealed with it. Whoever has a backup and not its secret key has nothing.", &html! {}))
        section.card aria-label="This key" {
            dl.facts {
                dt { "Fingerprint" } dd { (words::fingerprint(fingerprint)) }
                dt { "Comes from" } dd { @if is_on_volume { "this volume: it was made here" } @else { "outside: the environment, a file or a program" } }
                dt { "Saved" } dd { @if is_saved { (pill(Tone::Good, "✓ somebody has said so")) } @else { (pill(Tone::Warn, "! nobody has said so")) } }
            }
        }
        section.card.stack {
            h2 { "Save it" }
            p { "The key is not shown in a browser. Print it where the container runs, and keep it apart from the backups: in a password manager, or on paper." }
            pre tabindex="0" { "docker exec CONTAINER moorline show-key" }
            p.soft { "On another host: " code { "moorline --storage /data show-key" } ". Compare the fingerprint that " code { "moorline status" } " shows." }
            @if is_saved {
                p { "Somebody has said that it is kept outside this volume." }
                (form::button("/secret-key/unsaved", csrf, "", html! { "It is not saved any more" }))
            } @else {
                p { strong { "Have you saved it?" } " If this volume is lost, and the key with it, no backup can be opened by anybody." }
                div.actions { (form::button("/secret-key/saved", csrf, "primary", html! { "Yes, it is kept outside this volume" })) }
            }
        }
    }
}

//! `/secret-key`: the fingerprint of the secret key, and whether it is confirmed as saved. Never shows the key itself.

use maud::{Markup, html};

use super::super::{
    form,
    layout::{self, Tone, pill},
    words,
};

pub fn page(fingerprint: &str, is_saved: bool, is_on_volume: bool, csrf: &str) -> Markup {
    html! {
        (layout::head("Secret key", "The secret key encrypts every backup. Without the key, a backup cannot be opened.", &html! {}))
        section.card aria-label="This key" {
            dl.facts {
                dt { "Fingerprint" } dd { (words::fingerprint(fingerprint)) }
                dt { "Source" } dd { @if is_on_volume { "this volume" } @else { "the environment, a file or a program" } }
                dt { "Saved elsewhere" } dd { @if is_saved { (pill(Tone::Good, "✓ confirmed")) } @else { (pill(Tone::Warn, "! not confirmed")) } }
            }
        }
        section.card.stack {
            h2 { "Save the key" }
            p { "The console never shows the key. Print it on the host of the container, and store it apart from the backups, in a password manager or on paper." }
            pre tabindex="0" { "docker exec CONTAINER moorline show-key" }
            p.soft { "Without Docker: " code { "moorline --storage /data show-key" } ". To check the saved key, compare its fingerprint with the output of " code { "moorline status" } "." }
            @if is_saved {
                p { "A user has confirmed that the key is saved outside this volume." }
                (form::button("/secret-key/unsaved", csrf, "", html! { "The key is no longer saved" }))
            } @else {
                p { strong { "Have you saved the key?" } " If this volume and the key are lost, the backups cannot be opened." }
                div.actions { (form::button("/secret-key/saved", csrf, "primary", html! { "Yes, the key is saved elsewhere" })) }
            }
        }
    }
}

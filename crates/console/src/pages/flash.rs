//! Flash messages: the result of a request, shown once on the page that it redirects to. Stored in a cookie that the page
//! removes.

use axum::{
    http::{HeaderMap, header},
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use maud::{Markup, html};

use super::layout::Tone;
use crate::auth::session;

const COOKIE: &str = "moorline-flash";
/// Maximum length in bytes, because browsers limit cookies to 4 KiB.
const LONGEST: usize = 1500;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flash {
    is_good: bool,
    words: String,
}

impl Flash {
    pub(super) fn done(words: impl Into<String>) -> Self {
        Self { is_good: true, words: words.into() }
    }

    pub(super) fn failed(words: impl Into<String>) -> Self {
        Self { is_good: false, words: words.into() }
    }

    /// Reads the cookie of a request.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let value = session::read_cookie(headers, COOKIE)?;
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(value).ok()?).ok()?;
        let (sign, words) = text.split_at_checked(1)?;
        Some(Self { is_good: sign == "+", words: words.to_owned() })
    }

    /// Redirects to a page that shows the message.
    pub(super) fn redirect(&self, path: &str) -> Response {
        let mut words = self.words.as_str();
        if words.len() > LONGEST {
            words = &words[..words.floor_char_boundary(LONGEST)];
        }
        let text = format!("{}{words}", if self.is_good { '+' } else { '-' });
        (set(&URL_SAFE_NO_PAD.encode(text), 60), Redirect::to(path)).into_response()
    }

    pub(super) fn show(&self) -> Markup {
        let tone = if self.is_good { Tone::Good } else { Tone::Bad };
        html! { div.banner.(tone.class()) role=(if self.is_good { "status" } else { "alert" }) { p { (self.words) } } }
    }
}

/// The header that removes the cookie.
pub(super) fn forget() -> HeaderMap {
    set("", 0)
}

fn set(value: &str, seconds: i64) -> HeaderMap {
    let cookie = session::set_cookie(COOKIE, value, seconds, "").ok();
    cookie.map(|cookie| (header::SET_COOKIE, cookie)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flash_survives_the_redirect_and_is_truncated_if_it_is_long() {
        for flash in [Flash::done("Saved; as “two words”."), Flash::failed("é".repeat(3000))] {
            let answer = flash.redirect("/backups");
            let cookie = answer.headers()[header::SET_COOKIE].to_str().expect("text");
            let mut brought = HeaderMap::new();
            let pair = format!("other=1; {}", cookie.split(';').next().expect("a pair"));
            brought.insert(header::COOKIE, pair.parse().expect("a header"));
            let read = Flash::of(&brought).expect("a flash");
            assert_eq!(read.is_good, flash.is_good);
            assert!(flash.words.starts_with(&read.words) && read.words.len() >= flash.words.len().min(LONGEST) - 1);
        }
        assert_eq!(Flash::of(&HeaderMap::new()), None);
    }
}

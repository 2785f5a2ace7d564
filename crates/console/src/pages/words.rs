//! Formats times, sizes, counts and sentences for people.

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use serde_json::Value;

const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/// `1.4 MiB`.
pub(super) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match unit {
        0 if bytes == 1 => "1 byte".to_owned(),
        0 => format!("{bytes} bytes"),
        unit if value < 10.0 => format!("{value:.1} {}", UNITS[unit]),
        unit => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// `3 hours ago`, `in 5 minutes`, `just now`.
pub(super) fn age(at: Timestamp, now: Timestamp) -> String {
    let since = now.duration_since(at);
    match lasting(since.abs()) {
        None => "just now".to_owned(),
        Some(lasting) if since.is_negative() => format!("in {lasting}"),
        Some(lasting) => format!("{lasting} ago"),
    }
}

/// The duration in its largest suitable unit. `None` below a minute.
fn lasting(duration: SignedDuration) -> Option<String> {
    let minutes = duration.as_mins();
    Some(match minutes {
        0 => return None,
        1..60 => count(minutes.unsigned_abs(), "minute"),
        60..2880 => count(minutes.unsigned_abs() / 60, "hour"),
        _ => count(minutes.unsigned_abs() / 1440, "day"),
    })
}

/// `1 backup`, `2 backups`.
pub(super) fn count(number: u64, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        number => format!("{number} {thing}s"),
    }
}

/// `2026-01-31 03:00 UTC`.
pub(super) fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

pub(super) fn time(at: Timestamp) -> Markup {
    html! { time.nowrap.num datetime=(at.strftime("%Y-%m-%dT%H:%M:%SZ")) { (utc(at)) } }
}

/// A time with its age below.
pub(super) fn time_and_age(at: Timestamp, now: Timestamp) -> Markup {
    html! { (time(at)) small { (age(at, now)) } }
}

/// An age with its time below.
pub(super) fn age_and_time(at: Timestamp, now: Timestamp) -> Markup {
    html! { (age(at, now)) small { (time(at)) } }
}

/// The elements of a JSON array.
pub(super) fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A JSON text as it is, anything else as JSON, such as a path that is not UTF-8.
pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A fingerprint in groups of four characters, so that it can be read aloud.
pub(super) fn fingerprint(text: &str) -> Markup {
    let groups: Vec<&str> = text.as_bytes().chunks(4).filter_map(|group| std::str::from_utf8(group).ok()).collect();
    html! { code title=(text) { (groups.join(" ")) } }
}

/// Turns an error message into a sentence: capital first letter, final period.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?', ':']) || text.is_empty() { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit_and_few_digits() {
        let sizes = [0, 1, 1023, 1024, 10 * 1024, 1_500_000, 5 << 40].map(size);
        assert_eq!(sizes, ["0 bytes", "1 byte", "1023 bytes", "1.0 KiB", "10 KiB", "1.4 MiB", "5.0 TiB"]);
    }

    #[test]
    fn ages_have_one_unit() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().expect("a time");
        let age_at = |seconds| age(now - SignedDuration::from_secs(seconds), now);
        assert_eq!(age_at(59), "just now");
        assert_eq!(age_at(-30), "just now");
        assert_eq!(age_at(60), "1 minute ago");
        assert_eq!(age_at(47 * 3600), "47 hours ago");
        assert_eq!(age_at(48 * 3600), "2 days ago");
        assert_eq!(age_at(-5 * 3600), "in 5 hours");
    }

    #[test]
    fn an_error_becomes_a_sentence() {
        assert_eq!(sentence("the disk is full"), "The disk is full.");
        assert_eq!(sentence(""), "");
        assert_eq!(sentence("Écoute!"), "Écoute!");
    }
}

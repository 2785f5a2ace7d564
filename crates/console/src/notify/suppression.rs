//! The rate limit of a notification: a maximum number of events per window, which starts with its first event.

use jiff::{SignedDuration, Timestamp};

use super::notification::Notification;
use volume::events::Stored;

#[derive(Debug, Default)]
pub(super) struct Window {
    since: Option<Timestamp>,
    count: u64,
}

impl Window {
    /// Counts the event and decides whether to send it. The event's own time counts, not the clock.
    pub(super) fn allows(&mut self, notification: &Notification, event: &Stored) -> bool {
        let (Some(time), Some(at)) = (notification.suppression, event.at()) else { return true };
        let age = self.since.map(|since| at.duration_since(since));
        if age.is_some_and(|age| age >= SignedDuration::ZERO && age < time) {
            self.count += 1;
        } else {
            (self.since, self.count) = (Some(at), 1);
        }
        self.count <= notification.events_per_window
    }
}

/// Parses a time span in Seq's format, `hh:mm:ss` or `d.hh:mm:ss`. Zero yields `None`.
pub(crate) fn parse(text: &str) -> volume::error::Result<Option<SignedDuration>> {
    let wrong = || {
        volume::error::Error::usage(format!("{text:?} is not a time span"))
            .hint("enter hours, minutes and seconds, such as 00:05:00, or days before them: 1.00:00:00")
    };
    let (days, rest) =
        text.trim().split_once('.').filter(|(days, _)| !days.contains(':')).unwrap_or(("0", text.trim()));
    let number = |part: &str| {
        let digits = (1..=5).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        Some(part).filter(|_| digits).and_then(|part| part.parse::<i64>().ok())
    };
    // Seconds may have a fraction, which we ignore.
    let whole = rest.rsplit_once('.').filter(|(_, fraction)| !fraction.contains(':')).map_or(rest, |(whole, _)| whole);
    let parts: Option<Vec<i64>> = whole.split(':').map(number).collect();
    match (number(days), parts.as_deref()) {
        (Some(days), Some([hours @ 0..24, minutes @ 0..60, seconds @ 0..60])) => {
            let time = SignedDuration::from_secs(((days * 24 + hours) * 60 + minutes) * 60 + seconds);
            Ok(Some(time).filter(|time| *time > SignedDuration::ZERO))
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_have_the_format_of_seq() {
        assert_eq!(parse("00:05:00").expect("a span"), Some(SignedDuration::from_mins(5)));
        assert_eq!(parse("2.01:00:30.5").expect("a span"), Some(SignedDuration::from_secs(49 * 3600 + 30)));
        assert_eq!(parse("00:00:00").expect("a span"), None);
        for text in ["", "5", "5:00", "24:00:00", "00:60:00", "-1.00:00:00", "x", "00:00:00:00", "1.2.00:00:00"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_window_limits_events_and_the_next_event_after_it_starts_a_new_window() {
        let notification = |per| Notification {
            suppression: Some(SignedDuration::from_mins(5)),
            events_per_window: per,
            ..Notification::default()
        };
        let passed = |per| {
            let mut window = Window::default();
            let minutes = [0, 1, 4, 5, 6, 60, 3, 4];
            minutes.map(|minute| window.allows(&notification(per), &crate::notify::notification::event_at(minute)))
        };
        assert_eq!(
            passed(1),
            [true, false, false, true, false, true, true, false],
            "a clock that was set back starts a new window"
        );
        assert_eq!(passed(2), [true, true, false, true, true, true, true, true]);
        let mut window = Window::default();
        assert!((0..9).all(|_| window.allows(&Notification::default(), &crate::notify::notification::event_at(0))));
    }
}

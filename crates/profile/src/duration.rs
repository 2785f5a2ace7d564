//! Parses durations such as `30s`, `12h` or `7d`.

use jiff::{SignedDuration, Span, SpanRelativeTo};

use volume::error::{Error, Result};

/// Parses a duration such as `30s`, `12h` or `7d`. A bare number is seconds; negative durations are errors.
pub fn parse_duration(text: &str) -> Result<SignedDuration> {
    let wrong = || Error::usage(format!("{text:?} is not a duration: write 30s, 12h or 7d"));
    if let Ok(seconds) = text.trim().parse::<u32>() {
        return Ok(SignedDuration::from_secs(i64::from(seconds)));
    }
    let span: Span = text.trim().parse().map_err(|_| wrong())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    if duration.is_negative() { Err(wrong()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed_with_and_without_units() {
        for (text, seconds) in [("30", 30), ("30s", 30), ("12h", 43_200), ("7d", 604_800), ("1h 30m", 5_400), ("0", 0)]
        {
            assert_eq!(parse_duration(text).expect(text).as_secs(), seconds);
        }
        for text in ["", "x", "-5s", "5 parsecs"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}

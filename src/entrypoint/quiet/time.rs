//! Times as text, without a heap.

/// A time as RFC 3339 has it, in UTC.
pub type Text = [u8; 20];

/// `YYYYMMDD`, as it stands in the names of backups.
pub type Day = [u8; 8];

/// A time as RFC 3339 has it.
#[inline(always)]
pub fn text(seconds: u64) -> Option<Text> {
    let time = utc(seconds)?;
    let mut text = *b"0000-00-00T00:00:00Z";
    put(text.get_mut(..4)?, time.year().unsigned_abs());
    put(text.get_mut(5..7)?, time.month().unsigned_abs().into());
    put(text.get_mut(8..10)?, time.day().unsigned_abs().into());
    put(text.get_mut(11..13)?, time.hour().unsigned_abs().into());
    put(text.get_mut(14..16)?, time.minute().unsigned_abs().into());
    put(text.get_mut(17..19)?, time.second().unsigned_abs().into());
    Some(text)
}

/// The day of a time, as it stands in the names of backups.
#[inline(always)]
pub fn day(seconds: u64) -> Option<Day> {
    let time = utc(seconds)?;
    let mut day = *b"00000000";
    put(day.get_mut(..4)?, time.year().unsigned_abs());
    put(day.get_mut(4..6)?, time.month().unsigned_abs().into());
    put(day.get_mut(6..8)?, time.day().unsigned_abs().into());
    Some(day)
}

/// Writes a number as digits, which fill the place.
#[inline(always)]
fn put(place: &mut [u8], number: u16) {
    let mut rest = number;
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// Writes a number as digits at the end of the place; what is before it stays.
#[inline(always)]
pub fn put_number(place: &mut [u8], number: usize) {
    let mut rest = number;
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
}

#[inline(always)]
fn utc(seconds: u64) -> Option<jiff::civil::DateTime> {
    let time = jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    Some(jiff::tz::Offset::UTC.to_datetime(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_library() {
        for seconds in [0, 59, 951_782_399, 951_782_400, 1_795_305_599, 4_102_444_800] {
            let time = jiff::Timestamp::from_second(seconds).expect("a time");
            let ours = text(seconds as u64).expect("a time");
            assert_eq!(String::from_utf8_lossy(&ours), time.to_string());
            assert_eq!(
                String::from_utf8_lossy(&day(seconds as u64).expect("a day")),
                time.strftime("%Y%m%d").to_string()
            );
        }
    }
}

//! The calendar of `/schedule`: 90 days, one cell each, with weeks from left to right and weekdays from top to bottom.

use jiff::{ToSpan, civil::Date};
use maud::{Markup, html};

const DAYS: i64 = 90;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Day {
    Complete,
    /// A backup completed, but it has faults.
    Faulty,
    /// A backup was due, but none completed.
    Failed,
    None,
    /// The backup of today is not due yet.
    ToCome,
}

impl Day {
    const ALL: [Self; 5] = [Self::Complete, Self::Faulty, Self::Failed, Self::None, Self::ToCome];

    /// Class, sign and words.
    const fn shown(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Complete => ("complete", "✓", "backup complete"),
            Self::Faulty => ("faulty", "!", "backup with faults"),
            Self::Failed => ("failed", "✕", "backup failed or missed"),
            Self::None => ("none", "·", "no record"),
            Self::ToCome => ("to-come", "…", "not due yet"),
        }
    }
}

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// `of` returns the state of a day.
pub(super) fn calendar(today: Date, of: &dyn Fn(Date) -> Day) -> Markup {
    let first = today.saturating_sub((DAYS - 1).days());
    let monday = first.saturating_sub(i64::from(first.weekday().to_monday_zero_offset()).days());
    let weeks: Vec<Date> =
        (0..).map(|week: i64| monday.saturating_add((7 * week).days())).take_while(|day| *day <= today).collect();
    html! {
        table.calendar {
            caption { "Backups of the last 90 days" }
            thead { tr {
                td.before {}
                @for (at, week) in weeks.iter().enumerate() {
                    th scope="col" { span.unseen { "Week of " (week.strftime("%-d %B")) } span aria-hidden="true" { (month_over(&weeks, at)) } }
                }
            } }
            tbody { @for (row, weekday) in WEEKDAYS.iter().enumerate() {
                tr {
                    th scope="row" { span.unseen { (weekday) } span aria-hidden="true" { (&weekday[..2]) } }
                    @for week in &weeks { (cell(week.saturating_add((row as i64).days()), first, today, of)) }
                }
            } }
        }
        ul.key aria-label="Legend" { @for (_, sign, words) in Day::ALL.map(Day::shown) { li { (sign) " " (words) } } }
    }
}

fn cell(day: Date, first: Date, today: Date, of: &dyn Fn(Date) -> Day) -> Markup {
    if day < first || day > today {
        return html! { td.before {} };
    }
    let (class, sign, words) = of(day).shown();
    let label = format!("{}: {words}", day.strftime("%-d %B %Y"));
    html! { td.(class) title=(label) { span aria-hidden="true" { (sign) } span.unseen { (label) } } }
}

/// The name of a month, above the first week that starts in it, unless the name of the next month would touch it.
fn month_over(weeks: &[Date], at: usize) -> String {
    let begins = at == 0 || weeks[at - 1].month() != weeks[at].month();
    let has_room = weeks.get(at + 1).is_some_and(|next| next.month() == weeks[at].month());
    if begins && has_room { weeks[at].strftime("%b").to_string() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_shows_ninety_days_that_end_today() {
        for today in ["2026-01-01", "2026-03-01", "2024-02-29", "2026-11-23"] {
            let today: Date = today.parse().expect("a date");
            let shown = std::cell::RefCell::new(Vec::new());
            let page = calendar(today, &|day| {
                shown.borrow_mut().push(day);
                Day::Complete
            });
            let mut shown = shown.into_inner();
            shown.sort();
            assert_eq!((shown.len(), shown.last()), (90, Some(&today)));
            assert_eq!(page.into_string().matches(r#"class="complete""#).count(), 90);
        }
    }
}

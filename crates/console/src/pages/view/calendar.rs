//! The last ninety days, one cell each: weeks from left to right, days of the week from top to bottom.

use jiff::{ToSpan, civil::Date};
use maud::{Markup, html};

/// How many days are shown.
pub const DAYS: i64 = 90;

/// How a day went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    /// A backup was made, and is sound.
    Made,
    /// A backup was made, and has faults.
    Unverified,
    /// None was made, and one was due.
    Failed,
    /// None is known of: perhaps nothing was here yet.
    None,
    /// It is today, and the hour has not come.
    ToCome,
}

impl Day {
    const ALL: [Self; 5] = [Self::Made, Self::Unverified, Self::Failed, Self::None, Self::ToCome];

    const fn class(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Unverified => "unverified",
            Self::Failed => "failed",
            Self::None => "none",
            Self::ToCome => "to-come",
        }
    }

    const fn sign(self) -> &'static str {
        match self {
            Self::Made => "✓",
            Self::Unverified => "!",
            Self::Failed => "✕",
            Self::None => "·",
            Self::ToCome => "…",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Made => "backup made",
            Self::Unverified => "backup with faults",
            Self::Failed => "no backup: failed or missed",
            Self::None => "nothing known",
            Self::ToCome => "still to come",
        }
    }
}

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The grid. `of` says how a day went.
pub fn calendar(today: Date, of: &dyn Fn(Date) -> Day) -> Markup {
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
        ul.key aria-label="Signs" { @for day in Day::ALL { li { (day.sign()) " " (day.words()) } } }
    }
}

fn cell(day: Date, first: Date, today: Date, of: &dyn Fn(Date) -> Day) -> Markup {
    if day < first || day > today {
        return html! { td.before {} };
    }
    let went = of(day);
    let said = format!("{}: {}", day.strftime("%-d %B %Y"), went.words());
    html! { td.(went.class()) title=(said) { span aria-hidden="true" { (went.sign()) } span.unseen { (said) } } }
}

/// The name of a month stands over the first week that begins in it, but not where the next month's would touch it.
fn month_over(weeks: &[Date], at: usize) -> String {
    let begins = at == 0 || weeks[at - 1].month() != weeks[at].month();
    let has_room = weeks.get(at + 1).is_some_and(|next| next.month() == weeks[at].month());
    if begins && has_room { weeks[at].strftime("%b").to_string() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_ninety_days_that_end_today() {
        for today in ["2026-01-01", "2026-03-01", "2024-02-29", "2026-11-23"] {
            let today: Date = today.parse().expect("a date");
            let shown = std::cell::RefCell::new(Vec::new());
            let page = calendar(today, &|day| {
                shown.borrow_mut().push(day);
                Day::Made
            });
            let mut shown = shown.into_inner();
            shown.sort();
            assert_eq!((shown.len(), shown.last()), (90, Some(&today)));
            assert_eq!(page.into_string().matches(r#"class="made""#).count(), 90);
        }
    }
}

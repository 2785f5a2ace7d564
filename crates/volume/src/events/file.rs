//! Events in files: one a day, `.moorline/events/YYYYMMDD.clef`, the oldest removed.

use crate::presence;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use serde_json::{Map, Value};

use super::{Event, LOG_TARGET, Level};
use crate::{
    Volume, durable,
    error::{IoContext, Result},
};

/// A day's file takes no more: something that fails again and again must not fill the volume.
const LARGEST_DAY: u64 = 1 << 20;
/// Kept free of what people can make happen as often as they like: that a backup failed is told on such a day, too.
const RESERVED: u64 = LARGEST_DAY / 2;
/// All of them together take no more, whatever the oldest day says.
const LARGEST_ALL: u64 = 8 << 20;
const EXTENSION: &str = "clef";

/// Where an event stands. Places are ordered as the events were written, and a place names one event for as long as it
/// is kept: `20260131-0000001234`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The day's file, `20260131`.
    pub day: String,
    /// The offset of its line.
    pub offset: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{:010}", self.day, self.offset)
    }
}

impl std::str::FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let (day, offset) = text.split_once('-').ok_or(())?;
        let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if day.len() != 8 || !all_digits(day) || offset.len() != 10 || !all_digits(offset) {
            return Err(());
        }
        Ok(Self { day: day.to_owned(), offset: offset.parse().map_err(drop)? })
    }
}

/// An event as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Where it stands; names it.
    pub place: Place,
    /// The line: `@t`, `@mt`, `@l`, `@i` and the properties.
    pub fields: Map<String, Value>,
}

impl Stored {
    /// When it happened.
    #[must_use]
    pub fn at(&self) -> Option<jiff::Timestamp> {
        self.text("@t").parse().ok()
    }

    /// Its event type.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("@i")
    }

    /// Its level, `Information` where the line has none.
    #[must_use]
    pub fn level(&self) -> &str {
        Some(self.text("@l")).filter(|level| !level.is_empty()).unwrap_or(Level::Information.name())
    }

    /// Its properties.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.fields.iter().filter(|(name, _)| !name.starts_with('@')).map(|(name, value)| (name.as_str(), value))
    }

    /// Its message: the template with the properties filled in.
    #[must_use]
    pub fn message(&self) -> String {
        let mut message = String::new();
        let mut rest = self.text("@mt");
        while let Some((before, after)) = rest.split_once('{') {
            message.push_str(before);
            let Some((name, tail)) = after.split_once('}') else {
                message.push('{');
                rest = after;
                continue;
            };
            match self.fields.get(name) {
                Some(Value::String(text)) => message.push_str(text),
                Some(value) => message.push_str(&value.to_string()),
                None => message.push_str(&format!("{{{name}}}")),
            }
            rest = tail;
        }
        message + rest
    }

    fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Where events are kept.
#[must_use]
pub fn folder(volume: &Volume) -> PathBuf {
    volume.own().join("events")
}

/// Writes an event down, if it can be; says on the log that it cannot.
pub fn record(volume: &Volume, event: &Event) {
    let line = event.to_clef();
    let level = match event.kind.level() {
        Level::Information => log::Level::Info,
        Level::Warning => log::Level::Warn,
        Level::Error => log::Level::Error,
    };
    log::log!(target: LOG_TARGET, level, "{line}");
    let room = if event.kind.is_at_will() { LARGEST_DAY - RESERVED } else { LARGEST_DAY };
    match write(&folder(volume), event.at, &line, room) {
        Ok(true) => {}
        Ok(false) => tell_of_full_day(event),
        Err(error) => log::warn!("an event was not written down: {error}"),
    }
}

/// Once a day and process.
fn tell_of_full_day(event: &Event) {
    static TOLD: Mutex<String> = Mutex::new(String::new());
    let day = day_of(event.at);
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if *told != day {
        log::warn!("events of this day are not written down any more, from {} on: there are too many", event.kind);
        *told = day;
    }
}

fn day_of(at: jiff::Timestamp) -> String {
    at.strftime("%Y%m%d").to_string()
}

/// Whether there was room for it.
fn write(folder: &Path, at: jiff::Timestamp, line: &str, room: u64) -> Result<bool> {
    if !presence::is_dir(folder)? {
        match fs::DirBuilder::new().mode(0o700).create(folder) {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(cause).on("create", folder),
            _ => {}
        }
    }
    let path = file_of(folder, &day_of(at));
    let is_new = !presence::exists(&path)?;
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path).on("open", &path)?;
    if file.metadata().on("look at", &path)?.len() + line.len() as u64 >= room {
        return Ok(false);
    }
    // One write, so that lines of two processes do not mix.
    file.write_all(format!("{line}\n").as_bytes()).on("write", &path)?;
    if is_new {
        remove_oldest(folder)?;
    }
    Ok(true)
}

fn remove_oldest(folder: &Path) -> Result<()> {
    let mut all = 0;
    for day in days(folder)?.iter().rev() {
        let path = file_of(folder, day);
        all += presence::target(&path)?.map_or(0, |meta| meta.len());
        // The newest day is there whatever it takes.
        if all > LARGEST_ALL {
            durable::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Up to `count` events that were written after `place`, oldest first; from the first where there is no place.
///
/// # Errors
/// Where the folder or a file cannot be read.
pub fn read_after(volume: &Volume, place: Option<&Place>, count: usize) -> Result<Vec<Stored>> {
    let folder = folder(volume);
    let mut found = Vec::new();
    for day in days(&folder)? {
        if place.is_some_and(|place| day < place.day) {
            continue;
        }
        // A file that ends before the place is another than the one that it was in.
        let length = presence::target(&file_of(&folder, &day))?.map_or(0, |meta| meta.len());
        let after = place.filter(|place| place.day == day && place.offset < length);
        let events = read_day(&folder, &day, after.map_or(0, |place| place.offset), None)?;
        found.extend(events.into_iter().filter(|event| after.is_none_or(|place| event.place > *place)));
        if found.len() >= count {
            found.truncate(count);
            break;
        }
    }
    Ok(found)
}

/// Up to `count` events that were written before `place`, newest first, of those that `wanted` takes.
///
/// # Errors
/// Where the folder or a file cannot be read.
pub fn read_before(
    volume: &Volume,
    place: Option<&Place>,
    count: usize,
    wanted: &dyn Fn(&Stored) -> bool,
) -> Result<Vec<Stored>> {
    let folder = folder(volume);
    let mut found = Vec::new();
    for day in days(&folder)?.into_iter().rev() {
        if place.is_some_and(|place| day > place.day) {
            continue;
        }
        let end = place.filter(|place| place.day == day).map(|place| place.offset);
        let events = read_day(&folder, &day, 0, end)?;
        found.extend(events.into_iter().rev().filter(wanted).take(count - found.len()));
        if found.len() >= count {
            break;
        }
    }
    Ok(found)
}

fn read_day(folder: &Path, day: &str, start: u64, end: Option<u64>) -> Result<Vec<Stored>> {
    let path = file_of(folder, day);
    let mut file = match File::open(&path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.on("open", &path)?,
    };
    file.seek(SeekFrom::Start(start)).on("read", &path)?;
    let length = end.unwrap_or(2 * LARGEST_DAY).saturating_sub(start);
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).on("read", &path)?;
    let mut offset = start;
    let mut events = Vec::new();
    // What does not end in a line feed is still being written.
    for line in bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        if let Ok(fields) = serde_json::from_slice(line) {
            events.push(Stored { place: Place { day: day.to_owned(), offset }, fields });
        }
        offset += line.len() as u64;
    }
    Ok(events)
}

fn days(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.on("list", folder)?,
    };
    let mut days = Vec::new();
    for entry in entries {
        let name = entry.on("list", folder)?.file_name();
        let day = name.to_str().and_then(|name| name.strip_suffix(".clef"));
        days.extend(
            day.filter(|day| day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit())).map(str::to_owned),
        );
    }
    days.sort();
    Ok(days)
}

fn file_of(folder: &Path, day: &str) -> PathBuf {
    folder.join(format!("{day}.{EXTENSION}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Kind;

    fn volume() -> (tempfile::TempDir, Volume) {
        let dir = tempfile::tempdir().expect("a folder");
        let volume = Volume::open(dir.path()).expect("opens");
        volume.prepare().expect("writable");
        (dir, volume)
    }

    fn script(number: usize) -> Event {
        Event::new(Kind::ScriptRan).with("Script", format!("{number}.sh"))
    }

    fn on(day: &str, number: usize) -> Event {
        Event { at: format!("{day}T12:00:00Z").parse().expect("a time"), ..script(number) }
    }

    fn messages(events: &[Stored]) -> Vec<String> {
        events.iter().map(Stored::message).collect()
    }

    #[test]
    fn a_file_that_was_shortened_is_read_from_its_start() {
        let (_dir, volume) = volume();
        for number in 1..4 {
            record(&volume, &on("2026-01-30", number));
        }
        let last = read_after(&volume, None, 10).expect("reads").pop().expect("three");
        fs::write(file_of(&folder(&volume), "20260130"), "").expect("writes");
        record(&volume, &on("2026-01-30", 4));
        let found = read_after(&volume, Some(&last.place), 10).expect("reads");
        assert_eq!(messages(&found), ["Init script 4.sh is done"]);
    }

    #[test]
    fn what_is_written_is_read_in_order_and_from_a_place_on() {
        let (_dir, volume) = volume();
        assert!(read_after(&volume, None, 10).expect("reads").is_empty());
        for (day, number) in [("2026-01-30", 1), ("2026-01-30", 2), ("2026-01-31", 3), ("2026-02-01", 4)] {
            record(&volume, &on(day, number));
        }
        let all = read_after(&volume, None, 10).expect("reads");
        let said: Vec<String> = (1..=4).map(|number| format!("Init script {number}.sh is done")).collect();
        assert_eq!(messages(&all), said);
        assert_eq!((all[0].kind(), all[0].level()), ("ScriptRan", "Information"));
        for (at, event) in all.iter().enumerate() {
            let place: Place = event.place.to_string().parse().expect("is its own text");
            assert_eq!(messages(&read_after(&volume, Some(&place), 10).expect("reads")), said[at + 1..]);
            assert_eq!(messages(&read_after(&volume, Some(&place), 1).expect("reads")).len(), usize::from(at < 3));
            let before: Vec<String> = said[..at].iter().rev().cloned().collect();
            assert_eq!(messages(&read_before(&volume, Some(&place), 10, &|_| true).expect("reads")), before);
        }
        let third = |event: &Stored| event.fields["Script"] == "3.sh";
        assert_eq!(messages(&read_before(&volume, None, 1, &third).expect("reads")), said[2..3]);
    }

    #[test]
    fn a_line_that_is_not_whole_is_no_event_and_those_around_it_are() {
        let (_dir, volume) = volume();
        record(&volume, &on("2026-01-31", 1));
        let path = file_of(&folder(&volume), "20260131");
        let whole = fs::read(&path).expect("is there");
        // Damaged in the middle, and cut off at the end.
        let text = [&whole[..], b"{\"@t\":\n\xff\xfe\n", &whole, &whole[..20]].concat();
        fs::write(&path, text).expect("writes");
        let found = read_after(&volume, None, 10).expect("reads");
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].place.offset, whole.len() as u64 + 10);
        // What is still being written is read when it is.
        let mut file = OpenOptions::new().append(true).open(&path).expect("opens");
        file.write_all(&whole[20..]).expect("writes");
        assert_eq!(read_after(&volume, Some(&found[1].place), 10).expect("reads").len(), 1);
    }

    #[test]
    fn a_day_is_bounded_and_the_oldest_days_go() {
        let (_dir, volume) = volume();
        let long = "x".repeat(100_000);
        for day in 1..=12 {
            for _ in 0..12 {
                let event = on(&format!("2026-01-{day:02}"), day).with("Long", long.clone());
                record(&volume, &event);
            }
        }
        let days = days(&folder(&volume)).expect("reads");
        let sizes = days.iter().map(|day| fs::metadata(file_of(&folder(&volume), day)).expect("is there").len());
        let sizes: Vec<u64> = sizes.collect();
        assert!(
            sizes.iter().all(|size| *size <= LARGEST_DAY) && sizes.iter().sum::<u64>() <= LARGEST_ALL + LARGEST_DAY
        );
        assert_eq!(days.last().map(String::as_str), Some("20260112"));
        assert!((7..12).contains(&days.len()), "{days:?}");
        // A file of somebody else is neither read nor removed.
        fs::write(folder(&volume).join("notes.clef"), "").expect("writes");
        record(&volume, &on("2026-01-13", 13));
        assert!(presence::exists(&folder(&volume).join("notes.clef")).expect("looks"));
    }

    #[test]
    fn what_people_can_make_happen_leaves_room_for_the_rest() {
        let (_dir, volume) = volume();
        let long = "x".repeat(10_000);
        let at: jiff::Timestamp = "2026-01-31T12:00:00Z".parse().expect("a time");
        for _ in 0..200 {
            let event = Event::new(Kind::LoginFailed).with("Username", long.clone());
            record(&volume, &Event { at, ..event });
        }
        record(&volume, &Event { at, ..Event::new(Kind::BackupFailed) });
        let found = read_after(&volume, None, 1000).expect("reads");
        assert!(found.len() < 60, "{}", found.len());
        assert_eq!(found.last().map(Stored::kind), Some("BackupFailed"));
    }

    #[test]
    fn lines_that_are_written_at_the_same_time_do_not_mix() {
        let (_dir, volume) = volume();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let volume = &volume;
                scope.spawn(move || {
                    for number in 0..100 {
                        record(volume, &script(writer * 100 + number).with("Long", "y".repeat(3000)));
                    }
                });
            }
        });
        let mut found: Vec<String> = read_after(&volume, None, 1000)
            .expect("reads")
            .iter()
            .map(|event| event.fields["Script"].to_string())
            .collect();
        found.sort();
        found.dedup();
        // A day takes a mebibyte; what did not fit was left out whole.
        assert!(found.len() > 300, "{}", found.len());
        let text =
            fs::read_to_string(file_of(&folder(&volume), &days(&folder(&volume)).expect("reads")[0])).expect("text");
        assert_eq!(text.lines().filter(|line| serde_json::from_str::<Value>(line).is_err()).count(), 0);
    }

    #[test]
    fn where_nothing_can_be_written_nothing_fails() {
        let (_dir, volume) = volume();
        fs::write(folder(&volume), "in the way").expect("writes");
        record(&volume, &script(1));
        assert!(read_after(&volume, None, 1).is_err());
    }

    #[test]
    fn a_place_is_what_was_made_of_one() {
        for text in ["20260131", "20260131-1", "2026013-0000000001", "20260131-000000000x", "20260131-00000000001", "-"]
        {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
        let place: Place = "20260131-0000001234".parse().expect("is one");
        assert_eq!(
            (place.day.as_str(), place.offset, place.to_string().as_str()),
            ("20260131", 1234, "20260131-0000001234")
        );
        assert!(place < "20260201-0000000000".parse().expect("is one"));
    }
}

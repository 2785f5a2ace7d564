//! The files of events: one per day, `.moorline/events/YYYYMMDD.clef`. The oldest files are removed.

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
    error::{Code, Error, IoContext, Result},
};

/// The largest size of a day's file, so that something that keeps failing cannot fill the volume.
const LARGEST_DAY: u64 = 1 << 20;
/// The part of a day's file that is reserved for events which users cannot cause at will, so that a failed backup is
/// recorded even on a day with many failed logins.
const RESERVED: u64 = LARGEST_DAY / 2;
/// The largest size of all files together.
const LARGEST_ALL: u64 = 8 << 20;
const EXTENSION: &str = "clef";

/// The position of an event, `20260131-0000001234`. Positions have the order of writing and identify an event for as long
/// as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventPosition {
    /// The day of the file, `20260131`.
    pub day: String,
    /// The byte offset of its line.
    pub offset: u64,
}

impl std::fmt::Display for EventPosition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{:010}", self.day, self.offset)
    }
}

impl std::str::FromStr for EventPosition {
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

/// An event that was read from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its position, which identifies it.
    pub position: EventPosition,
    /// The line: `@t`, `@mt`, `@l`, `@i` and the properties.
    pub fields: Map<String, Value>,
}

impl Stored {
    /// The time, if the line has a valid one.
    #[must_use]
    pub fn at(&self) -> Option<jiff::Timestamp> {
        self.text("@t").parse().ok()
    }

    /// The event type.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("@i")
    }

    /// The level; `Information` if the line has none.
    #[must_use]
    pub fn level(&self) -> &str {
        Some(self.text("@l")).filter(|level| !level.is_empty()).unwrap_or(Level::Information.name())
    }

    /// The properties.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.fields.iter().filter(|(name, _)| !name.starts_with('@')).map(|(name, value)| (name.as_str(), value))
    }

    /// The message: the template with the properties filled in.
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

/// The folder of events.
#[must_use]
pub fn folder(volume: &Volume) -> PathBuf {
    volume.own().join("events")
}

/// Records an event. If that fails, only a warning is logged.
pub fn record(volume: &Volume, event: &Event) {
    let line = event.to_clef();
    let level = match event.kind.level() {
        Level::Information => log::Level::Info,
        Level::Warning => log::Level::Warn,
        Level::Error => log::Level::Error,
    };
    log::log!(target: LOG_TARGET, level, "{line}");
    let room = if event.kind.can_be_caused_by_users() { LARGEST_DAY - RESERVED } else { LARGEST_DAY };
    match write(&folder(volume), event.at, &line, room) {
        Ok(true) => {}
        Ok(false) => log_full_day(event),
        Err(error) => log::warn!("cannot record an event: {error}"),
    }
}

/// Logs that the day's file is full, once per day and process.
fn log_full_day(event: &Event) {
    static LOGGED: Mutex<String> = Mutex::new(String::new());
    let day = day_of(event.at);
    let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    if *logged != day {
        log::warn!("too many events today: {} and later ones are not recorded", event.kind);
        *logged = day;
    }
}

fn day_of(at: jiff::Timestamp) -> String {
    at.strftime("%Y%m%d").to_string()
}

/// Appends a line; `false` if the file would become larger than `room`.
fn write(folder: &Path, at: jiff::Timestamp, line: &str, room: u64) -> Result<bool> {
    if presence::entry(folder)?.is_some_and(|meta| meta.is_symlink()) {
        return Err(Error::new(Code::Unexpected, format!("{} is a link, and must be a folder", folder.display())));
    }
    if !presence::is_dir(folder)? {
        match fs::DirBuilder::new().mode(0o700).create(folder) {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(cause).on("create", folder),
            _ => {}
        }
    }
    let path = file_of(folder, &day_of(at));
    let is_new = !presence::exists(&path)?;
    // A link could lead root to a file of root's.
    let mut open = OpenOptions::new();
    open.append(true).create(true).mode(0o600).custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK);
    let mut file = open.open(&path).on("open", &path)?;
    if file.metadata().on("access", &path)?.len() + line.len() as u64 >= room {
        return Ok(false);
    }
    // A single write, so that lines of two processes do not mix.
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
        // The newest day is never over the limit alone.
        if all > LARGEST_ALL {
            durable::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Up to `count` events after `position`, oldest first; from the first event if `position` is `None`.
pub fn read_after(volume: &Volume, position: Option<&EventPosition>, count: usize) -> Result<Vec<Stored>> {
    let folder = folder(volume);
    let mut found = Vec::new();
    for day in days(&folder)? {
        if position.is_some_and(|position| day < position.day) {
            continue;
        }
        // If the file is shorter than the offset, it was replaced, so it is read from its start.
        let length = presence::target(&file_of(&folder, &day))?.map_or(0, |meta| meta.len());
        let after = position.filter(|position| position.day == day && position.offset < length);
        let events = read_day(&folder, &day, after.map_or(0, |position| position.offset), None)?;
        found.extend(events.into_iter().filter(|event| after.is_none_or(|position| event.position > *position)));
        if found.len() >= count {
            found.truncate(count);
            break;
        }
    }
    Ok(found)
}

/// Up to `count` events before `position` that `wanted` accepts, newest first.
pub fn read_before(
    volume: &Volume,
    position: Option<&EventPosition>,
    count: usize,
    wanted: &dyn Fn(&Stored) -> bool,
) -> Result<Vec<Stored>> {
    let folder = folder(volume);
    let mut found = Vec::new();
    for day in days(&folder)?.into_iter().rev() {
        if position.is_some_and(|position| day > position.day) {
            continue;
        }
        let end = position.filter(|position| position.day == day).map(|position| position.offset);
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
    // A line without a line feed is still being written.
    for line in bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        if let Ok(fields) = serde_json::from_slice(line) {
            events.push(Stored { position: EventPosition { day: day.to_owned(), offset }, fields });
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
        let found = read_after(&volume, Some(&last.position), 10).expect("reads");
        assert_eq!(messages(&found), ["Init script 4.sh is done"]);
    }

    #[test]
    fn events_are_read_in_order_and_from_any_position() {
        let (_dir, volume) = volume();
        assert!(read_after(&volume, None, 10).expect("reads").is_empty());
        for (day, number) in [("2026-01-30", 1), ("2026-01-30", 2), ("2026-01-31", 3), ("2026-02-01", 4)] {
            record(&volume, &on(day, number));
        }
        let all = read_after(&volume, None, 10).expect("reads");
        let expected: Vec<String> = (1..=4).map(|number| format!("Init script {number}.sh is done")).collect();
        assert_eq!(messages(&all), expected);
        assert_eq!((all[0].kind(), all[0].level()), ("ScriptRan", "Information"));
        for (at, event) in all.iter().enumerate() {
            let position: EventPosition = event.position.to_string().parse().expect("is its own text");
            assert_eq!(messages(&read_after(&volume, Some(&position), 10).expect("reads")), expected[at + 1..]);
            assert_eq!(messages(&read_after(&volume, Some(&position), 1).expect("reads")).len(), usize::from(at < 3));
            let before: Vec<String> = expected[..at].iter().rev().cloned().collect();
            assert_eq!(messages(&read_before(&volume, Some(&position), 10, &|_| true).expect("reads")), before);
        }
        let third = |event: &Stored| event.fields["Script"] == "3.sh";
        assert_eq!(messages(&read_before(&volume, None, 1, &third).expect("reads")), expected[2..3]);
    }

    #[test]
    fn an_incomplete_line_is_ignored_and_the_lines_around_it_are_read() {
        let (_dir, volume) = volume();
        record(&volume, &on("2026-01-31", 1));
        let path = file_of(&folder(&volume), "20260131");
        let whole = fs::read(&path).expect("is there");
        // Damaged in the middle, and cut off at the end.
        let text = [&whole[..], b"{\"@t\":\n\xff\xfe\n", &whole, &whole[..20]].concat();
        fs::write(&path, text).expect("writes");
        let found = read_after(&volume, None, 10).expect("reads");
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].position.offset, whole.len() as u64 + 10);
        // The incomplete line is read once it is complete.
        let mut file = OpenOptions::new().append(true).open(&path).expect("opens");
        file.write_all(&whole[20..]).expect("writes");
        assert_eq!(read_after(&volume, Some(&found[1].position), 10).expect("reads").len(), 1);
    }

    #[test]
    fn a_day_is_limited_and_the_oldest_days_are_removed() {
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
        // A file with another name is neither read nor removed.
        fs::write(folder(&volume).join("notes.clef"), "").expect("writes");
        record(&volume, &on("2026-01-13", 13));
        assert!(presence::exists(&folder(&volume).join("notes.clef")).expect("looks"));
    }

    #[test]
    fn events_that_users_cause_leave_room_for_the_others() {
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
        // A day's file takes 1 MiB; further lines were dropped as a whole.
        assert!(found.len() > 300, "{}", found.len());
        let text =
            fs::read_to_string(file_of(&folder(&volume), &days(&folder(&volume)).expect("reads")[0])).expect("text");
        assert_eq!(text.lines().filter(|line| serde_json::from_str::<Value>(line).is_err()).count(), 0);
    }

    #[test]
    fn an_event_that_cannot_be_written_is_not_an_error() {
        let (_dir, volume) = volume();
        fs::write(folder(&volume), "in the way").expect("writes");
        record(&volume, &script(1));
        assert!(read_after(&volume, None, 1).is_err());
    }

    #[test]
    fn only_a_formatted_position_can_be_parsed() {
        for text in ["20260131", "20260131-1", "2026013-0000000001", "20260131-000000000x", "20260131-00000000001", "-"]
        {
            assert!(text.parse::<EventPosition>().is_err(), "{text}");
        }
        let position: EventPosition = "20260131-0000001234".parse().expect("is one");
        assert_eq!(
            (position.day.as_str(), position.offset, position.to_string().as_str()),
            ("20260131", 1234, "20260131-0000001234")
        );
        assert!(position < "20260201-0000000000".parse().expect("is one"));
    }
}

//! Events in files: one a day, `.moorline/events/YYYYMMDD.clef`, the oldest removed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{Event, LOG_TARGET, Level};
use crate::{
    error::{IoContext, Result},
    volume::{Volume, durable},
};

/// A day's file takes no more: something that fails again and again must not fill the volume.
const LARGEST_DAY: u64 = 1 << 20;
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
    if let Err(error) = write(&folder(volume), event.at, &line) {
        log::warn!("an event was not written down: {error}");
    }
}

fn write(folder: &Path, at: jiff::Timestamp, line: &str) -> Result<()> {
    if !folder.is_dir() {
        match fs::DirBuilder::new().mode(0o700).create(folder) {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(cause).on("create", folder),
            _ => {}
        }
    }
    let path = folder.join(format!("{}.{EXTENSION}", at.strftime("%Y%m%d")));
    let is_new = !path.exists();
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path).on("open", &path)?;
    if file.metadata().on("look at", &path)?.len() + line.len() as u64 >= LARGEST_DAY {
        return Ok(());
    }
    // One write, so that lines of two processes do not mix.
    file.write_all(format!("{line}\n").as_bytes()).on("write", &path)?;
    if is_new {
        remove_oldest(folder)?;
    }
    Ok(())
}

fn remove_oldest(folder: &Path) -> Result<()> {
    let mut all = 0;
    for day in days(folder)?.iter().rev() {
        let path = file_of(folder, day);
        all += fs::metadata(&path).map_or(0, |meta| meta.len());
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
        let after = place.filter(|place| place.day == day);
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

//! What is looked at: whether the long way would do anything on this volume but hand over.

use std::ffi::CStr;

use syscalls::Errno;

use super::{
    system::{self, Fd, NOWHERE, Place},
    text::{Buffer, ends_with, equal, place_of, starts_with, texts},
    time,
};
use crate::{entrypoint::BOOT_BACKUP_AGE, volume::lock::HOLDER_SIZE};

/// In seconds.
const BACKUP_AGE: u64 = BOOT_BACKUP_AGE.as_secs().unsigned_abs();

texts! {
    SEQINIT = b"/seqinit\0";
    // It is read at every start, to say at once what is wrong with it.
    PROFILE = b"/etc/moorline/profile.toml\0";
    LOCK = b".moorline/lock\0";
    INIT = b"Init\0";
    LEDGER = b".moorline/init.json\0";
    RESTORES = b".moorline/restores\0";
    QUARANTINE = b".moorline/quarantine.json\0";
    INSTANCE = b".moorline/instance.json\0";
    KEY = b".moorline/secret.key\0";
    BACKUPS = b"Backups\0";
    OWN = b".moorline\0";
    LOST = b"lost+found\0";
    // Where backups are kept, if not in Backups/; and state that is the console's.
    SETTINGS = b".moorline/settings.json\0";
    LOCATION = b"\"BackupLocation\"\0";
    METASTORE = b".moorline/metastore.db\0";
    HERE = b".\0";
    // How the ledger is written, and what it says of a script that is not done with.
    SCRIPTS = b"{\n  \"scripts\": \0";
    WAITING = b"\"waiting\"\0";
    RUNNING = b"\"running\"\0";
    MARKING = b"\"marking\"\0";
    EMPTY_VOLUME = b"\"empty_volume\": true\0";
    // instance.json, as it is written.
    ID = b"{\n  \"id\": \"\0";
    EPOCH = b"\"restore_epoch\": \0";
    FINGERPRINT = b"\"key_fingerprint\": \"\0";
    // The holder of the lock.
    PID = b"{\"pid\":\0";
    HOST = b",\"host\":\"\0";
    SINCE = b"\",\"verb\":\"run\",\"since\":\"\0";
    SERVER = b"\",\"server\":\"\0";
    END = b"\"}\0";
}

/// A volume on which there is nothing to do, and its lock.
#[derive(Debug)]
pub struct Quiet {
    lock: Fd,
    /// Who the volume is.
    pub instance: Instance,
}

/// What `instance.json` says, as far as the server is told.
#[derive(Debug)]
pub struct Instance {
    /// The instance id, in hexadecimal.
    pub id: [u8; 32],
    /// Of the key that its backups are sealed with, in hexadecimal.
    fingerprint: [u8; 32],
    /// How many restores it has seen, in digits.
    pub epoch: Buffer<8>,
}

impl Quiet {
    /// Takes the lock and looks. `None` where there is something to do, or anything is not as it nearly always is.
    #[inline(always)]
    pub fn look(storage: &CStr, boot_backup: bool) -> Option<Self> {
        let root = system::folder(storage)?;
        // Where stdin, stdout or stderr is closed, a file of ours would be taken for it.
        let quiet = if root > 2 { Self::look_at(root, boot_backup) } else { None };
        system::close(root);
        quiet
    }

    #[inline(always)]
    fn look_at(root: Fd, boot_backup: bool) -> Option<Self> {
        let lock = system::file_to_keep(root, LOCK)?;
        let looked = system::lock(lock).and_then(|()| nothing_to_do(root, lock, boot_backup));
        if looked.is_none() {
            system::close(lock);
        }
        looked.map(|instance| Self { lock, instance })
    }

    /// The lock is free again.
    #[inline(always)]
    pub fn let_go(&self) {
        system::close(self.lock);
    }
}

#[inline(always)]
fn nothing_to_do(root: Fd, lock: Fd, boot_backup: bool) -> Option<Instance> {
    is_missing(NOWHERE, PROFILE)?;
    no_script_waits(root)?;
    is_empty(root, RESTORES)?;
    is_missing(root, QUARANTINE)?;
    let instance = Instance::read(root)?;
    key_was_checked(root)?;
    let now = system::now()?;
    if boot_backup {
        backups_are_here(root)?;
    }
    if boot_backup && has_backup(root, &instance, now).is_none() {
        holds_no_state(root)?;
    }
    write_holder(lock, now)?;
    Some(instance)
}

#[inline(always)]
fn no_script_waits(root: Fd) -> Option<()> {
    if system::find_name(NOWHERE, SEQINIT, |_, _| true) != Err(Errno::ENOENT) {
        return None;
    }
    let waits = |name: &[u8]| {
        !(starts_with(name, b".")
            || ends_with(name, b".done")
            || ends_with(name, b".failed")
            || ends_with(name, b".log"))
    };
    if system::find_name(root, INIT, |_, name| waits(name.to_bytes())) != Ok(false) {
        return None;
    }
    let unfinished = |ledger: &[u8], place: Place| {
        let has = |word: &CStr| place_of(ledger, word.to_bytes()).is_some();
        let damaged =
            (place.first && !starts_with(ledger, SCRIPTS.to_bytes())) || (place.last && !ends_with(ledger, b"\n}\n"));
        damaged || has(WAITING) || has(RUNNING) || has(MARKING) || has(EMPTY_VOLUME)
    };
    if system::find_piece(root, LEDGER, unfinished).ok()? { None } else { Some(()) }
}

#[inline(always)]
fn is_empty(root: Fd, path: &CStr) -> Option<()> {
    (system::find_name(root, path, |_, _| true) == Ok(false)).then_some(())
}

#[inline(always)]
fn is_missing(root: Fd, path: &CStr) -> Option<()> {
    system::look(root, path).ok()?.is_none().then_some(())
}

impl Instance {
    #[inline(always)]
    fn read(root: Fd) -> Option<Self> {
        let mut buffer = Buffer::new();
        let text = system::read(root, INSTANCE, &mut buffer).ok()??;
        if !starts_with(text, ID.to_bytes()) || !ends_with(text, b"\n}\n") {
            return None;
        }
        // Without one it has no key yet.
        let fingerprint = text.get(place_of(text, FINGERPRINT.to_bytes())?..)?.first_chunk()?;
        let id = text.get(ID.count_bytes()..)?.first_chunk()?;
        let digits = text.get(place_of(text, EPOCH.to_bytes())?..)?;
        let mut instance = Self { id: *id, fingerprint: *fingerprint, epoch: Buffer::new() };
        for digit in digits {
            match digit {
                b'0'..=b'9' => instance.epoch.push(*digit)?,
                b',' | b'\n' => break,
                _ => return None,
            }
        }
        let epoch = instance.epoch.as_bytes();
        let is_number = epoch.first().is_some_and(|first| *first != b'0' || epoch.len() == 1);
        if is_number { Some(instance) } else { None }
    }
}

/// The volume's own key is the one whose fingerprint was written down: nothing has touched its file since.
#[inline(always)]
fn key_was_checked(root: Fd) -> Option<()> {
    let key = system::look(root, KEY).ok()??;
    let instance = system::look(root, INSTANCE).ok()??;
    (key.mode & 0o077 == 0 && key.changed <= instance.modified).then_some(())
}

/// No setting names another folder for them.
#[inline(always)]
fn backups_are_here(root: Fd) -> Option<()> {
    let elsewhere = |settings: &[u8], _: Place| place_of(settings, LOCATION.to_bytes()).is_some();
    (system::find_piece(root, SETTINGS, elsewhere) == Ok(false)).then_some(())
}

/// One of this instance of today or yesterday, by its name, that is no older than a day, by its header.
#[inline(always)]
fn has_backup(root: Fd, instance: &Instance, now: u64) -> Option<()> {
    let days = [time::day(now)?, time::day(now.checked_sub(BACKUP_AGE)?)?];
    let is_recent = |folder: Fd, name: &CStr| {
        let text = name.to_bytes();
        ends_with(text, b".seqbac")
            && !starts_with(text, b".")
            && days.iter().any(|day| place_of(text, day).is_some())
            && header_fits(folder, name, instance, now).is_some()
    };
    (system::find_name(root, BACKUPS, is_recent) == Ok(true)).then_some(())
}

/// There is nothing on it but what is ours, so there is nothing to back up.
#[inline(always)]
fn holds_no_state(root: Fd) -> Option<()> {
    is_missing(root, METASTORE)?;
    let is = |name: &CStr, own: &CStr| equal(name.to_bytes(), own.to_bytes());
    let is_state = |_, name: &CStr| !(is(name, OWN) || is(name, INIT) || is(name, BACKUPS) || is(name, LOST));
    (system::find_name(root, HERE, is_state) == Ok(false)).then_some(())
}

/// `docs/seqbac.md`, "Header". A header is short; the rest of the file is not read.
#[inline(always)]
fn header_fits(folder: Fd, name: &CStr, instance: &Instance, now: u64) -> Option<()> {
    let mut buffer = Buffer::new();
    let header = system::read_start(folder, name, &mut buffer)?;
    let length = u32::from_le_bytes(header.get(12..16)?.try_into().ok()?);
    let fields = header.get(60..usize::try_from(length).ok()?.checked_sub(36)?)?;
    let created = u64::from_le_bytes(header.get(20..28)?.try_into().ok()?) / 1000;
    // Version 1, no flag that must be understood, and the only suite and compression that there are.
    let known = header.get(8) == Some(&1) && header.get(10) == Some(&0) && matches!(header.get(16..20)?, [1, 1, 0, 0]);
    let fits = starts_with(header, b"\x89SBC\r\n\x1a\n")
        && known
        && created <= now
        && now - created < BACKUP_AGE
        && is_hex(header.get(44..60)?, &instance.fingerprint)
        && has_id(fields, &instance.id);
    fits.then_some(())
}

/// Whether the header's fields name this instance.
#[inline(always)]
fn has_id(mut fields: &[u8], id: &[u8; 32]) -> bool {
    while let Some((&[kind, 0, low, high], rest)) = fields.split_first_chunk() {
        let Some((value, rest)) = rest.split_at_checked(usize::from(u16::from_le_bytes([low, high]))) else { break };
        if kind == 2 {
            return is_hex(value, id);
        }
        fields = rest;
    }
    false
}

/// Whether sixteen bytes are these in hexadecimal.
#[inline(always)]
fn is_hex(bytes: &[u8], text: &[u8; 32]) -> bool {
    let hex = |digit: u8| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
    bytes.len() == 16
        && bytes.iter().zip(text.as_chunks().0).all(|(byte, &text)| [hex(byte >> 4), hex(byte & 15)] == text)
}

/// For the person who reads that the volume is in use.
#[inline(always)]
fn write_holder(lock: Fd, now: u64) -> Option<()> {
    let mut names = Buffer::new();
    let host = system::host(&mut names)?;
    if !host.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')) {
        return None;
    }
    let time = time::text(now)?;
    let mut pid = *b"          ";
    time::put_number(&mut pid, system::process_id());
    let mut holder = Buffer::<HOLDER_SIZE>::new();
    holder.add(PID.to_bytes())?;
    holder.add(&pid)?;
    holder.add(HOST.to_bytes())?;
    holder.add(host)?;
    holder.add(SINCE.to_bytes())?;
    holder.add(&time)?;
    holder.add(SERVER.to_bytes())?;
    holder.add(&time)?;
    holder.add(END.to_bytes())?;
    holder.fill();
    system::write(lock, holder.as_bytes())
}

//! System calls, made directly: no C library is there yet, so neither is `errno`.

use std::{
    ffi::{CStr, c_char},
    ptr,
};

use syscalls::{Errno, Sysno, syscall};

use super::text::{self, Buffer};
use crate::process::{
    signals::Mask,
    start::{IOPRIO_IDLE, IOPRIO_WHO_PROCESS, NICE},
};

/// A descriptor of this process.
pub type Fd = usize;

/// `openat` with a path that is absolute.
pub const NOWHERE: Fd = -100_isize as usize;

/// What is read of a file, or of a folder at a time: on the stack, of which every page costs.
pub const PIECE: usize = 1024;

/// As long as the name of a host can be, with the NUL.
pub const HOST: usize = 65;

const O_DIRECTORY: usize = if cfg!(target_arch = "aarch64") { 0o40_000 } else { 0o200_000 };
const O_CLOEXEC: usize = 0o2_000_000;
const O_NONBLOCK: usize = 0o4000;
const AT_EMPTY_PATH: usize = 0x1000;
const O_PATH: usize = 0o10_000_000;
const O_RDWR: usize = 2;
const SIG_SETMASK: usize = 2;
const LOCK_EX_NB: usize = 2 | 4;
const CLOSE_RANGE_CLOEXEC: usize = 4;
const CLOCK_REALTIME: usize = 0;
const CLOCK_MONOTONIC: usize = 1;

/// In nanoseconds.
pub const SECOND: u64 = 1_000_000_000;

/// Sets the mask; the one before.
#[inline(always)]
pub fn set_mask(mask: Mask) -> Option<Mask> {
    let mut old: Mask = 0;
    // SAFETY: both pointers are to live numbers of the size that is given.
    unsafe { syscall!(Sysno::rt_sigprocmask, SIG_SETMASK, &raw const mask, &raw mut old, size_of::<Mask>()) }.ok()?;
    Some(old)
}

/// Whether a signal has come and is held.
#[inline(always)]
pub fn is_signalled() -> bool {
    let mut pending: Mask = 0;
    // SAFETY: the pointer is to a live number of the size that is given.
    let asked = unsafe { syscall!(Sysno::rt_sigpending, &raw mut pending, size_of::<Mask>()) };
    asked.is_err() || pending != 0
}

/// This process's id.
#[inline(always)]
pub fn process_id() -> usize {
    // SAFETY: takes nothing.
    unsafe { syscall!(Sysno::getpid) }.unwrap_or(0)
}

/// Seconds since 1970.
#[inline(always)]
pub fn now() -> Option<u64> {
    let mut time = [0_u64; 2];
    // SAFETY: the pointer is to a live timespec: two numbers of eight bytes.
    unsafe { syscall!(Sysno::clock_gettime, CLOCK_REALTIME, time.as_mut_ptr()) }.ok()?;
    Some(time[0])
}

/// Nanoseconds since some time: what a deadline is told by.
#[inline(always)]
pub fn clock() -> u64 {
    let mut time = [0_u64; 2];
    // SAFETY: the pointer is to a live timespec: two numbers of eight bytes.
    let _ = unsafe { syscall!(Sysno::clock_gettime, CLOCK_MONOTONIC, time.as_mut_ptr()) };
    time[0] * SECOND + time[1]
}

text::texts! {
    NOTHING = b"/dev/null\0";
    TERMINAL = b"/dev/tty\0";
    ROOT = b"/\0";
    EMPTY = b"\0";
}

/// Marks every descriptor that this process was given, but for 0 to 2, to be closed at exec.
#[inline(always)]
pub fn close_on_exec() -> Option<()> {
    // SAFETY: takes numbers; marks descriptors, closes none.
    unsafe { syscall!(Sysno::close_range, 3, u32::MAX, CLOSE_RANGE_CLOEXEC) }.ok().map(drop)
}

/// Opens a folder, to open what is in it.
#[inline(always)]
pub fn folder(path: &CStr) -> Option<Fd> {
    open(NOWHERE, path, O_PATH | O_DIRECTORY | O_CLOEXEC).ok()
}

/// Opens a file that is there, to be read and written by this process and the one that it becomes.
#[inline(always)]
pub fn file_to_keep(folder: Fd, path: &CStr) -> Option<Fd> {
    open(folder, path, O_RDWR).ok()
}

#[inline(always)]
fn open(folder: Fd, path: &CStr, flags: usize) -> Result<Fd, Errno> {
    // SAFETY: the path ends with a NUL and is live through the call.
    unsafe { syscall!(Sysno::openat, folder, path.as_ptr(), flags, 0) }
}

/// Closes a descriptor that this file opened.
#[inline(always)]
pub fn close(fd: Fd) {
    // SAFETY: nobody else has the number.
    let _ = unsafe { syscall!(Sysno::close, fd) };
}

/// Takes the lock of a file, unless somebody has it.
#[inline(always)]
pub fn lock(file: Fd) -> Option<()> {
    // SAFETY: takes numbers.
    unsafe { syscall!(Sysno::flock, file, LOCK_EX_NB) }.ok().map(drop)
}

/// Writes over the beginning of a file.
#[inline(always)]
pub fn write(file: Fd, text: &[u8]) -> Option<()> {
    // SAFETY: the bytes are live through the call.
    unsafe { syscall!(Sysno::pwrite64, file, text.as_ptr(), text.len(), 0) }.ok().map(drop)
}

/// The name of this host.
#[inline(always)]
pub fn host(names: &mut Buffer<{ 6 * HOST }>) -> Option<&[u8]> {
    // SAFETY: the buffer has the size of the kernel's structure, six texts of the same length; the second is the name.
    let names = unsafe {
        syscall!(Sysno::uname, names.room()).ok()?;
        names.written(6 * HOST)
    };
    text::text_in(names.get(HOST..2 * HOST)?).map(CStr::to_bytes)
}

/// What is known of a file without opening it.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Type and permissions.
    pub mode: u32,
    /// When its content changed.
    pub modified: Moment,
    /// When anything of it changed.
    pub changed: Moment,
}

/// Looks at a file. `Ok(None)` where there is none.
#[inline(always)]
pub fn look(folder: Fd, path: &CStr) -> Result<Option<About>, ()> {
    match about(folder, path, 0) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::ENOENT) => Ok(None),
        Err(_) => Err(()),
    }
}

#[inline(always)]
fn about(folder: Fd, path: &CStr, flags: usize) -> Result<About, Errno> {
    const BASIC: usize = 0x7ff;
    let mut stat = Statx::default();
    // SAFETY: the path ends with a NUL, and the buffer has the size of the kernel's structure.
    unsafe { syscall!(Sysno::statx, folder, path.as_ptr(), flags, BASIC, &raw mut stat) }?;
    Ok(About { mode: u32::from(stat.mode), modified: stat.modified, changed: stat.changed })
}

/// Whether this is a regular file that this process may execute.
#[inline(always)]
pub fn is_program(path: &CStr) -> bool {
    const X_OK: usize = 1;
    let regular = about(NOWHERE, path, 0).is_ok_and(|found| found.mode & 0o170_000 == 0o100_000);
    // SAFETY: the path ends with a NUL.
    regular && unsafe { syscall!(Sysno::faccessat, NOWHERE, path.as_ptr(), X_OK) }.is_ok()
}

/// The kernel's `struct statx`, as far as it is used.
#[repr(C)]
#[derive(Default)]
struct Statx {
    _mask_to_gid: [u32; 5 + 2],
    mode: u16,
    _spare: u16,
    _ino: u64,
    _size_blocks_and_attributes: [u64; 3],
    _accessed: Moment,
    _born: Moment,
    changed: Moment,
    modified: Moment,
    _rest: [u64; 16],
}

/// Since 1970.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Moment {
    seconds: i64,
    nanoseconds: u32,
    _spare: i32,
}

/// Opens a file to read it. Nobody is waited for: what looks like a file may be a pipe that nobody writes into.
#[inline(always)]
fn open_regular(folder: Fd, path: &CStr) -> Result<Fd, Errno> {
    const S_IFMT: u32 = 0o170_000;
    const S_IFREG: u32 = 0o100_000;
    let file = open(folder, path, O_CLOEXEC | O_NONBLOCK)?;
    match about(file, EMPTY, AT_EMPTY_PATH) {
        Ok(found) if found.mode & S_IFMT == S_IFREG => Ok(file),
        _ => {
            close(file);
            Err(Errno::EINVAL)
        }
    }
}

/// The beginning of a file.
#[inline(always)]
pub fn read_start<'a>(folder: Fd, path: &CStr, buffer: &'a mut Buffer<PIECE>) -> Option<&'a [u8]> {
    let file = open_regular(folder, path).ok()?;
    let read = read_piece(file, buffer);
    close(file);
    read
}

/// Where in its file a piece is.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// At the beginning.
    pub first: bool,
    /// At the end.
    pub last: bool,
}

/// Looks at each piece of a file until one is `found`. Whether it was; not where there is no such file. Pieces overlap, so
/// that a word of 32 bytes is in one of them.
#[inline(always)]
pub fn find_piece(folder: Fd, path: &CStr, found: impl Fn(&[u8], Place) -> bool) -> Result<bool, Errno> {
    let file = match open_regular(folder, path) {
        Err(Errno::ENOENT) => return Ok(false),
        other => other?,
    };
    let mut buffer = Buffer::<PIECE>::new();
    let mut offset = 0;
    let outcome = loop {
        // SAFETY: the buffer has the length that is given, and the kernel says how much it has written.
        let piece = unsafe {
            syscall!(Sysno::pread64, file, buffer.room(), PIECE, offset).map(|length| buffer.written(length))
        };
        match piece {
            Ok(piece) if found(piece, Place { first: offset == 0, last: piece.len() < PIECE }) => break Ok(true),
            Ok(piece) if piece.len() < PIECE => break Ok(false),
            Ok(_) => offset += PIECE - 32,
            Err(errno) => break Err(errno),
        }
    };
    close(file);
    outcome
}

/// What a file holds, if that is less than a piece. `Ok(None)` where there is no such file.
#[inline(always)]
pub fn read<'a>(folder: Fd, path: &CStr, buffer: &'a mut Buffer<PIECE>) -> Result<Option<&'a [u8]>, ()> {
    let file = match open_regular(folder, path) {
        Ok(file) => file,
        Err(Errno::ENOENT) => return Ok(None),
        Err(_) => return Err(()),
    };
    let read = read_piece(file, buffer);
    close(file);
    read.filter(|text| text.len() < PIECE).map(Some).ok_or(())
}

#[inline(always)]
fn read_piece(file: Fd, buffer: &mut Buffer<PIECE>) -> Option<&[u8]> {
    // SAFETY: the buffer has the length that is given, and the kernel says how much it has written.
    unsafe {
        let length = syscall!(Sysno::read, file, buffer.room(), PIECE).ok()?;
        Some(buffer.written(length))
    }
}

/// Looks at each name in a folder until one is `found`. Whether it was.
#[inline(always)]
pub fn find_name(folder: Fd, path: &CStr, mut found: impl FnMut(Fd, &CStr) -> bool) -> Result<bool, Errno> {
    let listed = open(folder, path, O_DIRECTORY | O_CLOEXEC)?;
    let mut piece = Buffer::<PIECE>::new();
    let outcome = loop {
        // SAFETY: the buffer has the length that is given, and the kernel says how much it has written.
        let entries =
            unsafe { syscall!(Sysno::getdents64, listed, piece.room(), PIECE).map(|length| piece.written(length)) };
        match entries {
            Ok([]) => break Ok(false),
            Ok(entries) if any(entries, |name| found(listed, name)) => break Ok(true),
            Ok(_) => {}
            Err(errno) => break Err(errno),
        }
    };
    close(listed);
    outcome
}

/// Entries of a folder, as the kernel writes them: each has its length at byte 16, and its name at byte 19.
#[inline(always)]
fn any(mut entries: &[u8], mut found: impl FnMut(&CStr) -> bool) -> bool {
    while let Some(&[low, high]) = entries.get(16..18) {
        let size = usize::from(u16::from_ne_bytes([low, high]));
        let name = entries.get(19..size).and_then(text::text_in);
        if name.is_some_and(|name| !matches!(name.to_bytes(), b"." | b"..") && found(name)) {
            return true;
        }
        entries = entries.get(size.max(19)..).unwrap_or_default();
    }
    false
}

/// Becomes another program. Returns only where that fails.
#[inline(always)]
pub fn execute(program: *const c_char, arguments: *const *const c_char, environment: *const *const c_char) -> Errno {
    // SAFETY: the program's name ends with a NUL, the lists with a null; all are live until this process is another.
    unsafe { syscall!(Sysno::execve, program, arguments, environment) }.err().unwrap_or(Errno::ENOEXEC)
}

/// Whether this process has a child, ended or not.
#[inline(always)]
pub fn has_children() -> bool {
    const P_ALL: usize = 0;
    // WNOHANG | WEXITED | WNOWAIT
    let flags = 1 | 4 | 0x0100_0000;
    // SAFETY: nothing is to be filled in.
    let asked = unsafe { syscall!(Sysno::waitid, P_ALL, 0, 0, flags, 0) };
    asked != Err(Errno::ECHILD)
}

/// Whether a terminal controls this process, or may do so.
#[inline(always)]
pub fn has_terminal() -> bool {
    const TIOCGPGRP: usize = 0x540f;
    let mut group = 0_i32;
    // SAFETY: the pointer is to a live number.
    let asked = unsafe { syscall!(Sysno::ioctl, 0, TIOCGPGRP, &raw mut group) };
    match open(NOWHERE, TERMINAL, O_RDWR | O_CLOEXEC) {
        Ok(terminal) => {
            close(terminal);
            true
        }
        Err(errno) => asked.is_ok() || errno != Errno::ENXIO,
    }
}

/// Whether a signal is ignored.
#[inline(always)]
pub fn ignores(signal: i32) -> bool {
    const SIG_IGN: usize = 1;
    // The handler comes first, then flags, a restorer where the architecture has one, and a mask.
    let mut action = [0_usize; 4];
    // SAFETY: the buffer is as large as the kernel's structure; nothing is changed.
    let asked = unsafe { syscall!(Sysno::rt_sigaction, signal, 0, action.as_mut_ptr(), size_of::<Mask>()) };
    asked.is_err() || action[0] == SIG_IGN
}

/// Both ends of a pipe that nobody waits for, to be closed at exec: to read from, to write to.
#[inline(always)]
pub fn pipe() -> Option<[Fd; 2]> {
    let mut ends = [0_u32; 2];
    // SAFETY: the pointer is to two live numbers.
    unsafe { syscall!(Sysno::pipe2, ends.as_mut_ptr(), O_CLOEXEC | O_NONBLOCK) }.ok()?;
    Some(ends.map(|end| end as Fd))
}

/// A copy of this process: its id, and 0 in the copy.
#[inline(always)]
pub fn fork() -> Option<usize> {
    const SIGCHLD: usize = 17;
    // SAFETY: no thread has been started; the copy has its own memory, and goes on here.
    unsafe { syscall!(Sysno::clone, SIGCHLD, 0, 0, 0, 0) }.ok()
}

/// Has a child, or by 0 this process, lead a process group. Both do it, whoever comes first.
#[inline(always)]
pub fn lead_group(process: usize) {
    // SAFETY: takes numbers.
    let _ = unsafe { syscall!(Sysno::setpgid, process, 0) };
}

/// No terminal, no input, no descriptor but three, what it prints goes to the log; and processor and disk are its own only
/// where nobody else wants them: as `start` has a companion stand.
#[inline(always)]
pub fn stand_apart_and_behind() {
    const PRIO_PROCESS: usize = 0;
    let nothing = open(NOWHERE, NOTHING, 0);
    // SAFETY: take numbers; only descriptors of this process, which is a copy, are changed. 40 to 1 stand for -20 to 19.
    unsafe {
        let _ = syscall!(Sysno::setsid);
        match nothing {
            Ok(nothing) => drop(syscall!(Sysno::dup3, nothing, 0, 0)),
            // Rust's runtime opens what is missing.
            Err(_) => drop(syscall!(Sysno::close, 0)),
        }
        let _ = syscall!(Sysno::dup3, 2, 1, 0);
        let _ = syscall!(Sysno::close_range, 3, u32::MAX, 0);
        let nice = syscall!(Sysno::getpriority, PRIO_PROCESS, 0).map_or(0, |found| 20 - found as isize);
        let _ = syscall!(Sysno::setpriority, PRIO_PROCESS, 0, nice + NICE as isize);
        let _ = syscall!(Sysno::ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
    }
}

/// Writes to a pipe.
#[inline(always)]
pub fn tell(pipe: Fd, bytes: &[u8]) {
    // SAFETY: the bytes are live through the call.
    let _ = unsafe { syscall!(Sysno::write, pipe, bytes.as_ptr(), bytes.len()) };
}

/// Whether anything was written into a pipe that nobody waits for. It stays there.
#[inline(always)]
pub fn is_told(pipe: Fd) -> bool {
    const FIONREAD: usize = 0x541b;
    let mut waiting = 0_i32;
    // SAFETY: the pointer is to a live number.
    let asked = unsafe { syscall!(Sysno::ioctl, pipe, FIONREAD, &raw mut waiting) };
    asked.is_err() || waiting != 0
}

/// A directory that nobody else uses can be unmounted.
#[inline(always)]
pub fn leave_directory() {
    // SAFETY: the path ends with a NUL.
    let _ = unsafe { syscall!(Sysno::chdir, ROOT.as_ptr()) };
}

/// A child that has ended, and the status that it left.
#[inline(always)]
pub fn reap() -> Option<(usize, i32)> {
    const ANY: usize = -1_isize as usize;
    const WNOHANG: usize = 1;
    let mut status = 0_i32;
    // SAFETY: the pointer is to a live number.
    let child = unsafe { syscall!(Sysno::wait4, ANY, &raw mut status, WNOHANG, 0) }.ok()?;
    (child != 0).then_some((child, status))
}

/// Waits for one of these signals, for ever or so many nanoseconds: its number, and the process that sent it where one did.
/// `EAGAIN` where none came in time.
#[inline(always)]
pub fn next_signal(set: Mask, longest: Option<u64>) -> Result<(i32, i32), Errno> {
    const SI_USER: i32 = 0;
    let mut info = Buffer::<128>::new();
    let time = longest.map(|longest| [longest / SECOND, longest % SECOND]);
    let time = time.as_ref().map_or(ptr::null(), |time| time.as_ptr());
    // SAFETY: the buffer has the size of the kernel's structure, which it fills in where there is a signal; the time is
    // null or a live timespec.
    let info = unsafe {
        syscall!(Sysno::rt_sigtimedwait, &raw const set, info.room(), time, size_of::<Mask>())?;
        info.written(128)
    };
    // Number, reason, and behind a number that is not looked at and a gap, the sender.
    let number = |at: usize| info.get(at..)?.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes));
    let sender = if number(8) == Some(SI_USER) { number(16) } else { None };
    Ok((number(0).unwrap_or(0), sender.unwrap_or(0)))
}

/// Sends a signal.
#[inline(always)]
pub fn send(process: usize, signal: i32) {
    // SAFETY: takes numbers.
    let _ = unsafe { syscall!(Sysno::kill, process, signal) };
}

/// Lets others have the processor first.
#[inline(always)]
pub fn give_way() {
    // SAFETY: takes nothing.
    let _ = unsafe { syscall!(Sysno::sched_yield) };
}

/// Ends this process.
#[inline(always)]
pub fn exit(code: usize) -> ! {
    loop {
        // SAFETY: takes a number.
        let _ = unsafe { syscall!(Sysno::exit_group, code) };
    }
}

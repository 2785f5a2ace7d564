//! The start of a container in which nothing is to be done: looked at with plain system calls, before the C library and
//! Rust's runtime have been set up, and handed over to the server at once.
//!
//! ```text
//! run [--supervise] -- COMMAND…            no setting of ours in the environment but the few that change nothing here
//! signals held, the lock taken, its holder written down
//! no profile in the image, no restore, no quarantine, no script waiting, the key as it was when it was checked, a backup
//! of today                                 anything else: the lock is let go, and the long way is gone
//! execve, or with --supervise a child, which is there before Rust's runtime has been set up around it
//! ```
//! **It never decides anything**: where the long way of [`super::run`] would do more than hand over, or say a word, this
//! returns, having changed nothing but the holder's name in the lock. What the pages of a program cost when they are
//! first touched (five microseconds each in a virtual machine) is most of what a start costs, so this is a few pages, has
//! no heap, and calls nothing outside of itself: all of it is one function in the program, hence `inline(always)`. Signals stay held on the long way: it is told how they were found.

mod look;
mod stack;
pub mod supervised;
mod system;
mod text;
mod time;

use std::{
    ffi::{CStr, c_char},
    mem::MaybeUninit,
    ptr,
};

use self::{
    look::Quiet,
    stack::Stack,
    text::{Buffer, ends_with, equal, place_of, starts_with, texts},
};
use crate::process::signals::{self, Mask};

/// No more variables than this are passed on, and the null behind them.
const VARIABLES: usize = 256;

/// No longer path is executed.
const PATH_LONGEST: usize = 512;

texts! {
    RUN = b"run\0";
    SUPERVISE = b"--supervise\0";
    DASHES = b"--\0";
    // What begins like this is a setting; with those below a start may be a quiet one all the same.
    OURS = b"MOORLINE_\0";
    SEQS = b"SEQ_\0";
    SOCKETS = b"LISTEN_\0";
    STORAGE = b"MOORLINE_STORAGE=\0";
    LOG_ERROR = b"MOORLINE_LOG=error\0";
    LOG_WARN = b"MOORLINE_LOG=warn\0";
    LOG_INFO = b"MOORLINE_LOG=info\0";
    SUPERVISED = b"MOORLINE_SUPERVISE=1\0";
    NO_BACKUP = b"MOORLINE_NO_BOOT_BACKUP=1\0";
    NO_SERVE = b"MOORLINE_NO_SERVE=1\0";
    LOG_TEXT = b"MOORLINE_LOG_FORMAT=text\0";
    DEFAULT_STORAGE = b"/data\0";
    // What the server is told.
    INSTANCE = b"MOORLINE_INSTANCE=\0";
    EPOCH = b"MOORLINE_RESTORE_EPOCH=\0";
    PATH = b"PATH=\0";
}

// The kernel jumps here, with the arguments on the stack. If the start is not a quiet one, all is as the kernel left
// it, and the C library begins.
#[cfg(all(own_entry_point, target_arch = "x86_64"))]
std::arch::global_asm!(
    ".pushsection .text.quiet,\"ax\",@progbits",
    // Within one piece of what the kernel maps at a time.
    ".p2align 14",
    ".globl moorline_start",
    ".type moorline_start, @function",
    "moorline_start:",
    "mov rbx, rsp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {quiet}",
    "mov rsp, rbx",
    "xor ebp, ebp",
    "jmp _start",
    ".popsection",
    quiet = sym at_entry,
);
#[cfg(all(own_entry_point, target_arch = "aarch64"))]
std::arch::global_asm!(
    ".pushsection .text.quiet,\"ax\",@progbits",
    // Within one piece of what the kernel maps at a time.
    ".p2align 14",
    ".globl moorline_start",
    ".type moorline_start, @function",
    "moorline_start:",
    "mov x19, sp",
    "mov x0, sp",
    "bl {quiet}",
    "mov sp, x19",
    "b _start",
    ".popsection",
    quiet = sym at_entry,
);

/// Returns where the start is not a quiet one, and where a server runs that is looked after.
// SAFETY: nothing else in the program has, or makes anything of, a section of this name.
#[cfg(own_entry_point)]
#[unsafe(link_section = ".text.quiet")]
extern "C" fn at_entry(stack: *const usize) {
    // SAFETY: the kernel has just put arguments and environment there.
    let stack = unsafe { Stack::at(stack) };
    let Some(server) = Server::of(&stack) else { return };
    let Some(found) = system::set_mask(signals::HELD) else { return };
    let storage = stack.environment().value(STORAGE.to_bytes()).unwrap_or(DEFAULT_STORAGE);
    if system::close_on_exec().is_some()
        && let Some(quiet) = Quiet::look(storage, !stack.environment().has(NO_BACKUP))
        && server.start(&quiet, found).is_none()
    {
        // It could not be executed, or was not to be: the long way knows how to say why.
        quiet.let_go();
    }
    signals::held_at_entry(found);
}

/// The server of a start in which nothing is said but which it is.
#[derive(Debug)]
struct Server {
    stack: Stack,
    /// Where in the arguments its program is.
    first: usize,
    program: &'static CStr,
    supervised: bool,
}

impl Server {
    /// `run -- COMMAND…` or `run --supervise -- COMMAND…`, with no setting in the environment.
    fn of(stack: &Stack) -> Option<Self> {
        let is = |index: usize, text: &CStr| {
            stack.argument(index).is_some_and(|given| equal(given.to_bytes(), text.to_bytes()))
        };
        let flag = is(2, SUPERVISE);
        let first = if flag { 4 } else { 3 };
        let supervised = flag || stack.environment().has(SUPERVISED);
        let plain = is(1, RUN) && is(first - 1, DASHES);
        let is_setting = |variable: &CStr| {
            let starts = |start: &CStr| starts_with(variable.to_bytes(), start.to_bytes());
            let is = |text: &CStr| equal(variable.to_bytes(), text.to_bytes());
            let log = is(LOG_ERROR) || is(LOG_WARN) || is(LOG_INFO) || is(LOG_TEXT);
            let harmless = starts(STORAGE) || is(SUPERVISED) || is(NO_BACKUP) || is(NO_SERVE) || log;
            (starts(OURS) || starts(SEQS) || starts(SOCKETS)) && !harmless
        };
        let program = stack.argument(first).filter(|program| plain && !program.is_empty())?;
        let server = Self { stack: *stack, first, program, supervised };
        (!stack.environment().any(is_setting) && server.is_anywhere()).then_some(server)
    }

    /// Whether it is found from any directory: PID 1 leaves its own, and might not find it again to say what is wrong.
    #[inline(always)]
    fn is_anywhere(&self) -> bool {
        let absolute = |path: &[u8]| starts_with(path, b"/");
        let named = place_of(self.program.to_bytes(), b"/").is_none();
        absolute(self.program.to_bytes()) || (named && self.path().split(|byte| *byte == b':').all(absolute))
    }

    #[inline(always)]
    fn path(&self) -> &'static [u8] {
        self.stack.environment().value(PATH.to_bytes()).map(CStr::to_bytes).unwrap_or_default()
    }

    /// `None` where it was not started.
    #[inline(always)]
    fn start(&self, quiet: &Quiet, found: Mask) -> Option<()> {
        let mut instance = Buffer::<64>::new();
        instance.add(INSTANCE.to_bytes())?;
        instance.add(&quiet.instance.id)?;
        instance.push(0)?;
        let mut epoch = Buffer::<64>::new();
        epoch.add(EPOCH.to_bytes())?;
        epoch.add(quiet.instance.epoch.as_bytes())?;
        epoch.push(0)?;
        let mut environment = [const { MaybeUninit::<*const c_char>::uninit() }; VARIABLES];
        let mut places = environment.iter_mut();
        for variable in
            self.stack.environment().map(CStr::as_ptr).chain([instance.as_text()?.as_ptr(), epoch.as_text()?.as_ptr()])
        {
            places.next()?.write(variable);
        }
        places.next()?.write(ptr::null());
        let environment = environment.as_ptr().cast();
        let mut path = Buffer::new();
        self.find(&mut path)?;
        let path = path.as_text()?.as_ptr();
        let execute = || system::execute(path, self.stack.arguments_from(self.first), environment);
        if self.supervised {
            let console = if self.stack.environment().has(NO_SERVE) {
                None
            } else {
                Some((self.stack.argument(0)?, self.stack.environment().as_list()))
            };
            return supervised::run(found, execute, console);
        }
        if system::is_signalled() {
            return None;
        }
        system::set_mask(found)?;
        execute();
        system::set_mask(signals::HELD)?;
        None
    }

    /// As `exec::find` does: the first on the `PATH` that could be executed.
    #[inline(always)]
    fn find(&self, room: &mut Buffer<PATH_LONGEST>) -> Option<()> {
        if place_of(self.program.to_bytes(), b"/").is_some() {
            return room.add(self.program.to_bytes_with_nul());
        }
        for folder in self.path().split(|byte| *byte == b':') {
            room.clear();
            room.add(folder)?;
            if !ends_with(folder, b"/") {
                room.push(b'/')?;
            }
            room.add(self.program.to_bytes_with_nul())?;
            if system::is_program(room.as_text()?) {
                return Some(());
            }
        }
        None
    }
}

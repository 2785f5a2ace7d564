//! The start of a container in which nothing is to be done: looked at with plain system calls, before the C library and
//! Rust's runtime have been set up, and handed over to the server at once.
//!
//! ```text
//! run -- COMMAND…, and nothing else said   no setting of ours in the environment but the storage root and the log
//! signals held, the lock taken, its holder written down
//! no restore, no quarantine, no script waiting, no temporary files, the key as it was when it was checked, a backup of
//! today                                    anything else: the lock is let go, and the long way is gone
//! execve
//! ```
//! **It never decides anything**: where the long way of [`super::run`] would do more than hand over, or say a word, this
//! returns, having changed nothing but the holder's name in the lock. What the pages of a program cost when they are
//! first touched (five microseconds each in a virtual machine) is most of what a start costs, so this is a few pages, has
//! no heap, and calls nothing outside of itself. Signals stay held on the long way: it is told how they were found.

mod look;
mod stack;
mod system;
mod text;
mod time;

use std::{
    ffi::{CStr, c_char},
    ptr,
};

use syscalls::Errno;

use self::{look::Quiet, stack::Stack, text::Text};
use crate::process::signals::{self, Mask};

/// Where in the arguments the server's program is.
const FIRST: usize = 3;

/// No more variables than this are passed on.
const VARIABLES: usize = 255;

/// No longer path is executed.
const PATH_LONGEST: usize = 512;

/// Settings with which a start may be a quiet one. With any other of ours, or of Seq's, or sockets, it is not.
const HARMLESS: [&[u8]; 2] = [b"MOORLINE_STORAGE=", b"MOORLINE_LOG="];

/// Names that begin like this are settings.
const SETTINGS: [&[u8]; 3] = [b"MOORLINE_", b"SEQ_", b"LISTEN_"];

// The kernel jumps here, with the arguments on the stack. If the start is not a quiet one, all is as the kernel left
// it, and the C library begins.
#[cfg(all(own_entry_point, target_arch = "x86_64"))]
std::arch::global_asm!(
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
    quiet = sym at_entry,
);
#[cfg(all(own_entry_point, target_arch = "aarch64"))]
std::arch::global_asm!(
    ".globl moorline_start",
    ".type moorline_start, @function",
    "moorline_start:",
    "mov x19, sp",
    "mov x0, sp",
    "bl {quiet}",
    "mov sp, x19",
    "b _start",
    quiet = sym at_entry,
);

/// Returns where the start is not a quiet one.
#[cfg(own_entry_point)]
extern "C" fn at_entry(stack: *const usize) {
    // SAFETY: the kernel has just put arguments and environment there.
    let stack = unsafe { Stack::at(stack) };
    if !is_plain(&stack) {
        return;
    }
    let Some(found) = system::set_mask(signals::HELD) else { return };
    let storage = stack.environment().value(HARMLESS[0]).unwrap_or(c"/data");
    if system::close_on_exec().is_some()
        && let Some(quiet) = Quiet::look(storage)
    {
        become_server(&stack, &quiet, found);
        // It could not be executed: the long way knows how to say why.
        quiet.let_go();
    }
    signals::held_at_entry(found);
}

/// Whether nothing is said but which server it is: `run -- COMMAND…`.
fn is_plain(stack: &Stack) -> bool {
    let is_setting = |variable: &CStr| {
        let starts = |start: &&[u8]| variable.to_bytes().starts_with(start);
        SETTINGS.iter().any(starts) && !HARMLESS.iter().any(starts)
    };
    stack.argument(1) == Some(c"run")
        && stack.argument(2) == Some(c"--")
        && stack.argument(FIRST).is_some_and(|program| !program.is_empty())
        && !stack.environment().any(|variable| is_setting(variable))
}

fn become_server(stack: &Stack, quiet: &Quiet, found: Mask) {
    let instance = Text::<64>::of(&[b"MOORLINE_INSTANCE=", &quiet.instance.id]);
    let epoch = Text::<64>::of(&[b"MOORLINE_RESTORE_EPOCH=", quiet.instance.epoch.trim_ascii_start()]);
    let (Some(instance), Some(epoch)) = (&instance, &epoch) else { return };
    // One place is left for the null that ends it.
    let mut environment = [ptr::null(); VARIABLES + 1];
    let mut places = environment.iter_mut().take(VARIABLES);
    for variable in
        stack.environment().map(CStr::as_ptr).chain([instance.as_c_str().as_ptr(), epoch.as_c_str().as_ptr()])
    {
        let Some(place) = places.next() else { return };
        *place = variable;
    }
    if system::is_signalled() || system::set_mask(found).is_none() {
        return;
    }
    execute(stack, environment.as_ptr());
    let _ = system::set_mask(signals::HELD);
}

/// As a shell would: a name without a slash is looked for on the `PATH`.
fn execute(stack: &Stack, environment: *const *const c_char) {
    let Some(program) = stack.argument(FIRST) else { return };
    let execute = |path: &CStr| system::execute(path.as_ptr(), stack.arguments_from(FIRST), environment);
    if program.to_bytes().contains(&b'/') {
        execute(program);
        return;
    }
    let Some(path) = stack.environment().value(b"PATH=") else { return };
    for folder in path.to_bytes().split(|byte| *byte == b':').filter(|folder| !folder.is_empty()) {
        let Some(candidate) = Text::<PATH_LONGEST>::of(&[folder, b"/", program.to_bytes()]) else { return };
        if !matches!(execute(candidate.as_c_str()), Errno::ENOENT | Errno::ENOTDIR) {
            return;
        }
    }
}

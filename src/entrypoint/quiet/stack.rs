//! What the kernel puts on the stack of a new program: its arguments and its environment, before anybody has read them.

use std::ffi::{CStr, c_char};

use super::text;

/// Arguments and environment of this process: they live as long as it does.
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    count: usize,
    arguments: *const *const c_char,
}

impl Stack {
    /// Reads where they are.
    ///
    /// # Safety
    /// `stack` is where the stack pointer was when the kernel started this program.
    #[inline(always)]
    pub const unsafe fn at(stack: *const usize) -> Self {
        // SAFETY: the kernel puts the number of arguments there, and the arguments' addresses above it.
        unsafe { Self { count: *stack, arguments: stack.add(1).cast() } }
    }

    /// One argument; the name of the program is 0.
    #[inline(always)]
    pub fn argument(&self, index: usize) -> Option<&'static CStr> {
        // SAFETY: below the count there is the address of a string, and it is never taken away.
        (index < self.count).then(|| unsafe { text::text_at(*self.arguments.add(index)) })
    }

    /// The arguments from one on, as `execve` takes them.
    #[inline(always)]
    pub const fn arguments_from(&self, index: usize) -> *const *const c_char {
        self.arguments.wrapping_add(index)
    }

    /// The environment.
    #[inline(always)]
    pub const fn environment(&self) -> Environment {
        // A null stands between the two.
        Environment { next: self.arguments.wrapping_add(self.count + 1) }
    }
}

/// The variables, one after the other, each as `NAME=value`.
#[derive(Clone, Copy, Debug)]
pub struct Environment {
    next: *const *const c_char,
}

impl Iterator for Environment {
    type Item = &'static CStr;

    #[inline(always)]
    fn next(&mut self) -> Option<&'static CStr> {
        // SAFETY: `next` is within the list, which ends with a null; its strings are never taken away.
        unsafe {
            let variable = *self.next;
            if variable.is_null() {
                return None;
            }
            self.next = self.next.add(1);
            Some(text::text_at(variable))
        }
    }
}

impl Environment {
    /// All of it, as `execve` takes it.
    #[inline(always)]
    pub const fn as_list(&self) -> *const *const c_char {
        self.next
    }

    /// Whether this variable is there, with this value.
    #[inline(always)]
    pub fn has(mut self, variable: &CStr) -> bool {
        self.any(|given| text::equal(given.to_bytes(), variable.to_bytes()))
    }

    /// The value of the variable that begins like this: its name and `=`.
    #[inline(always)]
    pub fn value(mut self, start: &[u8]) -> Option<&'static CStr> {
        self.find_map(|variable| text::behind(variable, start))
    }
}

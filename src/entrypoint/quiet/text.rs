//! Text without a heap, and without the C library: what is called of it lies elsewhere in the program, and so does each
//! text that has no place of its own. A page that is touched for the first time costs as much as five system calls.

use std::{
    ffi::{CStr, c_char},
    mem::MaybeUninit,
    slice,
};

/// Texts that lie beside each other, so that one page is touched for all of them.
macro_rules! texts {
    ($($name:ident = $text:literal;)*) => {
        $(const $name: &std::ffi::CStr = {
            // SAFETY: nothing else in the program has, or makes anything of, a section of this name.
            #[unsafe(link_section = ".rodata.quiet")]
            static TEXT: [u8; $text.len()] = *$text;
            match std::ffi::CStr::from_bytes_with_nul(&TEXT) {
                Ok(text) => text,
                Err(_) => unreachable!(),
            }
        };)*
    };
}
pub(super) use texts;

/// A text of the kernel's, which ends with a NUL.
///
/// # Safety
/// `text` is one, and is never taken away.
#[inline(always)]
pub unsafe fn text_at(text: *const c_char) -> &'static CStr {
    let mut length = 0;
    // SAFETY: no byte behind the NUL is looked at. Volatile, because a plain loop is made a call of the C library.
    unsafe {
        while text.add(length).read_volatile() != 0 {
            length += 1;
        }
        CStr::from_bytes_with_nul_unchecked(slice::from_raw_parts(text.cast(), length + 1))
    }
}

/// The text at the beginning of these bytes, if a NUL ends it.
#[inline(always)]
pub fn text_in(bytes: &[u8]) -> Option<&CStr> {
    let mut end = 0;
    while *bytes.get(end)? != 0 {
        end += 1;
    }
    // SAFETY: the first NUL is the last byte.
    Some(unsafe { CStr::from_bytes_with_nul_unchecked(bytes.get(..=end)?) })
}

/// What is behind the beginning of a text.
#[inline(always)]
pub fn behind(text: &'static CStr, start: &[u8]) -> Option<&'static CStr> {
    if starts_with(text.to_bytes(), start) { text_in(text.to_bytes_with_nul().get(start.len()..)?) } else { None }
}

/// Whether a text begins like this.
#[inline(always)]
pub fn starts_with(text: &[u8], start: &[u8]) -> bool {
    start.len() <= text.len() && equal_at(text, 0, start)
}

/// Whether a text ends like this.
#[inline(always)]
pub fn ends_with(text: &[u8], end: &[u8]) -> bool {
    end.len() <= text.len() && equal_at(text, text.len() - end.len(), end)
}

/// Whether both are the same.
#[inline(always)]
pub fn equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && equal_at(one, 0, other)
}

#[inline(always)]
fn equal_at(text: &[u8], at: usize, word: &[u8]) -> bool {
    let mut index = 0;
    while index < word.len() {
        if text.get(at + index) != word.get(index) {
            return false;
        }
        index += 1;
    }
    true
}

/// Where in a text the first of these words ends.
#[inline(always)]
pub fn place_of(text: &[u8], word: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at + word.len() <= text.len() {
        if equal_at(text, at, word) {
            return Some(at + word.len());
        }
        at += 1;
    }
    None
}

/// Room for at most `SIZE` bytes. What was not written is not touched.
#[derive(Debug)]
pub struct Buffer<const SIZE: usize> {
    bytes: [MaybeUninit<u8>; SIZE],
    used: usize,
}

impl<const SIZE: usize> Buffer<SIZE> {
    /// Nothing is in it.
    #[inline(always)]
    pub const fn new() -> Self {
        Self { bytes: [const { MaybeUninit::uninit() }; SIZE], used: 0 }
    }

    /// Nothing is in it any more.
    #[inline(always)]
    pub const fn clear(&mut self) {
        self.used = 0;
    }

    /// One more part. `None` where it does not fit.
    #[inline(always)]
    pub fn add(&mut self, part: &[u8]) -> Option<()> {
        part.iter().try_for_each(|byte| self.push(*byte))
    }

    /// One more.
    #[inline(always)]
    pub fn push(&mut self, byte: u8) -> Option<()> {
        let place: *mut MaybeUninit<u8> = self.bytes.get_mut(self.used)?;
        // SAFETY: it is the place of one byte. Volatile, for the reason of `text_at`.
        unsafe { place.write_volatile(MaybeUninit::new(byte)) };
        self.used += 1;
        Some(())
    }

    /// Has the rest of it filled with blanks.
    #[inline(always)]
    pub fn fill(&mut self) {
        while self.push(b' ').is_some() {}
    }

    /// What is in it.
    #[inline(always)]
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: as many bytes were written.
        unsafe { slice::from_raw_parts(self.bytes.as_ptr().cast(), self.used) }
    }

    /// Its text, if a NUL ends it.
    #[inline(always)]
    pub fn as_text(&self) -> Option<&CStr> {
        text_in(self.as_bytes())
    }

    /// Where the kernel may write `SIZE` bytes.
    #[inline(always)]
    pub const fn room(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr().cast()
    }

    /// What the kernel has written.
    ///
    /// # Safety
    /// It has written this many.
    #[inline(always)]
    pub unsafe fn written(&mut self, length: usize) -> &[u8] {
        self.used = length.min(SIZE);
        self.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_holds_what_fits() {
        let mut buffer = Buffer::<6>::new();
        assert!(["ab", "", "cd\0"].iter().all(|part| buffer.add(part.as_bytes()).is_some()));
        assert_eq!((buffer.as_bytes(), buffer.as_text()), (b"abcd\0".as_slice(), Some(c"abcd")));
        buffer.fill();
        assert_eq!(buffer.as_bytes(), b"abcd\0 ");
        assert!(buffer.add(b"x").is_none());
        let mut open = Buffer::<4>::new();
        assert!(open.add(b"ab").is_some() && open.as_text().is_none());
    }

    #[test]
    fn words_are_found_where_they_end() {
        assert_eq!(place_of(b"one two", b"two"), Some(7));
        assert_eq!(place_of(b"one tw", b"two"), None);
        assert_eq!(place_of(b"", b"two"), None);
        assert!(starts_with(b"PATH=x", b"PATH=") && !starts_with(b"PAT", b"PATH="));
        assert!(ends_with(b"a.done", b".done") && !ends_with(b"done", b".done"));
        assert_eq!(behind(c"PATH=/bin", b"PATH="), Some(c"/bin"));
        assert_eq!(behind(c"PATHS=/bin", b"PATH="), None);
    }
}

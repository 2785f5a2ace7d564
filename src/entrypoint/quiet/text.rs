//! Text of a limited length, without a heap.

use std::ffi::CStr;

/// At most `SIZE` bytes, the NUL that ends it among them.
#[derive(Debug)]
pub struct Text<const SIZE: usize>([u8; SIZE]);

impl<const SIZE: usize> Text<SIZE> {
    /// These parts, one after the other. `None` where they do not fit, or one has a NUL.
    pub fn of(parts: &[&[u8]]) -> Option<Self> {
        let mut text = [0; SIZE];
        let mut end = 0;
        for part in parts {
            text.get_mut(end..end + part.len())?.copy_from_slice(part);
            end += part.len();
        }
        (text.get(end)? == &0 && !text.get(..end)?.contains(&0)).then_some(Self(text))
    }

    /// As the kernel takes it.
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }

    /// All of its place, with what is behind the text.
    pub const fn whole(&mut self) -> &mut [u8; SIZE] {
        &mut self.0
    }
}

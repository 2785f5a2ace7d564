//! The first memory of this process: a piece of its own image, handed out from one end.
//!
//! musl maps and unmaps pages while its heap is small, which is a fifth of what a start costs. What does not fit comes
//! from the system's allocator, as does everything once the piece is used up. What is given back to it is lost, but for
//! the piece that was handed out last: a start gives back little, and whatever lives longer soon has left it behind.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::UnsafeCell,
    sync::atomic::{AtomicUsize, Ordering},
};

/// What a start needs, with something to spare.
const SIZE: usize = 96 << 10;

/// A larger piece is the system's: it would be lost when a buffer grows.
const LARGEST: usize = 8 << 10;

/// Hands out memory for the whole program.
pub struct Arena {
    memory: UnsafeCell<[u8; SIZE]>,
    used: AtomicUsize,
}

// SAFETY: every byte is handed out to one owner at a time, by one atomic number.
unsafe impl Sync for Arena {}

impl std::fmt::Debug for Arena {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arena").field("used", &self.used).finish_non_exhaustive()
    }
}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

impl Arena {
    /// All of it is free.
    #[must_use]
    pub const fn new() -> Self {
        Self { memory: UnsafeCell::new([0; SIZE]), used: AtomicUsize::new(0) }
    }

    fn start(&self) -> usize {
        self.memory.get() as usize
    }

    /// Where in it this is, if it is.
    fn offset(&self, piece: *mut u8) -> Option<usize> {
        (piece as usize).checked_sub(self.start()).filter(|offset| *offset < SIZE)
    }

    fn take(&self, layout: Layout) -> Option<*mut u8> {
        if layout.size() > LARGEST {
            return None;
        }
        let start = self.start();
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let offset = (start + used).next_multiple_of(layout.align()) - start;
            let end = offset + layout.size();
            if end > SIZE {
                return None;
            }
            match self.used.compare_exchange_weak(used, end, Ordering::Acquire, Ordering::Relaxed) {
                // SAFETY: it ends within the piece.
                Ok(_) => return Some(unsafe { self.memory.get().cast::<u8>().add(offset) }),
                Err(now) => used = now,
            }
        }
    }

    /// Moves the end of what was handed out last. Whether it was this.
    fn resize(&self, offset: usize, old: usize, new: usize) -> bool {
        let end = offset + new;
        end <= SIZE && self.used.compare_exchange(offset + old, end, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

// SAFETY: a piece is aligned, as large as was asked for, and handed out to nobody else until it is given back; what is
// not in the arena came from the system's allocator and goes back there.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promised.
        self.take(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(piece) = self.take(layout) else {
            // The system's large pieces are zero before anybody touches them, and stay untouched.
            // SAFETY: as the caller promised.
            return unsafe { System.alloc_zeroed(layout) };
        };
        // SAFETY: it is as large as was asked for. What was given back and is handed out again is not zero.
        unsafe { piece.write_bytes(0, layout.size()) };
        piece
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        match self.offset(piece) {
            Some(offset) => {
                self.resize(offset, layout.size(), 0);
            }
            // SAFETY: as the caller promised, and it is the system's.
            None => unsafe { System.dealloc(piece, layout) },
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(offset) = self.offset(piece) else {
            // SAFETY: as the caller promised, and it is the system's.
            return unsafe { System.realloc(piece, layout, size) };
        };
        if size <= LARGEST && self.resize(offset, layout.size(), size) {
            return piece;
        }
        // SAFETY: the alignment is the old one's, and the caller promised that the size fits it.
        let moved = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !moved.is_null() {
            // SAFETY: two pieces of at least that length, handed out separately.
            unsafe { std::ptr::copy_nonoverlapping(piece, moved, layout.size().min(size)) };
            // SAFETY: as the caller promised.
            unsafe { self.dealloc(piece, layout) };
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a layout")
    }

    #[test]
    fn pieces_are_aligned_and_apart_and_then_the_systems() {
        let arena = Arena::new();
        let mut pieces = Vec::new();
        for number in 0..4000_usize {
            let layout = layout(1 + number % 97, 1 << (number % 7));
            // SAFETY: the size is not zero.
            let piece = unsafe { arena.alloc(layout) };
            assert_eq!(piece as usize % layout.align(), 0);
            // SAFETY: it is as large as was asked for.
            unsafe { piece.write_bytes(number as u8, layout.size()) };
            pieces.push((piece, layout, number as u8));
        }
        assert!(pieces.iter().any(|(piece, ..)| arena.offset(*piece).is_some()));
        assert!(pieces.iter().any(|(piece, ..)| arena.offset(*piece).is_none()), "the arena was never full");
        for (piece, layout, byte) in pieces {
            // SAFETY: it was written above, and nothing was given back.
            let content = unsafe { std::slice::from_raw_parts(piece, layout.size()) };
            assert!(content.iter().all(|found| *found == byte), "two pieces overlap");
            // SAFETY: it came from there, with that layout.
            unsafe { arena.dealloc(piece, layout) };
        }
    }

    #[test]
    fn what_grows_keeps_its_content_and_the_last_piece_its_place() {
        let arena = Arena::new();
        // SAFETY: sizes are not zero, and each piece is used as its layout says.
        unsafe {
            let first = arena.alloc(layout(10, 1));
            first.write_bytes(7, 10);
            assert_eq!(arena.realloc(first, layout(10, 1), 1000), first, "nothing is behind it");
            let behind = arena.alloc(layout(1, 1));
            let moved = arena.realloc(first, layout(1000, 1), LARGEST + 1);
            assert!(moved != first && arena.offset(moved).is_none());
            assert_eq!(std::slice::from_raw_parts(moved, 10), [7; 10]);
            arena.dealloc(moved, layout(LARGEST + 1, 1));
            arena.dealloc(behind, layout(1, 1));
            assert_eq!(arena.alloc(layout(1, 1)), behind, "the last piece is handed out again");
            behind.write(9);
            arena.dealloc(behind, layout(1, 1));
            assert_eq!(arena.alloc_zeroed(layout(1, 1)).read(), 0, "and clean, where that is asked for");
        }
    }
}

//! The pages of this program that are mapped: those that its start needed, and nothing will again, are given back.
//!
//! A process that waits for years has what its start touched counted as its memory: code, by pieces of 64 KiB. It is
//! the file's, and comes back from there when it is needed. Data stays: what is written is nowhere else.

use nix::libc::{self, Elf64_Ehdr, Elf64_Phdr};

const PAGE: usize = 4096;

unsafe extern "C" {
    /// Where the linker put the program's own header.
    #[link_name = "__ehdr_start"]
    static HEADER: Elf64_Ehdr;
}

/// Gives back the pages of code and constants.
pub fn give_back() {
    let header = &raw const HEADER;
    // SAFETY: the linker defines it as the first bytes of the program, which are mapped and never written.
    let (offset, count) = unsafe { ((*header).e_phoff as usize, usize::from((*header).e_phnum)) };
    let first = header.cast::<u8>().wrapping_add(offset).cast::<Elf64_Phdr>();
    // What the file's addresses are off by: nothing, in a program that is linked to fixed ones.
    let moved = (header as usize).wrapping_sub(address_of_header(first, count));
    for index in 0..count {
        // SAFETY: the program's headers follow its own, in the same mapping.
        let part = unsafe { &*first.add(index) };
        let start = moved.wrapping_add(part.p_vaddr as usize).next_multiple_of(PAGE);
        let end = moved.wrapping_add((part.p_vaddr + part.p_filesz) as usize) & !(PAGE - 1);
        if is_constant(part) && start < end {
            // SAFETY: whole pages of a private mapping that nobody can write: they are read from the file again.
            let _ = unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
        }
    }
}

/// The address that the file says its header has.
fn address_of_header(first: *const Elf64_Phdr, count: usize) -> usize {
    for index in 0..count {
        // SAFETY: as above.
        let part = unsafe { &*first.add(index) };
        if part.p_type == libc::PT_LOAD && part.p_offset == 0 {
            return part.p_vaddr as usize;
        }
    }
    0
}

/// Mapped from the file as it is, and never written: not even by a loader, which writes only where it may.
fn is_constant(part: &Elf64_Phdr) -> bool {
    part.p_type == libc::PT_LOAD && part.p_flags & libc::PF_W == 0
}

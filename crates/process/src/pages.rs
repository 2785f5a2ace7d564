//! Returning memory pages that only the start needed.
//!
//! Code that the start touched counts as memory of a process that then waits for years. These pages are read from the
//! program's file again when they are needed. Data pages stay, because the file does not contain them.

use nix::libc::{self, Elf64_Ehdr, Elf64_Phdr};

const PAGE: usize = 4096;

unsafe extern "C" {
    /// The ELF header of this program; the linker defines the symbol.
    #[link_name = "__ehdr_start"]
    static HEADER: Elf64_Ehdr;
}

/// Returns the pages of code and constants to the kernel.
pub fn release() {
    let header = &raw const HEADER;
    // SAFETY: the linker defines it as the first bytes of the program, which are mapped and never written.
    let (offset, count) = unsafe { ((*header).e_phoff as usize, usize::from((*header).e_phnum)) };
    let first = header.cast::<u8>().wrapping_add(offset).cast::<Elf64_Phdr>();
    // The difference between mapped addresses and the addresses in the file; zero if the program has fixed addresses.
    let moved = (header as usize).wrapping_sub(address_of_header(first, count));
    for index in 0..count {
        // SAFETY: the program's headers follow its own, in the same mapping.
        let part = unsafe { &*first.add(index) };
        let start = moved.wrapping_add(part.p_vaddr as usize).next_multiple_of(PAGE);
        let end = moved.wrapping_add((part.p_vaddr + part.p_filesz) as usize) & !(PAGE - 1);
        if is_constant(part) && start < end {
            // SAFETY: whole pages of a private read-only mapping, which the kernel reads from the file again.
            let _ = unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
        }
    }
}

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

/// Whether a segment is mapped from the file and read-only, so that not even a loader has changed it.
fn is_constant(part: &Elf64_Phdr) -> bool {
    part.p_type == libc::PT_LOAD && part.p_flags & libc::PF_W == 0
}

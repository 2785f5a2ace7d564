//! The pages of this program that are mapped: those that its start needed, and nothing will again, are given back.
//!
//! A process that waits for years has what its start touched counted as its memory: code, by pieces of 64 KiB. It is
//! the file's, and comes back from there when it is needed. Data stays: what is written is nowhere else.

use std::ffi::c_int;

use nix::libc;

/// Gives back the pages of code and constants.
pub fn give_back() {
    // SAFETY: the function is called while this call lasts, and needs no data.
    unsafe {
        libc::dl_iterate_phdr(Some(of_object), std::ptr::null_mut());
    }
}

/// The first object is the program itself; there is no other in a static one, and no other is touched.
unsafe extern "C" fn of_object(object: *mut libc::dl_phdr_info, _: libc::size_t, _: *mut libc::c_void) -> c_int {
    // SAFETY: the caller passes an object with its headers, all of them live through this call.
    let (base, headers) = unsafe {
        let object = &*object;
        (object.dlpi_addr as usize, std::slice::from_raw_parts(object.dlpi_phdr, usize::from(object.dlpi_phnum)))
    };
    for header in headers.iter().filter(|header| is_constant(header)) {
        let page = 4096;
        let start = (base + header.p_vaddr as usize).next_multiple_of(page);
        let end = (base + header.p_vaddr as usize + header.p_filesz as usize) & !(page - 1);
        if start < end {
            // SAFETY: whole pages of a private mapping that nobody can write: they are read from the file again.
            unsafe {
                libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED);
            }
        }
    }
    1
}

/// Mapped from the file as it is, and never written: not even by a loader, which writes only where it may.
fn is_constant(header: &libc::Elf64_Phdr) -> bool {
    header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0
}

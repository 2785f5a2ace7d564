//! Finding a program, exec, and explaining why exec failed.
//!
//! Exit codes are those of a shell: 127 if the program, its interpreter or its loader does not exist, 126 if it cannot be
//! executed. A text without `#!` is not passed to a shell, because we cannot know which shell it needs.

use std::{
    ffi::{CStr, CString, OsStr, OsString},
    fs::{self, File},
    io::Read,
    os::{
        fd::RawFd,
        unix::{
            ffi::{OsStrExt, OsStringExt},
            fs::PermissionsExt,
        },
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use nix::{
    errno::Errno,
    libc,
    sys::statvfs::{FsFlags, statvfs},
    unistd::{self, AccessFlags},
};

use super::{User, Variables};
use volume::error::{self, Code, Error};

/// A failed exec, with the exit code that a shell would use.
#[derive(Debug, Clone)]
pub struct NotExecuted {
    /// 126 or 127.
    pub exit: u8,
    /// The reason.
    pub error: Error,
}

impl NotExecuted {
    fn new(exit: u8, message: String) -> Self {
        Self { exit, error: Error::new(Code::Unexpected, message) }
    }

    fn hint(mut self, hint: &str) -> Self {
        self.error = self.error.hint(hint);
        self
    }
}

/// Finds a program like a shell: a name with a slash is a path, any other name is searched in `path`. Fails with exit
/// code 127 if no such program exists, and 126 if it is not executable.
pub fn find(program: &OsStr, path: &OsStr) -> Result<PathBuf, NotExecuted> {
    if program.as_bytes().contains(&b'/') {
        return Ok(program.into());
    }
    let mut refused = None;
    for folder in path.as_bytes().split(|byte| *byte == b':') {
        let folder = if folder.is_empty() { b"." } else { folder };
        let candidate = Path::new(OsStr::from_bytes(folder)).join(program);
        // Like a shell, ignore entries that cannot be inspected.
        if !fs::metadata(&candidate).is_ok_and(|meta| meta.is_file()) {
            continue;
        }
        if unistd::access(&candidate, AccessFlags::X_OK).is_ok() {
            return Ok(candidate);
        }
        refused.get_or_insert(candidate);
    }
    match refused {
        Some(candidate) if !program.is_empty() => Err(explain(&candidate, Errno::EACCES)),
        _ => Err(NotExecuted::new(127, format!("program {} not found on PATH", program.display()))
            .hint("check the spelling, and that the image contains it")),
    }
}

/// A program that is ready for exec, so that a child only has to make system calls.
#[derive(Clone, Debug)]
pub struct Prepared {
    path: PathBuf,
    image: CString,
    arguments: Vec<CString>,
    environment: Vec<Arc<CStr>>,
    user: Option<User>,
}

/// Finds the program of a command and converts its arguments and variables for `execve`.
pub fn prepare(command: &[OsString], environment: Variables) -> Result<Prepared, NotExecuted> {
    let Some(program) = command.first() else { return Err(NotExecuted::new(127, "the command is empty".to_owned())) };
    let path = find(program, environment.path())?;
    let nul = |_| NotExecuted::new(126, "an argument contains a NUL byte".to_owned());
    let image = CString::new(path.as_os_str().as_bytes()).map_err(nul)?;
    let arguments = command.iter().map(|text| CString::new(text.as_bytes())).collect::<Result<_, _>>().map_err(nul)?;
    Ok(Prepared { path, image, arguments, environment: environment.into_c_strings(), user: None })
}

impl Prepared {
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: Option<&str>) -> Self {
        let start = format!("{name}=");
        self.environment.retain(|pair| !pair.to_bytes().starts_with(start.as_bytes()));
        self.environment.extend(value.and_then(|value| CString::new(format!("{start}{value}")).ok()).map(Arc::from));
        self
    }

    /// Sets `argv[0]`.
    #[must_use]
    pub fn called(mut self, name: &OsStr) -> Self {
        if let (Some(first), Ok(name)) = (self.arguments.first_mut(), CString::new(name.as_bytes())) {
            *first = name;
        }
        self
    }

    /// Sets the user that it runs as.
    #[must_use]
    pub fn as_user(self, user: Option<User>) -> Self {
        Self { user, ..self }
    }

    /// Explains an error of `execve` for this program.
    #[must_use]
    pub fn refused(&self, errno: Errno) -> NotExecuted {
        explain(&self.path, errno)
    }

    /// Changes to its user, then executes it. Returns only on failure.
    #[must_use]
    pub fn exec(&self) -> NotExecuted {
        if let Some(user) = &self.user
            && let Err(cause) = user.become_with_output()
        {
            return NotExecuted::new(126, format!("cannot switch to user {}: {}", user.spec(), error::reason(&cause)));
        }
        let Err(errno) = unistd::execve(&self.image, &self.arguments, &self.environment);
        self.refused(errno)
    }
}

/// Marks all descriptors above 2 close-on-exec, except `keep`.
pub fn close_on_exec_except(keep: &[RawFd]) {
    const CLOEXEC: libc::c_uint = 1 << 2;
    // SAFETY: takes numbers; marks descriptors, closes none.
    let marked = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOEXEC) } == 0;
    if !marked {
        // Linux before 5.11, or a seccomp filter forbids the call.
        open_descriptors().into_iter().filter(|fd| *fd > 2).for_each(|fd| set_flags(fd, libc::FD_CLOEXEC));
    }
    keep.iter().for_each(|fd| set_flags(*fd, 0));
}

/// Whether a descriptor is open and not close-on-exec.
#[must_use]
pub fn outlives_exec(fd: RawFd) -> bool {
    // SAFETY: fcntl takes any number, and fails if that descriptor is not open.
    unsafe { libc::fcntl(fd, libc::F_GETFD) == 0 }
}

fn set_flags(fd: RawFd, flags: libc::c_int) {
    // SAFETY: fcntl takes any number, and fails if that descriptor is not open.
    unsafe {
        libc::fcntl(fd, libc::F_SETFD, flags);
    }
}

fn open_descriptors() -> Vec<RawFd> {
    match fs::read_dir("/proc/self/fd") {
        Ok(entries) => entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect(),
        Err(_) => (3..65_536).collect(),
    }
}

/// Explains why the kernel did not execute the file at `path`, with a hint.
#[must_use]
pub fn explain(path: &Path, errno: Errno) -> NotExecuted {
    let shown = path.display();
    match errno {
        Errno::ENOENT if fs::metadata(path).is_ok() => missing_part(path),
        Errno::ENOENT | Errno::ENOTDIR => NotExecuted::new(127, format!("{shown} does not exist"))
            .hint("check the spelling, and that the image contains it"),
        Errno::EACCES | Errno::EPERM => forbidden(path, errno),
        Errno::ENOEXEC => not_an_image(path),
        Errno::ETXTBSY => NotExecuted::new(126, format!("{shown} is being written by another process")),
        Errno::E2BIG => NotExecuted::new(126, format!("the arguments and the environment are too long for {shown}")),
        _ => NotExecuted::new(126, format!("{shown} cannot be executed: {}", errno.desc().to_lowercase())),
    }
}

/// Explains ENOENT for an existing file: its interpreter or loader is missing.
fn missing_part(path: &Path) -> NotExecuted {
    let shown = path.display();
    let head = head(path);
    if let Some(line) = shebang(&head) {
        if line.interpreter.as_bytes().ends_with(b"\r") || line.argument.is_some_and(|text| text.ends_with(b"\r")) {
            let what = "has Windows line ends (CRLF), so its #! line names a program that does not exist";
            return NotExecuted::new(127, format!("{shown} {what}")).hint("save it with LF line ends");
        }
        let what = format!("the interpreter {} of {shown} does not exist", line.interpreter.display());
        return NotExecuted::new(127, what).hint("install it in the image, or name another interpreter in the #! line");
    }
    match loader(path) {
        Some(loader) => {
            NotExecuted::new(127, format!("the dynamic loader {} of {shown} does not exist", loader.display()))
                .hint("the program was built for a different C library or processor than this image")
        }
        None => {
            NotExecuted::new(127, format!("{shown} cannot be executed, because a file that it needs does not exist"))
        }
    }
}

fn forbidden(path: &Path, errno: Errno) -> NotExecuted {
    let shown = path.display();
    let meta = fs::metadata(path).ok();
    if meta.as_ref().is_some_and(fs::Metadata::is_dir) {
        return NotExecuted::new(126, format!("{shown} is a directory"));
    }
    if meta.as_ref().is_some_and(|meta| meta.permissions().mode() & 0o111 == 0) {
        return NotExecuted::new(126, format!("{shown} has no execute permission")).hint("chmod +x it in the image");
    }
    if on_noexec_mount(path) {
        return NotExecuted::new(126, format!("{shown} is on a file system that is mounted noexec"))
            .hint("keep programs in the image, or mount the volume without noexec");
    }
    if errno == Errno::EPERM {
        return NotExecuted::new(126, format!("{shown} cannot be executed: operation not permitted"))
            .hint("a program with file capabilities needs them in the container's bounding set");
    }
    NotExecuted::new(126, format!("{shown} cannot be executed by this user"))
        .hint("check the mode of the file and of every folder above it")
}

fn not_an_image(path: &Path) -> NotExecuted {
    let shown = path.display();
    let head = head(path);
    if head.is_empty() {
        return NotExecuted::new(126, format!("{shown} is empty"));
    }
    if head.starts_with(b"\x7fELF") {
        return NotExecuted::new(126, format!("{shown} is a program for another processor, or damaged"))
            .hint("use the image that was built for this machine");
    }
    NotExecuted::new(126, format!("{shown} is not a program: it has no #! line"))
        .hint("add a #! line, or name the interpreter: run -- /bin/sh FILE")
}

/// Whether the file system at `path` is mounted `noexec`.
#[must_use]
pub fn on_noexec_mount(path: &Path) -> bool {
    statvfs(path).is_ok_and(|found| found.flags().contains(FsFlags::ST_NOEXEC))
}

/// A `#!` line as the kernel reads it: everything after the interpreter is one argument.
#[derive(Debug, PartialEq, Eq)]
pub struct Shebang<'a> {
    /// The program that runs the script.
    pub interpreter: &'a OsStr,
    /// The argument before the script's path.
    pub argument: Option<&'a [u8]>,
}

/// Parses a `#!` line; `None` if the text has none, or it is empty.
#[must_use]
pub fn shebang(text: &[u8]) -> Option<Shebang<'_>> {
    let line = text.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = trim_blanks(line);
    let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    let (interpreter, rest) = line.split_at(end);
    let rest = trim_blanks(rest);
    (!interpreter.is_empty())
        .then(|| Shebang { interpreter: OsStr::from_bytes(interpreter), argument: (!rest.is_empty()).then_some(rest) })
}

fn trim_blanks(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().position(|byte| !blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &text[start..end]
}

fn head(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = File::open(path).and_then(|file| file.take(4096).read_to_end(&mut bytes));
    bytes
}

/// The dynamic loader of a 64-bit ELF program (PT_INTERP), if the program headers are in the first page, as they always are.
fn loader(path: &Path) -> Option<PathBuf> {
    let head = head(path);
    let number = |at: usize, size: usize| {
        let bytes = head.get(at..at.checked_add(size)?)?;
        bytes.iter().rev().try_fold(0_usize, |number, byte| number.checked_mul(256)?.checked_add(usize::from(*byte)))
    };
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let header = (0..count)
        .filter_map(|index| table.checked_add(index.checked_mul(size)?))
        .find(|at| number(*at, 4) == Some(3))?;
    let (start, length) = (number(header.checked_add(8)?, 8)?, number(header.checked_add(32)?, 8)?);
    let name = head.get(start..start.checked_add(length)?)?;
    Some(OsString::from_vec(name.split(|byte| *byte == 0).next()?.to_vec()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shebang_is_read_as_the_kernel_reads_it() {
        let line = shebang(b"#! \t/bin/a b  c \nrest").expect("has one");
        assert_eq!(line, Shebang { interpreter: OsStr::new("/bin/a"), argument: Some(b"b  c") });
        assert_eq!(shebang(b"#!/bin/a\r\n").expect("has one").interpreter, OsStr::new("/bin/a\r"));
        assert_eq!(shebang(b"#!\n"), None);
        assert_eq!(shebang(b" #!/bin/sh\n"), None);
    }

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str, mode: u32| {
            let path = dir.path().join(name);
            fs::write(&path, text).expect("writes");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changes");
            path
        };
        let crlf = explain(&file("crlf", "#!/bin/sh\r\n", 0o755), Errno::ENOENT);
        assert_eq!((crlf.exit, crlf.error.message().contains("CRLF")), (127, true));
        let gone = explain(&file("gone", "#!/no/such\n", 0o755), Errno::ENOENT);
        assert_eq!((gone.exit, gone.error.message().contains("/no/such")), (127, true));
        let plain = explain(&file("plain", "echo\n", 0o644), Errno::EACCES);
        assert_eq!((plain.exit, plain.error.message().contains("execute permission")), (126, true));
        let folder = explain(dir.path(), Errno::EACCES);
        assert_eq!((folder.exit, folder.error.message().contains("directory")), (126, true));
        assert_eq!(explain(&file("text", "echo\n", 0o755), Errno::ENOEXEC).exit, 126);
    }

    #[test]
    fn the_dynamic_loader_is_named() {
        // A test binary of the musl target is static; the system's shell is not.
        if let Some(found) = loader(Path::new("/bin/sh")) {
            assert!(found.to_string_lossy().contains("ld-"), "{found:?}");
        }
    }
}

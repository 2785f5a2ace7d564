//! Running a process as another user: lookup in `/etc/passwd` and `/etc/group`, and the change of user before exec.
//!
//! We read the two files ourselves, because a static binary has no NSS. The rules are those of gosu: a number need not be
//! in the files; a user without a group gets its own group and supplementary groups; a user with a group gets only that
//! group; `HOME` is the user's home, or `/` if the user is not in the file.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::Path,
};

use nix::{errno::Errno, libc, unistd};

use volume::error::{Code, Error, IoContext, Result};

const PASSWD: &str = "/etc/passwd";

const GROUP: &str = "/etc/group";

/// A user that a process can become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    home: OsString,
    spec: String,
}

impl User {
    /// Resolves `NAME|UID[:GROUP]`. Fails with `Usage` for an unknown name, an invalid number, or a user that this process
    /// cannot switch to.
    pub fn find(spec: &str) -> Result<Self> {
        let user = resolve(spec, &read(PASSWD)?, &read(GROUP)?, Ids::of_process())?;
        user.refuse_unless_allowed(spec)?;
        Ok(user)
    }

    /// The text that it was resolved from.
    #[must_use]
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// The home folder, for `HOME`.
    #[must_use]
    pub fn home(&self) -> &OsStr {
        &self.home
    }

    /// The user id.
    #[must_use]
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// The id of the primary group.
    #[must_use]
    pub const fn gid(&self) -> u32 {
        self.gid
    }

    /// Switches to this user for good. Makes system calls only, so that a child can call it between fork and exec. After an
    /// error, the process must not continue.
    pub fn adopt(&self) -> std::io::Result<()> {
        let call = |done: libc::c_long| Errno::result(done).map(drop).map_err(std::io::Error::from);
        if self.is_this_process() {
            return Ok(());
        }
        // Skipped if the groups are the same, because a user namespace may forbid setgroups.
        if !self.has_groups_already() {
            // SAFETY: takes a length, and as many numbers that live through the call.
            call(unsafe { libc::syscall(libc::SYS_setgroups, self.groups.len(), self.groups.as_ptr()) })?;
        }
        // SAFETY: take numbers.
        call(unsafe { libc::syscall(libc::SYS_setgid, self.gid) })?;
        // SAFETY: as above.
        call(unsafe { libc::syscall(libc::SYS_setuid, self.uid) })
    }

    /// Runs `work` with the file system's idea of this process set to this user: files that it creates belong to the user,
    /// also where root may not change owners, and it can reach only what the user can reach.
    pub fn acting<T>(&self, work: impl FnOnce() -> std::io::Result<T>) -> std::io::Result<T> {
        let (uid, gid) = (unistd::geteuid(), unistd::getegid());
        // The group first, because it cannot change without the rights of root. A refusal shows only in the second answer.
        let set = |uid: unistd::Uid, gid: unistd::Gid| {
            (unistd::setfsgid(gid), unistd::setfsgid(gid)).1 == gid
                && (unistd::setfsuid(uid), unistd::setfsuid(uid)).1 == uid
        };
        let done = if set(self.uid.into(), self.gid.into()) { work() } else { Err(Errno::EPERM.into()) };
        unistd::setfsuid(uid);
        unistd::setfsgid(gid);
        done
    }

    fn has_groups_already(&self) -> bool {
        groups_of_process(&mut [0; 64]) == self.groups.as_slice()
    }

    /// As [`User::adopt`], and makes the user the owner of stdout and stderr.
    pub(crate) fn become_with_output(&self) -> std::io::Result<()> {
        for fd in [1, 2] {
            // SAFETY: fcntl takes any number, and fails if that descriptor is not open.
            let open = unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0;
            if open {
                // SAFETY: it is open, and nothing closes it while this runs.
                self.own_output(unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) });
            }
        }
        self.adopt()
    }

    /// Gives a pipe or terminal to the user, because otherwise it could not open `/dev/stdout` again.
    fn own_output(&self, fd: std::os::fd::BorrowedFd<'_>) {
        let is_stream = nix::sys::stat::fstat(fd).is_ok_and(|found| {
            let kind = found.st_mode & libc::S_IFMT;
            kind == libc::S_IFIFO || (kind == libc::S_IFCHR && unistd::isatty(fd).unwrap_or(false))
        });
        if is_stream {
            let _ = unistd::fchown(fd, Some(self.uid.into()), None);
        }
    }

    /// Whether modes allow the user to access a file (`what`: 4 read, 1 execute) and to traverse every folder above it.
    #[must_use]
    pub fn may(&self, path: &Path, what: u32) -> bool {
        let allowed = |path: &Path, what: u32| {
            fs::metadata(path).is_ok_and(|meta| {
                let shift = match () {
                    () if self.uid == 0 && (what & 1 == 0 || meta.is_dir() || meta.mode() & 0o111 != 0) => return true,
                    () if meta.uid() == self.uid => 6,
                    () if meta.gid() == self.gid || self.groups.contains(&meta.gid()) => 3,
                    () => 0,
                };
                (meta.mode() >> shift) & what == what
            })
        };
        let Ok(path) = path.canonicalize() else { return false };
        allowed(&path, what) && path.ancestors().skip(1).all(|folder| allowed(folder, 1))
    }

    /// Fails unless this process is root with the needed capabilities, or already runs as this user.
    fn refuse_unless_allowed(&self, spec: &str) -> Result<()> {
        let now = Ids::of_process();
        if self.is_this_process() {
            return Ok(());
        }
        let error = match now.uid {
            0 if may_change_ids() => return Ok(()),
            0 => Error::usage(format!(
                "--user {spec} needs the capabilities SETUID and SETGID, which this container lacks"
            ))
            .hint("add them, or set the user in the container runtime instead (docker run --user)"),
            uid => Error::usage(format!("--user {spec} needs root, and this process runs as user {uid}")).hint(
                "start the container as root, or remove --user (MOORLINE_USER) and set the user in the container runtime",
            ),
        };
        Err(error)
    }

    /// Whether this process is not root and already runs as this user.
    fn is_this_process(&self) -> bool {
        let now = Ids::of_process();
        now.uid != 0 && self.uid == now.uid && self.gid == now.gid && self.is_in_groups(now.gid)
    }

    fn is_in_groups(&self, gid: u32) -> bool {
        let mut current: [libc::gid_t; 64] = [0; 64];
        let current = groups_of_process(&mut current);
        self.groups.iter().all(|group| *group == gid || current.contains(group))
    }
}

/// The supplementary groups of this process, without allocating memory; none if there are more than 64.
fn groups_of_process(room: &mut [libc::gid_t; 64]) -> &[u32] {
    // SAFETY: takes the length of an array, and the array.
    let count = unsafe { libc::syscall(libc::SYS_getgroups, room.len(), room.as_mut_ptr()) };
    usize::try_from(count).ok().and_then(|count| room.get(..count)).unwrap_or_default()
}

/// Whether this process has the capabilities SETGID and SETUID.
fn may_change_ids() -> bool {
    const VERSION_3: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION_3, 0];
    let mut sets: [u32; 6] = [0; 6];
    // SAFETY: version 3 takes a header of two numbers and fills two times three.
    let done = unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) };
    let wanted = 1 << 6 | 1 << 7;
    // If a seccomp filter forbids this call, the others may still be allowed.
    done != 0 || sets[0] & wanted == wanted
}

#[derive(Debug, Clone, Copy)]
struct Ids {
    uid: u32,
    gid: u32,
}

impl Ids {
    fn of_process() -> Self {
        Self { uid: unistd::geteuid().as_raw(), gid: unistd::getegid().as_raw() }
    }
}

/// Reads a file; an image without it counts as empty.
fn read(path: &str) -> Result<String> {
    match fs::read(path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(String::new()),
        other => Ok(String::from_utf8_lossy(&other.on("read", Path::new(path))?).into_owned()),
    }
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn accounts(passwd: &str) -> impl Iterator<Item = Account<'_>> {
    passwd.lines().filter_map(|line| {
        let fields: Vec<&str> = line.trim().split(':').collect();
        let [name, _, uid, gid, rest @ ..] = fields.as_slice() else { return None };
        let home = rest.get(1).copied().unwrap_or_default();
        (!name.is_empty() && !name.starts_with('#')).then_some(())?;
        Some(Account { name, uid: uid.parse().ok()?, gid: gid.parse().ok()?, home })
    })
}

/// The name, id and members of each group.
fn groups(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let fields: Vec<&str> = line.trim().split(':').collect();
        let [name, _, gid, rest @ ..] = fields.as_slice() else { return None };
        Some((*name, gid.parse().ok()?, rest.first().copied().unwrap_or_default()))
    })
}

fn resolve(spec: &str, passwd: &str, group: &str, now: Ids) -> Result<User> {
    let (user, wanted) = spec.split_once(':').unwrap_or((spec, ""));
    let number = id(user);
    let found = accounts(passwd)
        .find(|one| if user.is_empty() { one.uid == now.uid } else { one.name == user || number == Some(one.uid) });
    let uid = match (&found, number) {
        (Some(account), _) => account.uid,
        (None, Some(number)) => number,
        (None, None) if user.is_empty() => now.uid,
        (None, None) => return Err(unknown("user", user, PASSWD)),
    };
    let (gid, groups) = match (wanted, &found) {
        ("", Some(account)) => (account.gid, supplementary(account.name, group)),
        ("", None) => (now.gid, Vec::new()),
        _ => (group_id(wanted, group)?, Vec::new()),
    };
    let home = found.map(|account| account.home).filter(|home| !home.is_empty()).unwrap_or("/");
    Ok(User { uid, gid, groups, home: home.into(), spec: spec.to_owned() })
}

fn supplementary(user: &str, group: &str) -> Vec<u32> {
    let of_user = groups(group).filter(|(.., members)| members.split(',').any(|member| member == user));
    of_user.map(|(_, gid, _)| gid).collect()
}

fn group_id(wanted: &str, group: &str) -> Result<u32> {
    let number = id(wanted);
    let named = groups(group).find(|(name, gid, _)| *name == wanted || number == Some(*gid)).map(|(_, gid, _)| gid);
    named.or(number).ok_or_else(|| unknown("group", wanted, GROUP))
}

/// Parses an id. The largest number is invalid, because it means "unchanged" to the kernel.
fn id(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten().filter(|id| *id < u32::MAX)
}

fn unknown(what: &str, name: &str, file: &str) -> Error {
    Error::new(Code::Usage, format!("no {what} {name:?} in {file}"))
        .hint("use a name that the image has, or numbers: --user UID:GID")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\n# no\n+nis\ngames:x:5:60:games:/usr/games:/bin/no\nbad:x:y:1::/:\n77:x:9:9::/srv:\n";
    const GROUP: &str = "root:x:0:\ndaemon:x:1:\naudio:x:29:games,root\nvideo:x:44:mygames,games\n";

    fn find(spec: &str) -> Result<User> {
        resolve(spec, PASSWD, GROUP, Ids { uid: 0, gid: 0 })
    }

    #[test]
    fn users_are_resolved_as_in_gosu() {
        for (spec, uid, gid, groups, home) in [
            ("games", 5, 60, vec![29, 44], "/usr/games"),
            ("5", 5, 60, vec![29, 44], "/usr/games"),
            ("games:daemon", 5, 1, vec![], "/usr/games"),
            ("games:", 5, 60, vec![29, 44], "/usr/games"),
            ("1000", 1000, 0, vec![], "/"),
            ("1000:1000", 1000, 1000, vec![], "/"),
            (":audio", 0, 29, vec![], "/root"),
            ("77", 9, 9, vec![], "/srv"),
        ] {
            let expected = User { uid, gid, groups, home: home.into(), spec: spec.to_owned() };
            assert_eq!(find(spec).expect(spec), expected, "{spec}");
        }
    }

    #[test]
    fn unknown_names_and_invalid_numbers_are_refused() {
        for spec in ["bogus", "0day", "0:bogus", "0:0day", "bad", "-1", "+5", "4294967295", "4294967296", "0:0:0", " "]
        {
            assert!(find(spec).is_err(), "{spec}");
        }
    }
}

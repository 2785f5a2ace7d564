//! Whether a foreign database is in use.
//!
//! - The volume's lock shows the server that `run` started, and `init` leaves a note about a server without the lock.
//! - A lock of the kernel on a file of the engine is seen from every container of the machine. So for the engines that hold one
//!   as long as they run, a free lock shows that they do not.
//! - PostgreSQL, Redis and InfluxDB hold none. Their processes are found in `/proc`, which shows those of our PID namespace
//!   only. PostgreSQL leaves `postmaster.pid` as well: its process id means nothing in another namespace, but the file is
//!   removed at a clean stop. So we take the file as a sign that the server may be running, unless a start of moorline
//!   holds the volume's lock and has not started the server yet.
//! - A Redis or InfluxDB server in another container that does not hold the volume's lock is not seen at all.

use std::{
    fs::OpenOptions,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
};

use nix::libc;
use rustix::fs::FlockOperation;
use volume::lock::try_flock;

use super::{Engine, Recognised};
use crate::{
    prelude::*,
    store::{server::Server, sqlite},
};

/// Why a database is, or may be, in use at this moment.
pub(super) fn in_use(root: &Path, found: &Recognised, server: &Server) -> Result<Option<String>> {
    if let Server::Running(why) = server {
        return Ok(Some(why.clone()));
    }
    let place = found.path.as_ref().map_or_else(|| root.to_owned(), |path| path.under(root));
    let beside = |suffix: &str| {
        let mut name = place.clone().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    };
    match found.engine {
        Engine::PostgreSql => return postgres(&place, server),
        Engine::Redis => {
            let folder = found.marker.under(root);
            let folder = folder.parent().unwrap_or(root);
            return process_in(&["redis-server", "valkey-server", "keydb-server"], folder);
        }
        Engine::InfluxDb => return process_in(&["influxd"], &place),
        Engine::SqlCipher => return sqlite::in_use(&place),
        _ => {}
    }
    let locks = match found.engine {
        Engine::MariaDb | Engine::MySql => vec![place.join("ibdata1"), place.join("aria_log_control")],
        Engine::MongoDb | Engine::WiredTiger => vec![place.join("WiredTiger.lock"), place.join("mongod.lock")],
        Engine::RocksDb | Engine::LevelDb => vec![place.join("LOCK")],
        Engine::Lucene => vec![place.join("write.lock")],
        Engine::Lmdb if place.file_name().is_some_and(|name| name == "data.mdb") => {
            vec![place.with_file_name("lock.mdb"), beside("-lock")]
        }
        Engine::Lmdb => vec![beside("-lock")],
        _ => vec![place],
    };
    // bbolt and mongod use flock, the others record locks.
    let uses_flock = matches!(found.engine, Engine::Bbolt | Engine::MongoDb);
    for path in locks {
        if let Some(why) = lock_on(&path, uses_flock)? {
            return Ok(Some(why));
        }
    }
    Ok(None)
}

/// Who holds a lock on the file.
fn lock_on(path: &Path, uses_flock: bool) -> Result<Option<String>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let Some(file) =
        presence::unless_absent(OpenOptions::new().read(true).custom_flags(flags).open(path)).on("open", path)?
    else {
        return Ok(None);
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(holder) = sqlite::holder(&file, (0, 0)).on("look for locks on", path)? {
        return Ok(Some(format!("{} holds a lock on {name}", sqlite::name(holder))));
    }
    // The shared lock is dropped at once, when the file is closed.
    let is_free = !uses_flock || try_flock(&file, FlockOperation::NonBlockingLockShared, path)?;
    Ok((!is_free).then(|| format!("a process holds a lock on {name}")))
}

/// <https://www.postgresql.org/docs/current/storage-file-layout.html>: the first line of `postmaster.pid` is the process id.
/// A server changes into its data directory.
fn postgres(folder: &Path, server: &Server) -> Result<Option<String>> {
    let Some(text) = presence::read(&folder.join("postmaster.pid"))? else { return Ok(None) };
    let pid =
        text.split(|byte| *byte == b'\n').next().and_then(|line| std::str::from_utf8(line).ok()?.trim().parse().ok());
    // The working directory of another user's process is hidden from a process that is not root.
    let is_here = |pid: u32| match fs::metadata(format!("/proc/{pid}/cwd")) {
        Ok(cwd) => Ok(presence::target(folder)?.is_some_and(|own| (own.dev(), own.ino()) == (cwd.dev(), cwd.ino()))),
        Err(_) => Ok::<_, Error>(command_of(pid).is_some_and(|command| command.starts_with("postgres"))),
    };
    let runs = pid.map_or(Ok(false), is_here)?;
    Ok(match pid.filter(|_| runs) {
        Some(pid) => Some(format!("process {pid} runs it")),
        None if *server == Server::NotStarted => None,
        None => Some("postmaster.pid exists: the server may run in another container, or was killed".to_owned()),
    })
}

/// A process of this name that works in the folder, or has a file in it open.
fn process_in(commands: &[&str], folder: &Path) -> Result<Option<String>> {
    let canonical = presence::canonical(folder).unwrap_or_else(|_| folder.to_owned());
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Some(command) = command_of(pid).filter(|command| commands.contains(&command.as_str())) else { continue };
        let cwd = fs::read_link(format!("/proc/{pid}/cwd"));
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let files = files.filter_map(|file| fs::read_link(file.path()).ok());
        // `appendonlydir` is below the folder in which the server works.
        let works_here = cwd.is_ok_and(|cwd| canonical == cwd || canonical.parent() == Some(&cwd));
        if works_here || files.into_iter().any(|file| file.starts_with(&canonical)) {
            return Ok(Some(format!("process {pid} ({command}) uses it")));
        }
    }
    Ok(None)
}

fn command_of(pid: u32) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned())
}

//! The end of the event files: waited at by inotify, so that nothing wakes up until there is something.

use std::{
    ffi::OsStr,
    os::{
        fd::{AsFd, AsRawFd, RawFd},
        unix::{ffi::OsStrExt, fs::DirBuilderExt},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::inotify::{AddWatchFlags, InitFlags, Inotify},
};
use tokio::io::{Interest, unix::AsyncFd};

use volume::{Volume, events};

/// Where there is no inotify (its instances are limited for each user), it is looked so often.
const WITHOUT: Duration = Duration::from_secs(30);

/// The folder is no longer the one that is watched.
const GONE: AddWatchFlags =
    AddWatchFlags::IN_IGNORED.union(AddWatchFlags::IN_DELETE_SELF).union(AddWatchFlags::IN_MOVE_SELF);

/// Waits for events to be written.
#[derive(Debug)]
pub(super) struct Tail {
    folder: PathBuf,
    watch: Option<AsyncFd<Watch>>,
}

#[derive(Debug)]
struct Watch(Inotify);

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Tail {
    /// Events that are written from now on are noticed.
    pub(super) fn open(volume: &Volume) -> Self {
        let folder = events::folder(volume);
        let watch = watch(&folder);
        Self { folder, watch }
    }

    /// Returns when something was written, or may have been.
    pub(super) async fn changed(&mut self) {
        if self.watch.is_none() {
            tokio::time::sleep(WITHOUT).await;
            self.watch = watch(&self.folder);
            return;
        }
        while let Some(watch) = &self.watch {
            let Ok(mut ready) = watch.readable().await else {
                self.watch = None;
                return;
            };
            match watch.get_ref().0.read_events() {
                Ok(events) if events.iter().any(|event| event.mask.intersects(GONE)) => {
                    // The folder is gone; the next one is another.
                    self.watch = None;
                    return;
                }
                Ok(events) if events.iter().any(|event| event.name.as_deref().is_none_or(is_of_events)) => return,
                Ok(_) => {}
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(_) => {
                    self.watch = None;
                    return;
                }
            }
        }
    }
}

/// Positions are written into the same folder.
fn is_of_events(name: &OsStr) -> bool {
    name.as_bytes().ends_with(b".clef")
}

#[allow(deprecated, reason = "the other constructor is unsafe; the watch owns its descriptor as long as it lives")]
fn watch(folder: &Path) -> Option<AsyncFd<Watch>> {
    // As `events` would make it, where nothing has happened yet.
    let _ = std::fs::DirBuilder::new().mode(0o700).create(folder);
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok()?;
    let flags = AddWatchFlags::IN_MODIFY
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_MOVED_TO
        | GONE.difference(AddWatchFlags::IN_IGNORED);
    match inotify.add_watch(folder, flags | AddWatchFlags::IN_ONLYDIR) {
        Ok(_) => AsyncFd::with_interest(Watch(inotify), Interest::READABLE).ok(),
        Err(errno) => {
            log::warn!("{} cannot be watched, and is looked at every 30 s: {}", folder.display(), errno.desc());
            None
        }
    }
}

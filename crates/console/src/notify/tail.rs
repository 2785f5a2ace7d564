//! Waits for new events with inotify, so that the console does not wake up without a reason.

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

/// Polling interval without inotify, whose instances are limited per user.
const POLL: Duration = Duration::from_secs(30);

/// The watched folder was removed or replaced.
const GONE: AddWatchFlags =
    AddWatchFlags::IN_IGNORED.union(AddWatchFlags::IN_DELETE_SELF).union(AddWatchFlags::IN_MOVE_SELF);

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
    /// Starts watching: later writes complete `changed`.
    pub(super) fn open(volume: &Volume) -> Self {
        let folder = events::folder(volume);
        let watch = watch(&folder);
        Self { folder, watch }
    }

    /// Returns when an event was written, or may have been written.
    pub(super) async fn changed(&mut self) {
        if self.watch.is_none() {
            tokio::time::sleep(POLL).await;
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
                    // The watch belongs to the old folder, so that the next call must watch the new one.
                    self.watch = None;
                    return;
                }
                Ok(events) if events.iter().any(|event| event.name.as_deref().is_none_or(is_event_file)) => return,
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

/// The positions are stored in the same folder, and writing them must not wake up the console.
fn is_event_file(name: &OsStr) -> bool {
    name.as_bytes().ends_with(b".clef")
}

#[allow(deprecated, reason = "the other constructor is unsafe; the watch owns its descriptor as long as it lives")]
fn watch(folder: &Path) -> Option<AsyncFd<Watch>> {
    // Create the folder as `events` does, because there may be no event yet.
    let _ = std::fs::DirBuilder::new().mode(0o700).create(folder);
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok()?;
    let flags = AddWatchFlags::IN_MODIFY
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_MOVED_TO
        | GONE.difference(AddWatchFlags::IN_IGNORED);
    match inotify.add_watch(folder, flags | AddWatchFlags::IN_ONLYDIR) {
        Ok(_) => AsyncFd::with_interest(Watch(inotify), Interest::READABLE).ok(),
        Err(errno) => {
            log::warn!("cannot watch {}, polling every 30 s instead: {}", folder.display(), errno.desc());
            None
        }
    }
}

//! Waiting for the volume: a rollout starts the next container before it has stopped the last.

use std::time::{Duration, Instant};

use super::Settings;
use process::Signals;
use volume::{Lock, Volume, error::Result};

/// How often a lock that is held is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// Takes the lock as soon as it is free. `None` where a signal to stop came first.
///
/// # Errors
/// `TryAgain`, naming the holder, where it does not become free in time.
pub fn wait_for(volume: &Volume, settings: &Settings, signals: &mut Signals) -> Result<Option<Lock>> {
    let deadline = Instant::now() + settings.lock_wait;
    let mut said = false;
    let mut inherited = settings.inherited_lock(volume);
    loop {
        signals.look();
        if signals.stop().is_some() {
            return Ok(None);
        }
        let holder = match Lock::try_take(volume, settings.verb, inherited.take())? {
            Ok(lock) => return Ok(Some(lock)),
            Err(holder) => holder,
        };
        if Instant::now() >= deadline {
            return Err(holder.refusal(volume));
        }
        if !std::mem::replace(&mut said, true) {
            let seconds = settings.lock_wait.as_secs();
            log::info!("{}; waiting up to {seconds} s for it", holder.refusal(volume).message());
        }
        signals.wait(&[], Some(deadline.min(Instant::now() + PAUSE)))?;
    }
}

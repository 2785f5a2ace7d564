//! Waiting for the volume's lock, because a rollout starts the new container before it stops the old one.

use std::time::{Duration, Instant};

use super::Settings;
use process::Signals;
use volume::{Lock, Volume, error::Result};

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// Takes the lock as soon as it is free; `None` if a stop signal comes first.
pub fn wait_for(volume: &Volume, settings: &Settings, signals: &mut Signals) -> Result<Option<Lock>> {
    let deadline = Instant::now() + settings.lock_wait;
    let mut is_logged = false;
    let mut inherited = settings.inherited_lock(volume);
    loop {
        signals.poll();
        if signals.stop().is_some() {
            return Ok(None);
        }
        let holder = match Lock::try_take(volume, settings.command, inherited.take())? {
            Ok(lock) => return Ok(Some(lock)),
            Err(holder) => holder,
        };
        if Instant::now() >= deadline {
            return Err(holder.refusal(volume));
        }
        if !std::mem::replace(&mut is_logged, true) {
            let seconds = settings.lock_wait.as_secs();
            log::info!("{}; waiting up to {seconds} s for it", holder.refusal(volume).message());
        }
        signals.wait(&[], Some(deadline.min(Instant::now() + PAUSE)))?;
    }
}

//! The facts that the scheduler decides on: kept backups, state, restores.

use engine::store::Matcher;
use jiff::Timestamp;

use engine::{
    backup::{self, Verifications},
    metastore,
    store::holds_state,
};
use profile::{Choice, Profile};
use seqbac_header::SecretKey;
use volume::{Instance, Volume, error::Result};

/// A snapshot of the volume, as far as the scheduler needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// Creation time of the newest scheduled backup of this instance.
    pub newest: Option<Timestamp>,
    /// Whether the volume holds anything to back up.
    pub has_state: bool,
    /// Whether a restore is unfinished.
    pub unfinished: bool,
    /// Creation time of the instance, because earlier slots do not count as missed.
    pub created: Option<Timestamp>,
    /// Time of the last full verification, or else creation time of the oldest kept backup. `None` if this instance has
    /// no kept backup.
    pub unverified_since: Option<Timestamp>,
}

impl Observation {
    /// Observes the volume.
    ///
    /// # Errors
    /// The profile, the instance, the restore sets or the backup folder cannot be read.
    pub fn of(volume: &Volume, profile: &Choice, key: &SecretKey, now: Timestamp) -> Result<Self> {
        let unfinished = volume::restores::unfinished(volume)?;
        let profile = engine::finds::load(profile, volume.root())?;
        let has_state = has_state(volume, &profile)?;
        let Some(instance) = Instance::load(volume)? else {
            return Ok(Self { newest: None, has_state, unfinished, created: None, unverified_since: None });
        };
        // If the backup folder is missing, a backup is due: the failing attempt makes the problem visible.
        let newest = match volume.refuse_missing_backups() {
            Ok(()) => backup::newest_scheduled(volume, key, instance.id, now)?,
            Err(_) => None,
        };
        let oldest = backup::list_volume(volume, None)?
            .backups
            .into_iter()
            .filter(|one| one.instance_id == Some(instance.id) && one.key_fingerprint == key.fingerprint())
            .map(|one| one.created)
            .min();
        let verified = Verifications::load(volume)?.at;
        let unverified_since = oldest.map(|oldest| verified.unwrap_or(oldest));
        Ok(Self { newest, has_state, unfinished, created: Some(instance.created), unverified_since })
    }
}

/// Without a profile, the console's metastore counts as state, because the console may be the server itself. With a
/// profile, no backup is due before the server has created its state.
fn has_state(volume: &Volume, profile: &Profile) -> Result<bool> {
    let own = profile.scope.discover && metastore::is_there(volume)?;
    Ok(own || holds_state(volume.root(), &Matcher::of(&profile.scope)?)?)
}

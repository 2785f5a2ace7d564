//! What the scheduler looks at: the folder of backups, the state, restores.

use jiff::Timestamp;

use engine::{
    backup::{self, Verifications},
    metastore,
    store::holds_state,
};
use profile::{Choice, Profile};
use seqbac_header::SecretKey;
use volume::{Instance, Volume, error::Result};

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// When the newest scheduled backup of this instance was made.
    pub newest: Option<Timestamp>,
    /// Whether there is anything to back up.
    pub has_state: bool,
    /// Whether a restore is unfinished.
    pub unfinished: bool,
    /// When the instance was made: what was due before was not its to make.
    pub created: Option<Timestamp>,
    /// Since when what is kept was not verified in full: the last time, or the oldest backup. None where nothing is kept.
    pub unverified_since: Option<Timestamp>,
}

impl Sight {
    /// Looks.
    ///
    /// # Errors
    /// Where something cannot be read.
    pub fn of(volume: &Volume, profile: &Choice, key: &SecretKey, now: Timestamp) -> Result<Self> {
        let unfinished = volume::restores::unfinished(volume)?;
        let profile = profile.load(volume.root())?;
        let has_state = has_state(volume, &profile)?;
        let Some(instance) = Instance::load(volume)? else {
            return Ok(Self { newest: None, has_state, unfinished, created: None, unverified_since: None });
        };
        // Without its folder, a backup is tried all the same: it is the attempt that fails, for all to see.
        let newest = match volume.refuse_missing_backups() {
            Ok(()) => backup::newest_scheduled(&volume.backups(), key, instance.id, now)?,
            Err(_) => None,
        };
        let oldest = backup::in_sight(volume, None)?
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

/// Where no profile says what the server's state is, the console's own is state enough: it may be the server itself.
/// Where one does, a backup is not tried before the server has made it.
fn has_state(volume: &Volume, profile: &Profile) -> Result<bool> {
    let own = profile.scope.discover && metastore::is_there(volume)?;
    Ok(own || holds_state(volume.root(), &profile.scope.compile()?)?)
}

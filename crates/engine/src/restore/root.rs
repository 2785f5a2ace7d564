//! Owner and mode of the storage root. A rename cannot restore them, because the root itself never moves, so the journal
//! holds both states.

use std::os::unix::fs::{PermissionsExt, chown};

use super::journal::RootChange;
use crate::{backup::RootFacts, prelude::*};

/// The change that a restore makes. Root changes the owner to `requested` or to the archived one. A volume that holds state
/// keeps the owner of its root, like the owners of its files, unless only root can write there. The mode follows only if
/// the owner is as archived, because a mode is meant for one owner.
pub fn change(
    volume: &Volume,
    archived: Option<RootFacts>,
    requested: Option<(u32, u32)>,
    holds_state: bool,
    notes: &mut Vec<String>,
) -> Result<Option<RootChange>> {
    let old = RootFacts::of(volume.root())?;
    let Some(archived) = archived else { return Ok(None) };
    let is_used = holds_state && (old.uid != 0 || old.mode & 0o022 != 0);
    let owner = match requested {
        Some(requested) if nix::unistd::geteuid().is_root() => requested,
        None if nix::unistd::geteuid().is_root() && !is_used => archived.owner(),
        _ => old.owner(),
    };
    let new = if owner == archived.owner() || requested.is_some_and(|requested| requested == owner) {
        RootFacts { uid: owner.0, gid: owner.1, mode: archived.mode }
    } else {
        let ((uid, gid), (was_uid, was_gid)) = (old.owner(), archived.owner());
        notes.push(format!("the storage root keeps its owner {uid}:{gid}; in the backup it is {was_uid}:{was_gid}"));
        old
    };
    Ok((new != old).then_some(RootChange { old, new }))
}

/// The change that undoes `change` later.
pub fn back(volume: &Volume, change: &RootChange) -> Result<RootChange> {
    Ok(RootChange { old: RootFacts::of(volume.root())?, new: change.old })
}

/// Sets owner and mode; idempotent. If the owner cannot be changed, the mode stays too.
pub fn set(volume: &Volume, to: &RootFacts) -> Result<()> {
    let root = volume.root();
    if RootFacts::of(root)?.owner() != to.owner() {
        volume::warn_if_refused(root, chown(root, Some(to.uid), Some(to.gid))).on("change the owner of", root)?;
    }
    let now = RootFacts::of(root)?;
    if now.owner() != to.owner() || now.mode == to.mode {
        return Ok(());
    }
    match fs::set_permissions(root, fs::Permissions::from_mode(to.mode)) {
        Err(cause) if volume::is_refused(&cause) => {
            log::warn!("cannot change the mode of {}: {cause}; it keeps its mode {:o}", root.display(), now.mode);
            Ok(())
        }
        other => other.on("change the mode of", root),
    }
}

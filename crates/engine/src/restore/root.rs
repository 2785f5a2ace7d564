//! Owner, mode and extended attributes of the storage root. A rename cannot restore them, because the root itself never moves, so the journal
//! holds both states.

use std::os::unix::fs::{PermissionsExt, chown};

use super::{Request, journal::RootChange};
use crate::{backup::RootFacts, prelude::*};
use volume::xattrs;

/// The change that a restore makes. Root changes the owner to `requested` or to the archived one. A volume that holds state
/// keeps the owner of its root, like the owners of its files, unless only root can write there. Mode and
/// attributes follow only if the owner is as archived, because they are meant for one owner.
pub fn change(
    volume: &Volume,
    archived: Option<RootFacts>,
    request: &Request,
    holds_state: bool,
    notes: &mut Vec<String>,
) -> Result<Option<RootChange>> {
    let old = RootFacts::of(volume.root())?;
    let Some(archived) = archived else { return Ok(None) };
    let owners = request.owners(volume);
    let requested = owners.asked_for(archived.owner());
    let is_used = holds_state && (old.uid != 0 || old.mode & 0o022 != 0);
    let owner = match requested {
        Some(requested) if nix::unistd::geteuid().is_root() => requested,
        None if nix::unistd::geteuid().is_root() && !is_used => archived.owner(),
        _ => old.owner(),
    };
    let new = if owner == archived.owner() || requested.is_some_and(|requested| requested == owner) {
        let new = RootFacts { uid: owner.0, gid: owner.1, mode: archived.mode, xattrs: old.xattrs.clone() };
        let mut attributes = archived.attributes();
        attributes.retain(|name, _| !(owners.unprivileged && xattrs::is_privileged(name)));
        attributes.iter_mut().for_each(|(name, value)| *value = owners.map.in_attribute(name, value));
        // Older backups do not record them.
        if archived.xattrs.is_some() { new.with_attributes(attributes) } else { new }
    } else {
        let ((uid, gid), (was_uid, was_gid)) = (old.owner(), archived.owner());
        notes.push(format!("the storage root keeps its owner {uid}:{gid}; in the backup it is {was_uid}:{was_gid}"));
        old.clone()
    };
    Ok((new != old).then_some(RootChange { old, new }))
}

/// The change that undoes `change` later.
pub fn back(volume: &Volume, change: RootChange) -> Result<RootChange> {
    Ok(RootChange { old: RootFacts::of(volume.root())?, new: change.old })
}

/// Sets owner, mode and attributes; idempotent. If the owner cannot be changed, the others stay too.
pub fn set(volume: &Volume, to: &RootFacts) -> Result<()> {
    let root = volume.root();
    if RootFacts::of(root)?.owner() != to.owner() {
        volume::warn_if_refused(root, chown(root, Some(to.uid), Some(to.gid))).on("change the owner of", root)?;
    }
    let now = RootFacts::of(root)?;
    let has_attributes = to.xattrs.is_none() || now.xattrs == to.xattrs;
    if now.owner() != to.owner() || (now.mode == to.mode && has_attributes) {
        return Ok(());
    }
    let directory = fs::File::open(root).on("open", root)?;
    if !has_attributes {
        let gone: Vec<_> = now.attributes().into_keys().filter(|name| !to.attributes().contains_key(name)).collect();
        xattrs::remove(&directory, &gone).on("remove extended attributes of", root)?;
    }
    match fs::set_permissions(root, fs::Permissions::from_mode(to.mode)) {
        Err(cause) if volume::is_refused(&cause) => {
            log::warn!("cannot change the mode of {}: {cause}; it keeps its mode {:o}", root.display(), now.mode);
            Ok(())
        }
        other => other.on("change the mode of", root),
    }?;
    // After the mode, because an access list has bits of it.
    let lost = xattrs::give(&directory, &to.attributes());
    if let Some((name, cause)) = lost.first() {
        let (name, root, why) = (name.display(), root.display(), volume::error::reason(cause));
        log::warn!("cannot set {name} and {} other extended attributes of {root}: {why}", lost.len() - 1);
    }
    Ok(())
}

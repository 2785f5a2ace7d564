//! Which owner a restored path gets.

use std::collections::BTreeMap;

use crate::prelude::*;

/// User id and group id.
pub type Owner = (u32, u32);

/// How to choose the owners of staged files.
#[derive(Debug, Clone, Default)]
pub struct Owners {
    /// User and group for all files, whatever the archive and the volume say.
    pub requested: Option<Owner>,
    /// New ids for those in the archive. They come before the owner on the volume.
    pub map: OwnerMap,
    /// The directory whose files will be replaced. A file there passes its owner on to its replacement.
    pub live: Option<PathBuf>,
    /// Whether members get nothing that only root can give, because another user than root asked for them.
    pub unprivileged: bool,
}

/// New ids for users and groups in the archive. Users and groups are mapped independently.
#[derive(Debug, Clone, Default)]
pub struct OwnerMap {
    /// The new user id by the archived one.
    pub users: BTreeMap<u32, u32>,
    /// The new group id by the archived one.
    pub groups: BTreeMap<u32, u32>,
}

impl OwnerMap {
    /// The new owner; `None` if neither of its ids is mapped.
    #[must_use]
    pub fn of(&self, (uid, gid): Owner) -> Option<Owner> {
        let is_mapped = self.users.contains_key(&uid) || self.groups.contains_key(&gid);
        is_mapped.then(|| (self.user(uid), self.group(gid)))
    }

    fn user(&self, uid: u32) -> u32 {
        self.users.get(&uid).copied().unwrap_or(uid)
    }

    fn group(&self, gid: u32) -> u32 {
        self.groups.get(&gid).copied().unwrap_or(gid)
    }

    /// An attribute with the new ids, if it is an access list.
    #[must_use]
    pub fn in_attribute(&self, name: &std::ffi::OsStr, value: &[u8]) -> Vec<u8> {
        volume::xattrs::with_ids(name, value, |uid| self.user(uid), |gid| self.group(gid))
    }
}

impl Owners {
    /// The owner that was asked for, if any.
    #[must_use]
    pub fn asked_for(&self, archived: Owner) -> Option<Owner> {
        self.requested.or_else(|| self.map.of(archived))
    }
}

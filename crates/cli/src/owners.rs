//! `--owner` and `--owner-map`: the owners of restored and extracted files.

use clap::Args;

use super::environment::parse_owner;
use engine::store::{Owner, OwnerMap};
use process::User;
use volume::error::{Error, Result};

/// Options of `restore` and `extract`.
#[derive(Args)]
pub struct OwnerArguments {
    /// Owner of all files [default: the owner in the backup; for restore, the owner of the replaced file]
    #[arg(long, value_name = "UID:GID", value_parser = parse_owner)]
    pub owner: Option<Owner>,
    /// New ids for an owner in the backup, also in access lists: UID, UID:GID or :GID, the new ones also as names; repeatable
    #[arg(long, value_name = "OLD=NEW", value_parser = parse_pair, conflicts_with = "owner")]
    owner_map: Vec<Pair>,
}

/// A user, a group, or both: the old id, then the new one.
#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    user: Option<(u32, u32)>,
    group: Option<(u32, u32)>,
}

impl OwnerArguments {
    pub fn map(&self) -> Result<OwnerMap> {
        let mut map = OwnerMap::default();
        for pair in &self.owner_map {
            add(&mut map.users, pair.user, "user")?;
            add(&mut map.groups, pair.group, "group")?;
        }
        Ok(map)
    }
}

fn add(known: &mut std::collections::BTreeMap<u32, u32>, pair: Option<(u32, u32)>, what: &str) -> Result<()> {
    let Some((old, new)) = pair else { return Ok(()) };
    match known.insert(old, new) {
        Some(other) if other != new => {
            Err(Error::usage(format!("--owner-map gives the {what} {old} two new ids, {other} and {new}"))
                .hint("name each old id once"))
        }
        _ => Ok(()),
    }
}

fn parse_pair(text: &str) -> Result<Pair> {
    let wrong = || Error::usage(format!("{text:?} is not a pair of owners: use UID=UID, UID:GID=UID:GID or :GID=:GID"));
    let (old, new) = text.split_once('=').ok_or_else(wrong)?;
    let (old_user, old_group) = halves(old).ok_or_else(wrong)?;
    let (new_user, new_group) = halves(new).ok_or_else(wrong)?;
    let number = |text: &str| text.parse().map_err(|_| wrong());
    let pair = |old: Option<&str>, new: Option<&str>, find: &dyn Fn(&str) -> Result<u32>| match (old, new) {
        (None, None) => Ok(None),
        (Some(old), Some(new)) => Ok(Some((number(old)?, new.parse().map_or_else(|_| find(new), Ok)?))),
        _ => Err(wrong()),
    };
    let user = pair(old_user, new_user, &|name| Ok(User::find(name)?.uid()))?;
    let group = pair(old_group, new_group, &|name| Ok(User::find(&format!("0:{name}"))?.gid()))?;
    Ok(Pair { user, group })
}

/// The user and the group of `USER`, `USER:GROUP` or `:GROUP`.
fn halves(text: &str) -> Option<(Option<&str>, Option<&str>)> {
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let user = Some(user).filter(|user| !user.is_empty());
    let is_valid = (user.is_some() || group.is_some()) && group != Some("");
    is_valid.then_some((user, group))
}

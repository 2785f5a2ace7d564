//! What somebody may do: Seq's permissions, and sets of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One permission, in Seq's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Permission {
    /// What anybody may see who can reach the console.
    Public,
    /// To send events.
    Ingest,
    /// To look at events and signals.
    Read,
    /// To change signals and API keys of one's own.
    Write,
    /// To change what is shared.
    Project,
    /// Backups, restores, quarantine, apps, settings.
    System,
    /// Users.
    Organization,
}

impl Permission {
    /// All of them, the least first.
    pub const ALL: [Self; 7] =
        [Self::Public, Self::Ingest, Self::Read, Self::Write, Self::Project, Self::System, Self::Organization];

    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "Public",
            Self::Ingest => "Ingest",
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Project => "Project",
            Self::System => "System",
            Self::Organization => "Organization",
        }
    }
}

/// A set of permissions. As JSON, a list of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "Vec<Permission>", from = "Vec<Permission>")]
pub struct Permissions(u8);

impl Permissions {
    /// None.
    pub const NONE: Self = Self(0);

    /// All.
    #[must_use]
    pub fn all() -> Self {
        Permission::ALL.into_iter().collect()
    }

    /// Whether this one is among them.
    #[must_use]
    pub const fn has(self, one: Permission) -> bool {
        self.0 & one.bit() != 0
    }

    /// Those that both have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that either has.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the other has all of them.
    #[must_use]
    pub const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(all: I) -> Self {
        Self(all.into_iter().fold(0, |bits, one| bits | one.bit()))
    }
}

impl From<Vec<Permission>> for Permissions {
    fn from(all: Vec<Permission>) -> Self {
        all.into_iter().collect()
    }
}

impl From<Permissions> for Vec<Permission> {
    fn from(set: Permissions) -> Self {
        Permission::ALL.into_iter().filter(|one| set.has(*one)).collect()
    }
}

impl From<Permission> for Permissions {
    fn from(one: Permission) -> Self {
        Self(one.bit())
    }
}

//! Seq's permissions, and sets of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A permission, with Seq's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Permission {
    /// See and change the own user, log out.
    Public,
    /// Send events.
    Ingest,
    /// Read events and signals.
    Read,
    /// Change the own signals and API keys.
    Write,
    /// Change shared signals and API keys.
    Project,
    /// Manage backups, restores, quarantine, apps and settings.
    System,
    /// Manage users and their API keys.
    Organization,
}

impl Permission {
    /// All permissions.
    pub const ALL: [Self; 7] =
        [Self::Public, Self::Ingest, Self::Read, Self::Write, Self::Project, Self::System, Self::Organization];

    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// Seq's name, as in the API.
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

/// A set of permissions; in JSON, a list of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "Vec<Permission>", from = "Vec<Permission>")]
pub struct Permissions(u8);

impl Permissions {
    pub const NONE: Self = Self(0);

    pub fn all() -> Self {
        Permission::ALL.into_iter().collect()
    }

    pub const fn has(self, one: Permission) -> bool {
        self.0 & one.bit() != 0
    }

    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether this is a subset of `other`.
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

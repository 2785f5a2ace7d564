//! Roles: what users are given. They are built in, as Seq's are, and cannot be changed.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Links, links};
use crate::permission::{Permission, Permissions};

/// Who may do everything.
pub const ADMINISTRATOR: &str = "role-administrator";

/// A role.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Role {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// What whoever has it may do.
    #[schema(value_type = Vec<Permission>)]
    pub permissions: Permissions,
    /// Where it is.
    pub links: Links,
}

const ROLES: [(&str, &str, &str, &[Permission]); 5] = [
    ("role-user-readonly", "User (read-only)", "Looks at events and signals", &[Permission::Public, Permission::Read]),
    (
        "role-user-readwrite",
        "User (read/write)",
        "Has signals and API keys of its own, too",
        &[Permission::Public, Permission::Read, Permission::Write],
    ),
    (
        "role-user-readwriteingest",
        "User (read/write/ingest)",
        "May send events, too",
        &[Permission::Public, Permission::Ingest, Permission::Read, Permission::Write],
    ),
    (
        "role-project-owner",
        "Project Owner",
        "Changes what is shared, too; sees no backup",
        &[Permission::Public, Permission::Ingest, Permission::Read, Permission::Write, Permission::Project],
    ),
    (ADMINISTRATOR, "Administrator", "Does everything: backups, restores, apps, settings, users", &Permission::ALL),
];

/// All roles.
#[must_use]
pub fn list() -> Vec<Role> {
    let role = |(id, title, description, permissions): (&str, &str, &str, &[Permission])| Role {
        id: id.to_owned(),
        title: title.to_owned(),
        description: description.to_owned(),
        permissions: permissions.iter().copied().collect(),
        links: links("roles", id),
    };
    ROLES.into_iter().map(role).collect()
}

/// One of them.
#[must_use]
pub fn find(id: &str) -> Option<Role> {
    list().into_iter().find(|role| role.id == id)
}

/// What whoever has these roles may do. One that is not known gives nothing.
#[must_use]
pub fn permissions(ids: &[String]) -> Permissions {
    let of = |id: &String| ROLES.iter().find(|role| role.0 == id).map(|role| role.3.iter().copied().collect());
    ids.iter().filter_map(of).fold(Permissions::NONE, Permissions::or)
}

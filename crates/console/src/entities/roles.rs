//! Roles: sets of permissions for users. They are built in, as in Seq, and cannot be changed.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Links, links};
use crate::permission::{Permission, Permissions};

pub(crate) const ADMINISTRATOR: &str = "role-administrator";

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Role {
    pub id: String,
    pub title: String,
    pub description: String,
    #[schema(value_type = Vec<Permission>)]
    pub permissions: Permissions,
    pub links: Links,
}

const ROLES: [(&str, &str, &str, &[Permission]); 5] = [
    ("role-user-readonly", "User (read-only)", "Reads events and signals", &[Permission::Public, Permission::Read]),
    (
        "role-user-readwrite",
        "User (read/write)",
        "Also has signals and API keys of its own",
        &[Permission::Public, Permission::Read, Permission::Write],
    ),
    (
        "role-user-readwriteingest",
        "User (read/write/ingest)",
        "Also sends events",
        &[Permission::Public, Permission::Ingest, Permission::Read, Permission::Write],
    ),
    (
        "role-project-owner",
        "Project Owner",
        "Also changes shared signals and API keys; has no access to backups",
        &[Permission::Public, Permission::Ingest, Permission::Read, Permission::Write, Permission::Project],
    ),
    (ADMINISTRATOR, "Administrator", "Has all permissions: backups, restores, apps, settings, users", &Permission::ALL),
];

pub(crate) fn list() -> Vec<Role> {
    let role = |(id, title, description, permissions): (&str, &str, &str, &[Permission])| Role {
        id: id.to_owned(),
        title: title.to_owned(),
        description: description.to_owned(),
        permissions: permissions.iter().copied().collect(),
        links: links("roles", id),
    };
    ROLES.into_iter().map(role).collect()
}

pub(crate) fn find(id: &str) -> Option<Role> {
    list().into_iter().find(|role| role.id == id)
}

/// The permissions of a user with these roles. Unknown roles are ignored.
pub(crate) fn permissions(ids: &[String]) -> Permissions {
    let of = |id: &String| ROLES.iter().find(|role| role.0 == id).map(|role| role.3.iter().copied().collect());
    ids.iter().filter_map(of).fold(Permissions::NONE, Permissions::or)
}

//! `api/users`, `api/roles`.

use axum::{Json, extract::Path, http::StatusCode};
use zeroize::Zeroizing;

use super::resource::Resource;
use crate::{
    Failure, Site,
    auth::Principal,
    entities::{
        roles::{self, Role},
        users::{Credentials, User, UserInput, by_name},
    },
    failure::HttpResult,
    permission::{Permission, Permissions},
};
use volume::{error::Error, events::Kind};

impl Resource for User {
    const EVENTS: [Kind; 3] = [Kind::UserCreated, Kind::UserChanged, Kind::UserRemoved];
    const TITLE: &'static str = "Username";

    fn title(&self) -> &str {
        &self.username
    }

    fn refuse_id(id: &str, principal: &Principal) -> HttpResult<()> {
        if principal.user_id() == Some(id) { Ok(()) } else { principal.require(Permission::Organization) }
    }

    /// A new password ends all sessions of the user except the session of the request. That one ends, too, if the password
    /// must be changed at the next login.
    async fn prepare(
        before: Option<&Self>,
        site: &Site,
        principal: &Principal,
        input: &mut UserInput,
    ) -> HttpResult<Credentials> {
        let new_password = input.new_password.take().filter(|password| !password.is_empty()).map(Zeroizing::new);
        let is_own = before.is_some_and(|before| principal.user_id() == Some(before.id.as_str()));
        match before {
            None => {
                refuse_stronger(principal, input.role_ids.as_deref())?;
                input.role_ids.get_or_insert_with(|| vec!["role-user-readonly".to_owned()]);
            }
            Some(before) if principal.permissions.has(Permission::Organization) => {
                refuse_stronger(principal, input.role_ids.as_deref())?;
                refuse_stronger(principal, Some(&before.role_ids))?;
            }
            Some(before) => refuse_more(before, input)?,
        }
        if let Some(before) = before.filter(|_| is_own)
            && let Some(new) = &new_password
        {
            let current = input.current_password.take().map(Zeroizing::new);
            let is_same = current.as_deref() == Some(new);
            check_current(site, before, current).await?;
            if is_same {
                let same = Error::usage("the new password is the same as the old one");
                return Err(Failure::from(same).about("NewPassword"));
            }
            // The user has just chosen this password.
            input.must_change_password = Some(false);
        }
        let hash = match new_password {
            Some(new) => Some(hash(site, new).await?),
            None => None,
        };
        let continues = is_own && input.must_change_password != Some(true);
        Ok(Credentials { hash, session: principal.session.clone().filter(|_| continues) })
    }

    async fn refuse_removal(&self, _: &Site, principal: &Principal) -> HttpResult<()> {
        refuse_stronger(principal, Some(&self.role_ids))
    }

    fn is_always_recorded(credentials: &Credentials) -> bool {
        credentials.hash.is_some()
    }
}

pub(super) async fn current(principal: Principal) -> HttpResult<Json<User>> {
    principal
        .user
        .map(Json)
        .ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, "the request is not from a logged-in user"))
}

pub(super) async fn roles() -> Json<Vec<Role>> {
    Json(roles::list())
}

pub(super) async fn role(Path(id): Path<String>) -> HttpResult<Json<Role>> {
    roles::find(&id).map(Json).ok_or_else(|| Failure::not_found("role"))
}

/// Refuses roles with more permissions than the principal's, because otherwise an API key with the permission
/// `Organization` alone could create an administrator.
fn refuse_stronger(principal: &Principal, role_ids: Option<&[String]>) -> HttpResult<()> {
    let permissions = role_ids.map_or(Permissions::NONE, roles::permissions);
    if permissions.within(principal.permissions) {
        return Ok(());
    }
    Err(Failure::new(StatusCode::FORBIDDEN, "this user has more permissions than you have"))
}

/// Refuses changes that need `Organization`. Clients send the whole entity, so unchanged values are accepted.
fn refuse_more(before: &User, input: &UserInput) -> HttpResult<()> {
    let other_roles = input.role_ids.as_ref().is_some_and(|ids| {
        let mut ids = ids.clone();
        ids.sort();
        ids != before.role_ids
    });
    let other_name = input.username.as_ref().is_some_and(|name| *name != before.username);
    let other_must = input.must_change_password.is_some_and(|must| must != before.must_change_password);
    if other_roles || other_name || other_must {
        return Err(Failure::new(StatusCode::FORBIDDEN, "this needs the permission Organization"));
    }
    Ok(())
}

async fn check_current(site: &Site, user: &User, current: Option<Zeroizing<String>>) -> HttpResult<()> {
    if !user.has_password {
        return Ok(());
    }
    let wrong = || Failure::new(StatusCode::FORBIDDEN, "CurrentPassword is wrong").about("CurrentPassword");
    let current = current.ok_or_else(wrong)?;
    site.logins.attempt_own(&user.id)?;
    let username = user.username.clone();
    let found = site.console.database.call(move |connection| by_name(connection, &username)).await?;
    let hash = found.and_then(|(_, hash)| hash);
    if site.logins.verify(current, hash).await? { Ok(()) } else { Err(wrong()) }
}

/// Hashes a new password; fails if it is too short or too long.
pub(super) async fn hash(site: &Site, password: Zeroizing<String>) -> HttpResult<String> {
    site.logins.hash(password).await.map_err(|error| Failure::from(error).about("NewPassword"))
}

//! `api/apikeys`.

use super::resource::Resource;
use crate::{
    Failure, Site,
    auth::Principal,
    entities::{
        keys::{ApiKey, ApiKeyInput, owner_and_permissions},
        random_text,
    },
    failure::HttpResult,
    permission::{Permission, Permissions},
};
use axum::http::StatusCode;
use volume::events::Kind;

impl Resource for ApiKey {
    const EVENTS: [Kind; 3] = [Kind::ApiKeyCreated, Kind::ApiKeyChanged, Kind::ApiKeyRemoved];

    fn title(&self) -> &str {
        &self.title
    }

    fn is_visible(&self, principal: &Principal) -> bool {
        may_see(principal, self.owner_id.as_deref())
    }

    async fn prepare(
        before: Option<&Self>,
        site: &Site,
        principal: &Principal,
        input: &mut ApiKeyInput,
    ) -> HttpResult<Option<String>> {
        let assigned = input.assigned_permissions.clone().map(Permissions::from);
        let Some(before) = before else {
            input.owner_id.get_or_insert_with(|| principal.user_id().map(str::to_owned));
            refuse_more(principal, assigned.unwrap_or_default(), input.owner_id.as_ref())?;
            input.assigned_permissions.get_or_insert_with(|| vec![Permission::Ingest]);
            let token = input.token.take().filter(|token| !token.is_empty());
            return Ok(Some(token.map_or_else(random_text::<24>, Ok)?));
        };
        before.refuse_stronger(site, principal).await?;
        // Check the old permissions, too, because with another owner, or shared, the key may use more of them.
        if input.owner_id.is_some() || assigned.is_some() {
            refuse_more(principal, assigned.unwrap_or(before.assigned_permissions), input.owner_id.as_ref())?;
        }
        Ok(None)
    }

    async fn refuse_removal(&self, site: &Site, principal: &Principal) -> HttpResult<()> {
        self.refuse_stronger(site, principal).await
    }
}

impl ApiKey {
    /// Refuses a key with more permissions than the principal's, because otherwise a key with few permissions could take
    /// over a key with all of them.
    async fn refuse_stronger(&self, site: &Site, principal: &Principal) -> HttpResult<()> {
        let key = self.clone();
        let work = move |connection: &mut _| owner_and_permissions(connection, &key);
        let (_, permissions) = site.console.database.call(work).await?;
        if permissions.within(principal.permissions) {
            return Ok(());
        }
        Err(Failure::new(StatusCode::FORBIDDEN, "this key has more permissions than you have"))
    }
}

fn may_see(principal: &Principal, owner: Option<&str>) -> bool {
    principal.permissions.has(Permission::Organization)
        || match owner {
            None => principal.permissions.has(Permission::Project),
            Some(owner) => principal.user_id() == Some(owner),
        }
}

/// Refuses a key with more permissions than the principal's, or with an owner whose keys the principal may not see.
fn refuse_more(principal: &Principal, permissions: Permissions, owner: Option<&Option<String>>) -> HttpResult<()> {
    if !permissions.within(principal.permissions) {
        return Err(Failure::new(StatusCode::FORBIDDEN, "the key would have more permissions than you have"));
    }
    match owner {
        Some(owner) if !may_see(principal, owner.as_deref()) => {
            Err(Failure::new(StatusCode::FORBIDDEN, "you cannot give this key to that owner"))
        }
        _ => Ok(()),
    }
}

//! The first run: creates the administrator from the environment, and the default signal.
//!
//! The environment counts only as long as the metastore has no users, so it does not change a restored metastore.

use rusqlite::Connection;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    entities::{
        self, create, roles, settings,
        users::{self, Credentials, User, UserInput},
    },
    notify::signal,
    password,
};
use volume::error::Result;

/// A row in the table of settings, not shown as one: the defaults were added once.
const DEFAULTS_ADDED: &str = "moorline.unpacked";

/// The variables `MOORLINE_FIRSTRUN_…`.
#[derive(Clone)]
pub struct FirstRun {
    /// The administrator's user name.
    pub username: String,
    /// The administrator's password, which must be changed at the first login.
    pub password: Option<Zeroizing<String>>,
    /// The hash of a password, which need not be changed.
    pub password_hash: Option<Zeroizing<String>>,
    /// Whether to switch authentication off.
    pub no_authentication: bool,
}

impl std::fmt::Debug for FirstRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FirstRun").finish_non_exhaustive()
    }
}

impl FirstRun {
    /// Fails with `Usage` for an invalid hash, and for a password together with a hash.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(hash) = &self.password_hash {
            password::check_hash(hash).map_err(|error| error.context("MOORLINE_FIRSTRUN_ADMINPASSWORDHASH"))?;
        }
        if self.password.is_some() && self.password_hash.is_some() {
            return Err(volume::error::Error::usage("both the administrator's password and its hash are set")
                .hint("unset MOORLINE_FIRSTRUN_ADMINPASSWORD or MOORLINE_FIRSTRUN_ADMINPASSWORDHASH"));
        }
        Ok(())
    }

    /// Adds the defaults and the administrator, if missing. Returns whether users have to log in.
    pub(crate) fn apply(&self, connection: &mut Connection) -> entities::Result<bool> {
        add_defaults(connection)?;
        if users::are_there(connection)? {
            return settings::is_authentication_enabled(connection);
        }
        let hash = match (&self.password, &self.password_hash) {
            (Some(password), _) => Some(password::hash(password)?),
            (None, Some(hash)) => Some(hash.to_string()),
            (None, None) => None,
        };
        if let Some(hash) = hash {
            let input = UserInput {
                username: Some(self.username.clone()),
                role_ids: Some(vec![roles::ADMINISTRATOR.to_owned()]),
                must_change_password: Some(self.password.is_some()),
                ..UserInput::default()
            };
            let user: User = create(connection, input, Credentials { hash: Some(hash), session: None })?;
            settings::write(connection, "IsAuthenticationEnabled", &Value::Bool(true))?;
            log::info!("created the administrator {:?} of the console", user.username);
        } else if self.no_authentication {
            settings::write(connection, "IsAuthenticationEnabled", &Value::Bool(false))?;
        }
        settings::is_authentication_enabled(connection)
    }
}

/// Adds the default signal, once, so that it does not come back after a user has removed it.
fn add_defaults(connection: &mut Connection) -> entities::Result<()> {
    if settings::read(connection, DEFAULTS_ADDED)?.is_some() {
        return Ok(signal::extend_backup_trouble(connection)?);
    }
    let transaction = connection.transaction()?;
    settings::write(&transaction, DEFAULTS_ADDED, &Value::Bool(true))?;
    signal::insert_backup_trouble(&transaction)?;
    Ok(transaction.commit()?)
}

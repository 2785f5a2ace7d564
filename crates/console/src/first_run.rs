//! The first run: the administrator that the environment names, and what is there out of the box.
//!
//! A metastore that has users is past it: a restored one, too. Until there are any, a password that the environment gives
//! makes the first one.

use rusqlite::Connection;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    entities::{
        roles, settings, stored,
        users::{self, UserInput},
    },
    notify::signal,
    password,
};
use volume::error::Result;

/// In the settings, and none of them: what is out of the box was put there.
const UNPACKED: &str = "moorline.unpacked";

/// What the environment says about it.
#[derive(Clone)]
pub struct FirstRun {
    /// What the administrator is called.
    pub username: String,
    /// Its password, which it has to change when it logs in.
    pub password: Option<Zeroizing<String>>,
    /// Its password's hash, in place of that.
    pub password_hash: Option<Zeroizing<String>>,
    /// That nobody has to log in.
    pub no_authentication: bool,
}

impl std::fmt::Debug for FirstRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FirstRun").finish_non_exhaustive()
    }
}

impl FirstRun {
    /// Whether it is taken amiss before anything is started.
    ///
    /// # Errors
    /// `Usage` for a hash that is none, and for two passwords.
    pub fn check(&self) -> Result<()> {
        if let Some(hash) = &self.password_hash {
            password::check_hash(hash).map_err(|error| error.context("MOORLINE_FIRSTRUN_ADMINPASSWORDHASH"))?;
        }
        if self.password.is_some() && self.password_hash.is_some() {
            return Err(volume::error::Error::usage("the administrator's password and its hash are both set")
                .hint("unset MOORLINE_FIRSTRUN_ADMINPASSWORD or MOORLINE_FIRSTRUN_ADMINPASSWORDHASH"));
        }
        Ok(())
    }

    /// Does what is left to do. Whether one has to log in, from then on.
    ///
    /// # Errors
    /// Where the metastore cannot be written, and for a name that nobody can have.
    pub fn apply(&self, connection: &mut Connection) -> Result<bool> {
        unpack(connection)?;
        if users::are_there(connection)? {
            return settings::is_authentication_enabled(connection);
        }
        let hash = match (&self.password, &self.password_hash) {
            (Some(password), _) => Some(Zeroizing::new(password::hash(password)?)),
            (None, Some(hash)) => Some(hash.clone()),
            (None, None) => None,
        };
        if let Some(hash) = hash {
            let input = UserInput {
                username: Some(self.username.clone()),
                role_ids: Some(vec![roles::ADMINISTRATOR.to_owned()]),
                must_change_password: Some(self.password.is_some()),
                ..UserInput::default()
            };
            let user = users::create(connection, input, Some(&hash))?;
            settings::write(connection, "IsAuthenticationEnabled", &Value::Bool(true))?;
            log::info!("the console has an administrator now, {:?}", user.username);
        } else if self.no_authentication {
            settings::write(connection, "IsAuthenticationEnabled", &Value::Bool(false))?;
        }
        settings::is_authentication_enabled(connection)
    }
}

/// What is there out of the box, once: whoever removes it does not get it back.
fn unpack(connection: &mut Connection) -> Result<()> {
    if settings::read(connection, UNPACKED)?.is_some() {
        return Ok(());
    }
    let transaction = connection.transaction().map_err(|cause| stored(&cause))?;
    settings::write(&transaction, UNPACKED, &Value::Bool(true))?;
    signal::insert_backup_trouble(&transaction).map_err(|cause| stored(&cause))?;
    transaction.commit().map_err(|cause| stored(&cause))
}

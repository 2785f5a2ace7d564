//! A new password for a user of the console who has lost theirs. It needs no console, and works beside a running one.

use zeroize::Zeroizing;

use super::{
    entities::{
        self, list, random_text, roles,
        users::{Credentials, User, UserInput},
    },
    password,
};
use ::engine::{
    metastore::{self, MetastoreLock},
    restore,
};
use volume::{
    Volume,
    error::{Code, Error, Result},
    events::{self, Event, Kind},
};

/// The author of the change in the event.
const BY: &str = "moorline console reset-password";

/// Sets a user's password and ends all sessions of the user. Without a name, it is the administrator's; without a
/// password, a random one. Returns the user's name, and the password if it is a random one.
///
/// # Errors
/// `NotFound` if the user does not exist; `Usage` for several administrators, and for a password of a wrong length.
pub fn reset_password(
    volume: &Volume,
    username: Option<&str>,
    chosen: Option<&str>,
) -> Result<(String, Option<Zeroizing<String>>)> {
    let generated = if chosen.is_none() { Some(Zeroizing::new(random_text::<15>()?)) } else { None };
    let new = chosen.or(generated.as_ref().map(|text| text.as_str())).unwrap_or_default();
    password::acceptable(new)?;
    if !metastore::is_there(volume)? {
        return Err(no_users(volume));
    }
    let lock = MetastoreLock::shared(volume)?;
    restore::refuse_unfinished(volume)?;
    let mut connection = metastore::open(volume, &lock)?;
    let users: Vec<User> = list(&connection)?;
    let user = find(volume, username, &users)?;
    let input = UserInput { must_change_password: Some(false), ..UserInput::default() };
    let credentials = Credentials { hash: Some(password::hash(new)?), session: None };
    entities::update::<User>(&mut connection, &user.id, input, credentials)?;
    events::record(volume, &Event::new(Kind::UserChanged).with("Username", &*user.username).with("By", BY));
    Ok((user.username.clone(), generated))
}

fn find<'a>(volume: &Volume, username: Option<&str>, users: &'a [User]) -> Result<&'a User> {
    let names = |users: &[&User]| users.iter().map(|user| user.username.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(username) = username {
        return users.iter().find(|user| user.username == username).ok_or_else(|| {
            Error::new(Code::NotFound, format!("the console has no user {username:?}"))
                .hint(format!("its users are: {}", names(&users.iter().collect::<Vec<_>>())))
        });
    }
    let is_administrator = |user: &&User| user.role_ids.iter().any(|id| id == roles::ADMINISTRATOR);
    match users.iter().filter(is_administrator).collect::<Vec<_>>()[..] {
        [] => Err(no_users(volume)),
        [one] => Ok(one),
        ref several => several.iter().copied().find(|user| user.username == "admin").ok_or_else(|| {
            Error::usage(format!("the console has several administrators: {}", names(several)))
                .hint("name one with --user")
        }),
    }
}

fn no_users(volume: &Volume) -> Error {
    let message = format!("the console of {} has no administrator yet", volume.root().display());
    Error::new(Code::NotFound, message)
        .hint("start the console with MOORLINE_FIRSTRUN_ADMINPASSWORD, or choose a password at http://localhost:8341")
}

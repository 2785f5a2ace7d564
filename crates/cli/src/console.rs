//! `moorline console`: the console's users, for a person who cannot log in.

use std::{
    fs::File,
    io::IsTerminal,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::{
    Context,
    hash_password::{read_password, without_line_end},
    output,
};
use ::console::reset_password;
use volume::error::{IoContext, Result};

/// Manage the web console's users without logging in
#[derive(Debug, Args)]
pub struct Console {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Set a new password for a user, and end all sessions of this user
    ///
    /// The new password is read from stdin. If stdin is empty or a terminal, a random one is generated and printed.
    ResetPassword {
        /// User name [default: the administrator's]
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// File that holds the new password; `-` is stdin
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Print the result as a JSON object
        #[arg(long)]
        json: bool,
    },
}

impl Console {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let Action::ResetPassword { user, password_file, json } = self.action;
        let chosen = chosen(password_file.as_deref())?;
        let volume = context.volume()?;
        let chosen = chosen.as_ref().map(|text| without_line_end(text));
        let (username, password) = reset_password(&volume, user.as_deref(), chosen)?;
        log::info!("the password of {username:?} is reset, and all sessions of this user have ended");
        let password = password.as_ref().map(|text| text.as_str());
        let reset = serde_json::json!({ "username": username, "password": password });
        output::result(json, &reset, |_| password.into_iter().for_each(output::answer))
    }
}

/// The password that the caller has chosen, with its line feed.
fn chosen(file: Option<&Path>) -> Result<Option<Zeroizing<String>>> {
    match file {
        Some(path) if path != Path::new("-") => read_password(&mut File::open(path).on("open", path)?).map(Some),
        Some(_) => read_password(&mut std::io::stdin().lock()).map(Some),
        None if std::io::stdin().is_terminal() => Ok(None),
        None => {
            let text = read_password(&mut std::io::stdin().lock())?;
            Ok(Some(text).filter(|text| !text.is_empty()))
        }
    }
}

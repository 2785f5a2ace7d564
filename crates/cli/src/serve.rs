//! `moorline serve`: collects the settings of the web console and runs it.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use zeroize::Zeroizing;

use moorline::command::{container, environment::Environment};

use super::{Context, trust::trust};
use console::{self as serve, FirstRun, Role, Settings, settings};
use process::Variables;
use volume::{
    error::{Error, IoContext, Result},
    lock,
};

/// Variables of the first run, moorline's and Seq's. They are removed from the environment of child processes, because
/// they hold the password.
const USERNAME: [&str; 2] = ["MOORLINE_FIRSTRUN_ADMINUSERNAME", "SEQ_FIRSTRUN_ADMINUSERNAME"];
const PASSWORD: [&str; 3] = ["MOORLINE_FIRSTRUN_ADMINPASSWORD", "SEQ_FIRSTRUN_ADMINPASSWORD", "SEQ_PASSWORD"];
const PASSWORD_FILE: [&str; 3] =
    ["MOORLINE_FIRSTRUN_ADMINPASSWORD_FILE", "SEQ_FIRSTRUN_ADMINPASSWORD_FILE", "SEQ_PASSWORD_FILE"];
const PASSWORD_HASH_FILE: [&str; 2] =
    ["MOORLINE_FIRSTRUN_ADMINPASSWORDHASH_FILE", "SEQ_FIRSTRUN_ADMINPASSWORDHASH_FILE"];
const PASSWORD_HASH: [&str; 2] = ["MOORLINE_FIRSTRUN_ADMINPASSWORDHASH", "SEQ_FIRSTRUN_ADMINPASSWORDHASH"];
const NO_AUTHENTICATION: [&str; 2] = ["MOORLINE_FIRSTRUN_NOAUTHENTICATION", "SEQ_FIRSTRUN_NOAUTHENTICATION"];

/// Run the web console, including daily backups
///
/// It runs beside the server (`run --supervise` starts it), as a sidecar on the same volume, or as the server itself.
#[derive(Debug, Args)]
pub struct Serve {
    /// Address and port to listen on
    #[arg(long, env = "MOORLINE_LISTEN", default_value = "0.0.0.0:8341", value_name = "ADDR:PORT")]
    listen: String,
    /// Certificate chain (PEM file); the console then uses TLS
    #[arg(long, env = "MOORLINE_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM file)
    #[arg(long, env = "MOORLINE_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Accept a configured key that did not seal this volume's earlier backups [env: MOORLINE_ACCEPT_NEW_KEY]
    #[arg(long)]
    accept_new_key: bool,
    /// Role of the console towards the server; set by moorline itself
    #[arg(long = "as", value_name = "ROLE", default_value_t, hide = true)]
    role: Role,
}

impl Serve {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let environment = &context.environment;
        let variables: Variables = Variables::of_process();
        context.profile.read()?;
        let settings = Settings {
            volume: context.volume()?,
            profile: context.profile.clone(),
            keys: environment.key_sources()?,
            accept_new_key: context.accepts_new_key(self.accept_new_key)?,
            own: container::own(&variables)?,
            environment: child_environment(variables, context),
            listen: serve::parse_listen(&self.listen)?,
            tls: self.tls_cert.zip(self.tls_key),
            role: self.role,
            first_run: first_run(environment)?,
            fixed: fixed(environment)?,
            trust: trust(),
        };
        serve::run(settings)
    }
}

/// The environment of the console's child processes: the same volume, profile and secret key, but neither the first-run
/// variables nor the descriptors that this process owns.
fn child_environment(variables: Variables, context: &Context) -> Variables {
    let ours = [&USERNAME[..], &PASSWORD, &PASSWORD_HASH, &NO_AUTHENTICATION].concat();
    let variables = variables.without(&ours).without(&[lock::LOCK_FD, super::ARGUMENTS_FD]);
    let variables = variables.with("MOORLINE_STORAGE", &context.storage);
    match context.profile.variable_value() {
        Some(profile) => variables.with(profile::choice::VARIABLE, profile),
        None => variables,
    }
}

fn first_run(environment: &Environment) -> Result<FirstRun> {
    let text = |names: &[&str]| {
        Ok::<_, Error>(environment.text(names)?.map(|(_, value)| value).filter(|value| !value.is_empty()))
    };
    let no_authentication = match environment.text(&NO_AUTHENTICATION)? {
        Some((name, _)) => environment.switch(&name)?,
        None => false,
    };
    Ok(FirstRun {
        username: text(&USERNAME)?.unwrap_or_else(|| "admin".to_owned()),
        password: secret(text(&PASSWORD)?, &PASSWORD_FILE, environment)?,
        password_hash: secret(text(&PASSWORD_HASH)?, &PASSWORD_HASH_FILE, environment)?,
        no_authentication,
    })
}

/// A secret from its variable, or from the file that the `_FILE` variable names.
fn secret(set: Option<String>, files: &[&str], environment: &Environment) -> Result<Option<Zeroizing<String>>> {
    let Some((variable, path)) = environment.setting(files)?.filter(|(_, path)| !path.is_empty()) else {
        return Ok(set.map(Zeroizing::new));
    };
    if set.is_some() {
        return Err(Error::usage(format!("{variable} and the variable without _FILE are both set: unset one of them")));
    }
    let path = PathBuf::from(path);
    let text = Zeroizing::new(std::fs::read_to_string(&path).on(&format!("read {variable} in"), &path)?);
    Ok(Some(Zeroizing::new(text.trim_end_matches(['\n', '\r']).to_owned())))
}

/// The settings that environment variables set. They are read-only in the console.
fn fixed(environment: &Environment) -> Result<BTreeMap<&'static str, serde_json::Value>> {
    let mut fixed = BTreeMap::new();
    for (name, variable) in settings::VARIABLES {
        let Some((variable, text)) = environment.text(&[variable])?.filter(|(_, text)| !text.is_empty()) else {
            continue;
        };
        let value = settings::parse_text(name, &text).map_err(|error| error.context(variable))?;
        fixed.insert(name, value);
    }
    Ok(fixed)
}

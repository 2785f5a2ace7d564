//! What `run` and `init` have in common: the settings of a container start, from flags and environment.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use jiff::SignedDuration;

use super::{Context, environment::Environment, output};
use crate::{
    entrypoint::{End, Health, Scripts, Settings, health},
    error::{Error, Result},
    init::policy::OnFailure,
    process::{ARGUMENTS_FD, Own, User, Variables, child, variables::DEFAULT_PATH},
};

/// Where a second source of init scripts is mounted.
const SEQINIT: &str = "/seqinit";

/// How long a script has to stop: Docker waits 10 s before it kills everything.
const GRACE: SignedDuration = SignedDuration::from_secs(5);

/// How long the volume of another container is waited for: rollouts overlap.
const LOCK_WAIT: SignedDuration = SignedDuration::from_secs(30);

/// Flags of a container start. The settings that have no flag are variables.
#[derive(Debug, Args)]
pub struct Container {
    /// Refuse scripts that everybody can write [env: MOORLINE_STRICT_PERMISSIONS]
    #[arg(long)]
    strict_permissions: bool,
    /// Whose processes the server and the scripts are: NAME or UID, and :GROUP or :GID [env: MOORLINE_USER]
    #[arg(long, value_name = "USER")]
    user: Option<String>,
}

impl Container {
    pub(super) fn settings(&self, context: &Context, verb: &'static str) -> Result<Settings> {
        let environment = &context.environment;
        let variables: Variables = std::env::vars_os().collect();
        // Now, and not in the middle of a restore: one that makes no sense is a setting that makes none.
        context.profile.read()?;
        let scripts = Scripts {
            seqinit: seqinit(environment)?,
            grace: environment.duration("MOORLINE_SCRIPT_GRACE", GRACE)?.unsigned_abs(),
            on_failure: on_failure(environment)?,
            allow_empty: environment.switch("MOORLINE_ALLOW_EMPTY")?,
            strict_permissions: self.strict_permissions || environment.switch("MOORLINE_STRICT_PERMISSIONS")?,
        };
        let skip_init = environment.switch("MOORLINE_SKIP_INIT")?;
        Ok(Settings {
            storage: context.storage.clone(),
            profile: context.profile.clone(),
            verb,
            own: own(&variables)?,
            environment: variables,
            inherited_lock: environment.inherited_lock(),
            lock_wait: environment.duration("MOORLINE_LOCK_WAIT", LOCK_WAIT)?.unsigned_abs(),
            log: standard_error(),
            arguments_variable: ARGUMENTS_FD,
            user: self.user(environment)?,
            scripts: (!skip_init).then_some(scripts),
            health: None,
        })
    }

    /// An empty name is none.
    fn user(&self, environment: &Environment) -> Result<Option<User>> {
        let set = environment.text(&["MOORLINE_USER"])?.map(|(_, value)| value);
        let spec = self.user.clone().or(set);
        spec.filter(|spec| !spec.is_empty()).map(|spec| User::find(&spec)).transpose()
    }
}

/// How it is told that the server is healthy: as the flag says, or else the variable, or else the profile.
pub(super) fn health(flag: Option<&str>, context: &Context) -> Result<Option<Health>> {
    let set = context.environment.text(&[health::VARIABLE])?.filter(|(_, value)| !value.is_empty());
    match (flag, set) {
        (Some(text), _) => Health::parse(text).map(Some),
        (None, Some((name, text))) => Health::parse(&text).map(Some).map_err(|error| error.context(name)),
        (None, None) => Ok(context.profile.read()?.and_then(|profile| profile.health)),
    }
}

fn on_failure(environment: &Environment) -> Result<Option<OnFailure>> {
    let set = environment.text(&["MOORLINE_INIT_ON_FAILURE"])?.map(|(_, value)| value);
    match set.as_deref() {
        None | Some("") => Ok(None),
        Some("exit") => Ok(Some(OnFailure::Exit)),
        Some("continue") => Ok(Some(OnFailure::Continue)),
        Some(other) => Err(Error::usage(format!("MOORLINE_INIT_ON_FAILURE is {other:?}: say exit or continue"))),
    }
}

/// The second source of scripts.
pub(super) fn seqinit(environment: &Environment) -> Result<PathBuf> {
    Ok(environment.setting(&["MOORLINE_SEQINIT"])?.map_or_else(|| SEQINIT.into(), |(_, path)| path.into()))
}

/// This program.
pub(super) fn own(variables: &Variables) -> Result<Own> {
    let called = std::env::args_os().next().unwrap_or_default();
    Own::find(&called, variables.get("PATH").unwrap_or(DEFAULT_PATH.as_ref()))
}

/// Says how a container start ended.
pub(super) fn answer(end: End) -> ExitCode {
    match end {
        End::Ready => ExitCode::SUCCESS,
        End::Served(exit) => ExitCode::from(exit),
        End::Stopped(signal) => {
            log::info!("stopped by {signal} before the server was started");
            ExitCode::from(child::code_of_signal(signal as i32))
        }
        End::Failed { exit, error } => {
            let _ = output::fail(&error, false);
            ExitCode::from(exit)
        }
    }
}

/// The same for scripts that run beside the server: a stop is as it should be.
pub(super) fn answer_after_start(end: End) -> ExitCode {
    match end {
        End::Stopped(signal) => ExitCode::from(child::code_of_signal(signal as i32)),
        other => answer(other),
    }
}

fn standard_error() -> std::os::fd::BorrowedFd<'static> {
    // SAFETY: Rust's runtime has seen to it that descriptor 2 is open, and nothing here ever closes it.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(2) }
}

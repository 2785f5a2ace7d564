//! The settings that `run`, `init` and `after-start` share, from options and variables; exit codes of a container start.

use std::{path::PathBuf, process::ExitCode};

use jiff::SignedDuration;

use super::{Context, environment::Environment, known_variables, output, parse::Parsed, supervision};
use crate::{
    entrypoint::{End, Health, Scripts, Settings, health, ownership::ChownVolume},
    init::{SEQINIT, policy::OnFailure},
};
use process::{ARGUMENTS_FD, Own, User, Variables, child, fd, variables::DEFAULT_PATH};
use volume::error::{Error, Result};

/// The default grace period of a script. Docker waits 10 s before it kills the whole container.
const GRACE: SignedDuration = SignedDuration::from_secs(5);

/// The default time to wait for the lock while another container holds it, because rollouts overlap.
const LOCK_WAIT: SignedDuration = SignedDuration::from_secs(30);

/// The options of a container start. All other settings are variables.
#[derive(Debug)]
pub struct Container {
    strict_permissions: bool,
    user: Option<String>,
    chown_volume: Option<String>,
    rewrite: Vec<String>,
}

impl Container {
    pub(super) fn of(parsed: &Parsed) -> Result<Self> {
        let user = parsed.text("user")?.map(str::to_owned);
        let chown_volume = parsed.text("chown-volume")?.map(str::to_owned);
        let rewrite = parsed.list("rewrite")?;
        Ok(Self { strict_permissions: parsed.has("strict-permissions"), user, chown_volume, rewrite })
    }

    pub(super) fn settings(&self, context: &Context, command: &'static str) -> Result<Settings> {
        let environment = &context.environment;
        let variables = environment.variables();
        known_variables::warn(environment.variables());
        // An invalid profile fails here, before a script or a restore has changed anything.
        context.profile.check()?;
        let scripts = Scripts {
            seqinit: seqinit(environment)?,
            grace: environment.duration("MOORLINE_SCRIPT_GRACE", GRACE)?.unsigned_abs(),
            timeout: environment.optional_duration("MOORLINE_SCRIPT_TIMEOUT")?,
            on_failure: on_failure(environment)?,
            allow_empty: environment.switch("MOORLINE_ALLOW_EMPTY")?,
            strict_permissions: self.strict_permissions || environment.switch("MOORLINE_STRICT_PERMISSIONS")?,
        };
        let skip_init = environment.switch("MOORLINE_SKIP_INIT")?;
        Ok(Settings {
            storage: context.storage.clone(),
            places: environment.places()?,
            profile: context.profile.clone(),
            command,
            own: own(variables)?,
            environment: variables.clone(),
            inherited_lock: environment.inherited_lock(),
            lock_wait: environment.duration("MOORLINE_LOCK_WAIT", LOCK_WAIT)?.unsigned_abs(),
            log: fd::standard_error(),
            arguments_variable: ARGUMENTS_FD,
            user: self.user(environment)?,
            chown_volume: self.chown_volume(environment)?,
            scripts: (!skip_init).then_some(scripts),
            stop_signals: supervision::routes(&self.rewrite, environment)?,
            health: None,
        })
    }

    fn chown_volume(&self, environment: &Environment) -> Result<ChownVolume> {
        if let Some(text) = &self.chown_volume {
            return ChownVolume::parse(text);
        }
        let set = environment.text(&["MOORLINE_CHOWN_VOLUME"])?;
        set.map_or(Ok(ChownVolume::default()), |(name, text)| {
            ChownVolume::parse(&text).map_err(|error| error.context(name))
        })
    }

    /// The user, unless it is unset or empty.
    fn user(&self, environment: &Environment) -> Result<Option<User>> {
        let set = environment.text(&["MOORLINE_USER"])?.map(|(_, value)| value);
        let spec = self.user.clone().or(set);
        spec.filter(|spec| !spec.is_empty()).map(|spec| User::find(&spec)).transpose()
    }
}

/// The health check from the option, else from the variable. Without both, the profile's counts.
pub(super) fn health(flag: Option<&str>, context: &Context) -> Result<Option<Health>> {
    let set = context.environment.text(&[health::VARIABLE])?.filter(|(_, value)| !value.is_empty());
    match (flag, set) {
        (Some(text), _) => Health::parse(text).map(Some),
        (None, Some((name, text))) => Health::parse(&text).map(Some).map_err(|error| error.context(name)),
        (None, None) => Ok(None),
    }
}

fn on_failure(environment: &Environment) -> Result<Option<OnFailure>> {
    let set = environment.text(&["MOORLINE_INIT_ON_FAILURE"])?.map(|(_, value)| value);
    match set.as_deref() {
        None | Some("") => Ok(None),
        Some("exit") => Ok(Some(OnFailure::Exit)),
        Some("continue") => Ok(Some(OnFailure::Continue)),
        Some(other) => Err(Error::usage(format!("MOORLINE_INIT_ON_FAILURE is {other:?}: use exit or continue"))),
    }
}

/// The folder of the second source of init scripts.
pub fn seqinit(environment: &Environment) -> Result<PathBuf> {
    Ok(environment.setting(&["MOORLINE_SEQINIT"])?.map_or_else(|| SEQINIT.into(), |(_, path)| path.into()))
}

/// Locates this program.
pub fn own(variables: &Variables) -> Result<Own> {
    let called = std::env::args_os().next().unwrap_or_default();
    Own::find(&called, variables.get("PATH").unwrap_or(DEFAULT_PATH.as_ref()))
}

/// Reports how a container start ended, and returns the exit code.
pub(super) fn answer(end: End) -> ExitCode {
    match end {
        End::Ready => ExitCode::SUCCESS,
        End::Served(exit) => ExitCode::from(exit),
        End::Stopped(signal) => {
            log::info!("stopped by {signal} before the server started");
            ExitCode::from(child::code_of_signal(signal as i32))
        }
        End::Failed { exit, error } => {
            let _ = output::fail(&error, false);
            ExitCode::from(exit)
        }
    }
}

/// As [`answer`], for scripts that run beside the server: being stopped is normal, so it is not logged.
pub(super) fn answer_after_start(end: End) -> ExitCode {
    match end {
        End::Stopped(signal) => ExitCode::from(child::code_of_signal(signal as i32)),
        other => answer(other),
    }
}

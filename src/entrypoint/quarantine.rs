//! Quarantine at a start: a pending or interrupted change is applied by the engine, and the server gets the variables and
//! arguments of the steps in force.
//!
//! Without a quarantine record, this costs one failed `open`. If a change cannot be applied, the server does not start,
//! because apps that must be off might be on; the next start tries again.

use std::{collections::BTreeMap, ffi::OsString};

use std::ops::ControlFlow;

use super::{End, Settings, engine_steps::own_command};
use crate::command::engine::MISSING as MISSING_ENGINE;
use process::{Ended, Signals, Variables};
use volume::{
    Instance, Lock, Volume,
    error::{Code, Error, Result},
    quarantine::QuarantineStatus,
};

/// The engine's command that applies pending changes.
const APPLY_PENDING: [&str; 2] = ["apps", "settle"];

/// Variables that describe the instance to the server.
const INSTANCE: &str = "MOORLINE_INSTANCE";
const RESTORE_EPOCH: &str = "MOORLINE_RESTORE_EPOCH";
const QUARANTINED: &str = "MOORLINE_QUARANTINED";

/// Variables and arguments that quarantine adds to the server's own.
#[derive(Debug, Default)]
pub(super) struct ServerAdditions {
    quarantined: bool,
    environment: BTreeMap<String, String>,
    arguments: Vec<String>,
}

/// Applies pending changes, and returns the additions for the server.
pub(super) fn apply_pending(
    settings: &Settings,
    volume: &Volume,
    lock: &Lock,
    signals: &mut Signals,
) -> Result<ControlFlow<End, ServerAdditions>> {
    let mut status = QuarantineStatus::load(volume)?;
    if status.as_ref().is_some_and(QuarantineStatus::needs_engine) {
        match own_command(settings, volume, &APPLY_PENDING, Some(lock), signals)? {
            Ended::Exited(0) => {}
            Ended::Stopped(signal) => return Ok(ControlFlow::Break(End::Stopped(signal))),
            other => return Ok(ControlFlow::Break(not_applied(other))),
        }
        status = QuarantineStatus::load(volume)?;
    }
    Ok(ControlFlow::Continue(additions(status)))
}

/// The additions for the server while its apps are off.
pub(super) fn additions(status: Option<QuarantineStatus>) -> ServerAdditions {
    let Some(status) = status else { return ServerAdditions::default() };
    log::warn!("in quarantine: {}; `moorline apps` lists them", status.in_words());
    ServerAdditions { quarantined: true, environment: status.environment(), arguments: status.arguments() }
}

fn not_applied(ended: Ended) -> End {
    if ended.code() == MISSING_ENGINE {
        return End::of_child(
            ended,
            "apps cannot be switched off or on without the engine, so the server does not start",
        );
    }
    let code = Code::from_exit(ended.code()).filter(|code| code.is_transient()).unwrap_or(Code::AppsUnknown);
    let error = Error::new(code, "apps could not be switched off or on as required, so the server does not start");
    End::Failed { exit: code.exit(), error: error.hint("fix the errors above; the next start tries again") }
}

impl ServerAdditions {
    pub fn environment(&self, own: Variables, instance: &Instance) -> Variables {
        let epoch = instance.restore_epoch.to_string();
        let own = own.without(&[QUARANTINED]).with(INSTANCE, instance.id.to_string()).with(RESTORE_EPOCH, epoch);
        if !self.quarantined {
            return own;
        }
        let own = self.environment.iter().fold(own, |own, (name, value)| own.with(name, value));
        own.with(QUARANTINED, "1")
    }

    pub fn command(&self, own: &[OsString]) -> Vec<OsString> {
        own.iter().cloned().chain(self.arguments.iter().map(OsString::from)).collect()
    }
}

//! Quarantine at a start: what was cut off or asked for is carried out by a child, and what the server is given.
//!
//! Where there is none, which one failed `open` tells, nothing is done. Where it cannot be settled no server starts: the
//! next start tries again.

use std::{collections::BTreeMap, ffi::OsString};

use std::ops::ControlFlow;

use super::{End, Settings, own_command};
use crate::command::engine::MISSING as MISSING_ENGINE;
use process::{Ended, Signals, Variables};
use volume::{
    Instance, Lock, Volume,
    error::{Code, Error, Result},
    quarantine::QuarantineStatus,
};

/// The verb of the child.
const SETTLE: [&str; 2] = ["apps", "settle"];

/// Variables that tell the server who it is.
const INSTANCE: &str = "MOORLINE_INSTANCE";
const RESTORE_EPOCH: &str = "MOORLINE_RESTORE_EPOCH";
const QUARANTINED: &str = "MOORLINE_QUARANTINED";

/// What the server is given in quarantine, besides its own.
#[derive(Debug, Default)]
pub(super) struct ServerAdditions {
    quarantined: bool,
    environment: BTreeMap<String, String>,
    arguments: Vec<String>,
}

/// Does what is left to be done, and says whether apps are off.
pub(super) fn settle(
    settings: &Settings,
    volume: &Volume,
    lock: &Lock,
    signals: &mut Signals,
) -> Result<ControlFlow<End, ServerAdditions>> {
    let mut status = QuarantineStatus::load(volume)?;
    if status.as_ref().is_some_and(QuarantineStatus::needs_engine) {
        match own_command(settings, volume, &SETTLE, Some(lock), signals)? {
            Ended::Exited(0) => {}
            Ended::Stopped(signal) => return Ok(ControlFlow::Break(End::Stopped(signal))),
            other => return Ok(ControlFlow::Break(unsettled(other))),
        }
        status = QuarantineStatus::load(volume)?;
    }
    let Some(status) = status else { return Ok(ControlFlow::Continue(ServerAdditions::default())) };
    log::warn!("in quarantine: {}; `moorline apps` lists them", status.in_words());
    Ok(ControlFlow::Continue(ServerAdditions {
        quarantined: true,
        environment: status.environment(),
        arguments: status.arguments(),
    }))
}

fn unsettled(ended: Ended) -> End {
    if ended.code() == MISSING_ENGINE {
        return End::of_child(
            ended,
            "apps cannot be switched off or on without the engine, so the server is not started",
        );
    }
    let code = Code::from_exit(ended.code()).filter(|code| code.may_pass()).unwrap_or(Code::AppsUnknown);
    let error =
        Error::new(code, "apps could not be switched off or on as they are to be, so the server is not started");
    End::Failed { exit: code.exit(), error: error.hint("mend what is said above; the next start tries again") }
}

impl ServerAdditions {
    /// The server's environment.
    pub fn environment(&self, own: Variables, instance: &Instance) -> Variables {
        let epoch = instance.restore_epoch.to_string();
        let own = own.without(&[QUARANTINED]).with(INSTANCE, instance.id.to_string()).with(RESTORE_EPOCH, epoch);
        if !self.quarantined {
            return own;
        }
        let own = self.environment.iter().fold(own, |own, (name, value)| own.with(name, value));
        own.with(QUARANTINED, "1")
    }

    /// The server's command.
    pub fn command(&self, own: &[OsString]) -> Vec<OsString> {
        own.iter().cloned().chain(self.arguments.iter().map(OsString::from)).collect()
    }
}

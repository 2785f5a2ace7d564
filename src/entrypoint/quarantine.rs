//! Quarantine at a start: what was cut off or asked for is carried out by a child, and what the server is given.
//!
//! Where there is none, which one failed `open` tells, nothing is done. Where it cannot be settled no server starts: the
//! next start tries again.

use std::{collections::BTreeMap, ffi::OsString};

use super::{End, Settings, own_verb};
use crate::{
    apps::Memory,
    error::{Code, Error, Result},
    process::{Ended, Signals, Variables},
    restore,
    volume::{Instance, Lock, Volume},
};

/// The verb of the child.
const SETTLE: [&str; 2] = ["apps", "settle"];

/// Variables that tell the server who it is.
const INSTANCE: &str = "MOORLINE_INSTANCE";
const RESTORE_EPOCH: &str = "MOORLINE_RESTORE_EPOCH";
const QUARANTINED: &str = "MOORLINE_QUARANTINED";

/// What the server is given in quarantine, besides its own.
#[derive(Debug, Default)]
pub(super) struct Given {
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
) -> Result<std::result::Result<Given, End>> {
    let mut memory = Memory::load(volume)?;
    if memory.as_ref().is_some_and(|memory| memory.pending || !memory.requested.is_empty()) {
        match own_verb(settings, volume, &SETTLE, Some(lock), signals)? {
            Ended::Exited(0) => {}
            Ended::Stopped(signal) => return Ok(Err(End::Stopped(signal))),
            other => return Ok(Err(unsettled(other))),
        }
        memory = Memory::load(volume)?;
    }
    let Some(memory) = memory else { return Ok(Ok(Given::default())) };
    let apps: Vec<_> = memory.apps().collect();
    log::warn!("in quarantine: {}; `moorline apps` lists them", restore::in_words(&apps));
    Ok(Ok(Given { quarantined: true, environment: memory.env(), arguments: memory.args() }))
}

fn unsettled(ended: Ended) -> End {
    let code = Code::from_exit(ended.code()).filter(|code| code.may_pass()).unwrap_or(Code::AppsUnknown);
    let error =
        Error::new(code, "apps could not be switched off or on as they are to be, so the server is not started");
    End::Failed { exit: code.exit(), error: error.hint("mend what is said above; the next start tries again") }
}

impl Given {
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

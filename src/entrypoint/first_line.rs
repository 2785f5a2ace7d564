//! The first line of the log: which moorline starts, on which volume, with which profile and key, and in which mode.

use super::Settings;
use crate::command::engine::VERSION;
use profile::Choice;
use volume::{
    Volume,
    key::{Origin, Sources},
};

/// How the start ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The server replaces this process.
    Exec,
    /// The server is a child.
    Supervise,
    /// The console is the server.
    Console,
    /// No server is started.
    Init,
}

impl Mode {
    const fn name(self) -> &'static str {
        match self {
            Self::Exec => "exec mode",
            Self::Supervise => "supervised",
            Self::Console => "the console is the server",
            Self::Init => "init only",
        }
    }
}

pub(super) fn log(settings: &Settings, keys: &Sources, volume: &Volume, mode: Mode) {
    if !log::log_enabled!(log::Level::Info) {
        return;
    }
    log::info!(
        "version {VERSION}, volume {}, {}, {}, {}",
        volume.root().display(),
        profile(&settings.profile),
        key(keys, volume),
        mode.name()
    );
}

fn profile(choice: &Choice) -> String {
    match choice {
        Choice::Default => "profile of the image, if it has one".to_owned(),
        Choice::BuiltIn(name) => format!("profile {name}"),
        Choice::File(path) => format!("profile {}", path.display()),
    }
}

/// The key and its source. A key that is wrong is reported by the step that needs it.
fn key(keys: &Sources, volume: &Volume) -> String {
    if let Some((variable, ..)) = &keys.provider {
        return format!("key from the program in {variable}");
    }
    match keys.active(Some(volume)) {
        Ok(Some(found)) => {
            let source = match found.origin {
                Origin::Configured(variable) => variable,
                Origin::Flag | Origin::Volume => "the volume".to_owned(),
            };
            format!("key {} from {source}", found.key.fingerprint())
        }
        Ok(None) => "no key yet".to_owned(),
        Err(_) => "no valid key".to_owned(),
    }
}

//! The first line of the log: which moorline starts, on which volume, with which profile and key, and in which mode.

use std::path::Path;

use super::Settings;
use crate::command::engine::VERSION;
use profile::{Choice, choice::OF_IMAGE};
use seqbac_header::SecretKey;
use volume::{Instance, Volume, key::Sources, presence};

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
        // What cannot be read is reported by the step that needs the profile.
        Choice::Default if presence::exists(Path::new(OF_IMAGE)).is_ok_and(|exists| !exists) => "no profile".to_owned(),
        Choice::None => "no profile and no apps".to_owned(),
        Choice::Default => format!("profile {OF_IMAGE}"),
        Choice::BuiltIn(name) => format!("profile {name}"),
        Choice::File(path) => format!("profile {}", path.display()),
    }
}

/// The key and its source. A file is not read here, because it may be a pipe, which can be read once.
fn key(keys: &Sources, volume: &Volume) -> String {
    if let Some((variable, ..)) = &keys.provider {
        return format!("key from the program in {variable}");
    }
    if let Some((variable, _)) = &keys.variable_file {
        return format!("key from the file in {variable}");
    }
    if let Some((variable, text)) = &keys.variable {
        return match SecretKey::parse(text, variable) {
            Ok(key) => format!("key {} from {variable}", key.fingerprint()),
            Err(_) => format!("no valid key in {variable}"),
        };
    }
    // Whatever is wrong with the instance is reported by the step that needs it.
    match Instance::load(volume).ok().flatten().and_then(|instance| instance.key_fingerprint) {
        Some(fingerprint) => format!("key {fingerprint} from the volume"),
        None => "no key yet".to_owned(),
    }
}

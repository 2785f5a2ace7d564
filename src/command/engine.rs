//! The engine: where `moorline-engine` is, and how this program becomes it or starts it.
//!
//! The engine learns the path and version of the program that starts it, and refuses to work for another version: both
//! write to the same volume.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use nix::unistd::{AccessFlags, access, geteuid};
use process::{NotExecuted, Own, Variables, exec, variables::DEFAULT_PATH};
use volume::error::{Code, Error, Result};

use super::{container, output, variables};

/// The name of the engine's program.
pub const PROGRAM: &str = "moorline-engine";

/// The variable in which the engine finds the version and path of the program that started it: `0.1.0 /path/moorline`.
pub const STARTED_BY: &str = "MOORLINE_STARTED_BY";

/// The exit code of a command whose engine is missing, as a shell has it for a program that is not found.
pub const MISSING: u8 = 127;

/// Folders in which the engine is looked for, besides the one that this program is in.
const FOLDERS: [&str; 2] = ["/usr/local/bin", "/usr/bin"];

/// This program's version, which is the engine's too.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Finds the engine: beside this program, links resolved; then in the usual folders; and on the PATH, except for root.
///
/// # Errors
/// Exit code 127 if it is nowhere.
pub fn find(own: &Own, path: Option<&OsStr>) -> std::result::Result<PathBuf, NotExecuted> {
    let beside = own.path().parent().map(Path::to_owned);
    let usual = FOLDERS.iter().map(PathBuf::from);
    let mut candidates = beside.into_iter().chain(usual).map(|folder| folder.join(PROGRAM));
    if let Some(found) = candidates.find(|candidate| is_executable(candidate)) {
        return Ok(found);
    }
    if !geteuid().is_root()
        && let Ok(found) = exec::find(PROGRAM.as_ref(), path.unwrap_or(DEFAULT_PATH.as_ref()))
    {
        return Ok(found);
    }
    Err(missing(own))
}

fn is_executable(path: &Path) -> bool {
    path.is_absolute() && access(path, AccessFlags::X_OK).is_ok()
}

fn missing(own: &Own) -> NotExecuted {
    let beside = own.path().with_file_name(PROGRAM);
    let message = format!(
        "{PROGRAM} is missing: moorline {VERSION} at {} needs it as {}",
        own.path().display(),
        beside.display()
    );
    let error = Error::new(Code::Unexpected, message).hint(
        "copy both programs into the image: COPY --from=… /moorline/ /usr/local/bin/; `moorline --check-install` checks it",
    );
    NotExecuted { exit: MISSING, error }
}

/// The environment of an engine that this program starts or becomes.
#[must_use]
pub fn environment(own: &Own, environment: Variables) -> Variables {
    let mut started_by = OsString::from(format!("{VERSION} "));
    started_by.push(own.path());
    environment.with(STARTED_BY, started_by)
}

/// Becomes the engine. It does not return if that works.
///
/// # Errors
/// Where this program cannot find itself.
pub fn become_engine(arguments: &[OsString]) -> Result<ExitCode> {
    let variables = variables();
    let own = container::own(&variables)?;
    let become_it = || -> std::result::Result<NotExecuted, NotExecuted> {
        let engine = find(&own, variables.get("PATH"))?;
        let command: Vec<OsString> = std::iter::once(engine.into()).chain(arguments.iter().skip(1).cloned()).collect();
        let prepared = exec::prepare(&command, &environment(&own, variables.clone()))?;
        Ok(prepared.called("moorline".as_ref()).exec())
    };
    let refused = become_it().unwrap_or_else(|refused| refused);
    let _ = output::fail(&refused.error, false);
    Ok(ExitCode::from(refused.exit))
}

/// `moorline --check-install`: whether both programs are there, and of one version. For a `RUN` line of a Dockerfile.
///
/// # Errors
/// Where the engine cannot be run, or has another version.
pub fn check_install() -> Result<ExitCode> {
    let variables = variables();
    let own = container::own(&variables)?;
    let engine = match find(&own, variables.get("PATH")) {
        Ok(engine) => engine,
        Err(refused) => {
            let _ = output::fail(&refused.error, false);
            return Ok(ExitCode::from(refused.exit));
        }
    };
    let asked = Command::new(&engine).arg("--version").stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let asked = asked.map_err(|cause| Error::io("run", &engine, &cause))?;
    let answer = String::from_utf8_lossy(&asked.stdout);
    let version = answer.trim().rsplit(' ').next().unwrap_or_default();
    if asked.status.success() && version == VERSION {
        output::answer(&format!("moorline {VERSION}: {} and {}", own.path().display(), engine.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let message =
        format!("{} is version {version:?}, and {} is version {VERSION}", engine.display(), own.path().display());
    Err(Error::new(Code::Unexpected, message).hint("copy both programs from the same release"))
}

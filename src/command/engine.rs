//! Finding `moorline-engine` and executing it; `moorline --check-install`.
//!
//! The engine gets the path and version of the program that starts it, and refuses another version, because both write
//! to the same volume.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use nix::unistd::{AccessFlags, access, geteuid};
use process::{NotExecuted, Own, Variables, exec, variables::DEFAULT_PATH};
use volume::error::{Code, Error, Result};

use super::{container, output, variables};

/// The file name of the engine.
pub const PROGRAM: &str = "moorline-engine";

/// The variable that passes the version and path of this program to the engine: `0.1.0 /path/moorline`.
pub const STARTED_BY: &str = "MOORLINE_STARTED_BY";

/// The exit code if the engine is missing: the code of a shell for "command not found".
pub const MISSING: u8 = 127;

/// Folders that are searched for the engine after this program's own folder.
const FOLDERS: [&str; 2] = ["/usr/local/bin", "/usr/bin"];

/// The version of both programs.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Finds the engine: in this program's own folder (links resolved), then in the usual folders, then on PATH unless this
/// process is root, because others may be able to write to a folder on PATH.
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
        "{PROGRAM} is missing: moorline {VERSION} at {} expects it at {}",
        own.path().display(),
        beside.display()
    );
    let error = Error::new(Code::Unexpected, message).hint(
        "copy both programs into the image: COPY --from=… /moorline/ /usr/local/bin/; `moorline --check-install` checks it",
    );
    NotExecuted { exit: MISSING, error }
}

/// The environment for the engine: the given one and [`STARTED_BY`].
#[must_use]
pub fn environment(own: &Own, environment: Variables) -> Variables {
    let mut started_by = OsString::from(format!("{VERSION} "));
    started_by.push(own.path());
    environment.with(STARTED_BY, started_by)
}

/// Replaces this process by the engine. Returns only on failure.
pub fn become_engine(arguments: &[OsString]) -> Result<ExitCode> {
    let variables = variables();
    let own = container::own(&variables)?;
    let become_it = || -> std::result::Result<NotExecuted, NotExecuted> {
        let engine = find(&own, variables.get("PATH"))?;
        let command: Vec<OsString> = std::iter::once(engine.into()).chain(arguments.iter().skip(1).cloned()).collect();
        let prepared = exec::prepare(&command, environment(&own, variables.clone()))?;
        Ok(prepared.called("moorline".as_ref()).exec())
    };
    let refused = become_it().unwrap_or_else(|refused| refused);
    let _ = output::fail(&refused.error, false);
    Ok(ExitCode::from(refused.exit))
}

/// `moorline --check-install`: checks that both programs exist and have the same version, for a `RUN` line of a Dockerfile.
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

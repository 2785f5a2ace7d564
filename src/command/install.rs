//! `moorline install DIR`: copies both programs and the link `seqsvr`, so that an image that was not built for moorline gets
//! it from an init container or an image volume.

use std::{fs, os::unix::fs::symlink, path::Path, process::ExitCode};

use super::{Context, container, engine, output, parse::Parsed};
use volume::{
    durable,
    error::{Error, IoContext, Result},
    presence,
};

/// The name of this program in the folder.
const MOORLINE: &str = "moorline";

/// Seq's name for this program.
const LINK: &str = "seqsvr";

pub fn install(parsed: &Parsed, context: &Context) -> Result<ExitCode> {
    let [folder] = parsed.rest.as_slice() else {
        return Err(Error::usage("`moorline install` needs one folder").hint("moorline install /shared/bin"));
    };
    let folder = Path::new(folder);
    let own = container::own(context.environment.variables())?;
    let engine = match engine::find(&own, context.environment.variables().get("PATH")) {
        Ok(engine) => engine,
        Err(missing) => {
            let _ = output::fail(&missing.error, false);
            return Ok(ExitCode::from(missing.exit));
        }
    };
    fs::create_dir_all(folder).on("create", folder)?;
    copy(&engine, &folder.join(engine::PROGRAM))?;
    copy(own.path(), &folder.join(MOORLINE))?;
    let link = folder.join(LINK);
    if !fs::read_link(&link).is_ok_and(|target| target == Path::new(MOORLINE)) {
        if presence::exists(&link)? {
            durable::remove_file(&link)?;
        }
        symlink(MOORLINE, &link).on("create", &link)?;
    }
    output::answer(&format!("moorline {}: {}", engine::VERSION, folder.display()));
    Ok(ExitCode::SUCCESS)
}

/// Copies a program atomically, because the old one may be running.
fn copy(program: &Path, target: &Path) -> Result<()> {
    let bytes = fs::read(program).on("read", program)?;
    durable::write(target, &bytes, 0o755)
}

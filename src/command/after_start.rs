//! `moorline after-start`, which moorline starts itself: the scripts of `Init/ready.d/`, once the server is healthy.

use std::process::ExitCode;

use volume::error::Result;

use super::{
    Context,
    container::{self, Container},
    parse::Parsed,
};
use crate::entrypoint::ready;

/// Carries out `after-start`.
///
/// # Errors
/// Where an option or a variable makes no sense, or a step fails.
pub fn after_start(parsed: &Parsed, context: &Context) -> Result<ExitCode> {
    let mut settings = Container::of(parsed)?.settings(context, ready::COMMAND)?;
    settings.health = container::health(None, context)?;
    Ok(container::answer_after_start(ready::run(&settings)?))
}

//! `moorline after-start`: runs the scripts of `Init/ready.d/` once the server is healthy. Only moorline starts it.

use std::process::ExitCode;

use volume::error::Result;

use super::{
    Context,
    container::{self, Container},
    parse::Parsed,
};
use crate::entrypoint::ready;

pub fn after_start(parsed: &Parsed, context: &Context) -> Result<ExitCode> {
    let mut settings = Container::of(parsed)?.settings(context, ready::COMMAND)?;
    settings.health = container::health(None, context)?;
    Ok(container::answer_after_start(ready::run(&settings)?))
}

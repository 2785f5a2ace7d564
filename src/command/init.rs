//! `moorline init`: the init scripts alone, for an init container.

use std::process::ExitCode;

use volume::error::Result;

use super::{
    Context,
    container::{self, Container},
    parse::Parsed,
};
use crate::entrypoint;

pub fn init(parsed: &Parsed, context: &Context) -> Result<ExitCode> {
    Ok(container::answer(entrypoint::init(&Container::of(parsed)?.settings(context, "init")?)?))
}

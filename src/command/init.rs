//! `moorline init`: the init scripts alone, for an init container.

use std::process::ExitCode;

use volume::error::Result;

use super::{
    Context,
    container::{self, Container},
    parse::Parsed,
};
use crate::entrypoint::{self, KeySettings};

pub fn init(parsed: &Parsed, context: &Context) -> Result<ExitCode> {
    let key = KeySettings { sources: context.environment.key_sources()?, accept_new: context.accepts_new_key(false)? };
    Ok(container::answer(entrypoint::init(&Container::of(parsed)?.settings(context, "init")?, &key)?))
}

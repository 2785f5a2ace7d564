//! Shell completions and man pages, generated from the definition of the command line.

use std::{fs, path::PathBuf};

use clap::{Arg, ArgAction, Args, Command};
use clap_complete::Shell;
use moorline::command::options::{Definition, Opt, Rest};
use volume::error::{IoContext, Result};

use super::whole_command_line;

/// Print the completion script of a shell
#[derive(Debug, Args)]
pub struct Completions {
    /// Shell to print the script for
    #[arg(value_name = "bash|zsh|fish")]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut whole_command_line(), "moorline", &mut script);
        super::output::answer(String::from_utf8_lossy(&script).trim_end());
        Ok(())
    }
}

/// Write man pages into a folder
#[derive(Debug, Args)]
pub struct Man {
    /// Folder to write to; created if it does not exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Man {
    pub(super) fn run(self) -> Result<()> {
        fs::create_dir_all(&self.folder).on("create", &self.folder)?;
        clap_mangen::generate_to(whole_command_line(), &self.folder).on("write man pages into", &self.folder)
    }
}

/// The clap definition of a command that belongs to `moorline`, for help, completions and man pages.
pub fn command_of(definition: &'static Definition) -> Command {
    let command = Command::new(definition.name).about(definition.about).hide(definition.hidden);
    let command = match definition.details {
        "" => command,
        details => command.long_about(format!("{}\n\n{details}", definition.about)),
    };
    let command = command.args(definition.options.iter().map(option));
    match definition.rest {
        Rest::Nothing => command,
        Rest::AfterDashes => command.arg(Arg::new("command").value_name("COMMAND").num_args(0..).last(true).help(
            "Server command and its arguments, after `--`; without a command, the console (`serve`) is the server",
        )),
        Rest::Arguments => command.arg(
            Arg::new("arguments").value_name("ARGUMENT").num_args(0..).trailing_var_arg(true).allow_hyphen_values(true),
        ),
    }
}

fn option(option: &'static Opt) -> Arg {
    let arg = Arg::new(option.name).long(option.name).help(option.help);
    match (option.value, option.many) {
        (None, _) => arg.action(ArgAction::SetTrue),
        (Some(value), false) => arg.value_name(value),
        (Some(value), true) => arg.value_name(value).action(ArgAction::Append).value_delimiter(','),
    }
}

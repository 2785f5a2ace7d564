//! `moorline`: what was typed, the log on stderr, the exit code.

use std::process::ExitCode;

use moorline::command;

fn main() -> ExitCode {
    command::start_log();
    command::main()
}

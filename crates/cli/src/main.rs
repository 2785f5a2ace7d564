//! `moorline-engine`: the program that runs every command except `run`, `init`, `health` and `shell`.

use std::process::ExitCode;

fn main() -> ExitCode {
    moorline::command::start_log();
    cli::main()
}

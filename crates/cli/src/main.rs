//! `moorline-engine`: the log on stderr, and every command but `run`, `init`, `health` and `shell`.

use std::process::ExitCode;

fn main() -> ExitCode {
    moorline::command::start_log();
    cli::main()
}

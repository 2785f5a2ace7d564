//! The program `moorline`: starts the log on stderr, runs the command line, exits with its code.

use std::process::ExitCode;

use dlmalloc::GlobalDlmalloc;
use moorline::command;

/// musl's allocator maps and unmaps single pages during a start, and every fault counts before the server exists.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

fn main() -> ExitCode {
    command::start_log();
    command::main()
}

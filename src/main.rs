//! The process: what was typed, the log on stderr, the exit code.

use std::{
    io::Write,
    process::{self, ExitCode},
};

use log::LevelFilter;
use moorline::{cli, error::Code, process::arena::Arena};

#[global_allocator]
static MEMORY: Arena = Arena::new();

fn main() -> ExitCode {
    report_panics_in_one_line();
    start_log();
    let arguments = match cli::arguments() {
        Ok(arguments) => arguments,
        Err(error) => return cli::fail(&error, false),
    };
    cli::main(arguments)
}

/// As `--log-format` says.
fn start_log() {
    cli::Format::of_environment();
    env_logger::Builder::new()
        .filter_level(LevelFilter::Info)
        .parse_env("MOORLINE_LOG")
        .target(env_logger::Target::Pipe(Box::new(cli::StandardError)))
        .format(|out, record| cli::line(record).map_or(Ok(()), |line| writeln!(out, "{line}")))
        .init();
}

/// A panic is a bug: PID 1 says where it is, in one line, and ends with a code of its own.
fn report_panics_in_one_line() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        let what = info.payload_as_str().unwrap_or("no message");
        let _ = cli::StandardError.write_all(cli::bug(&format!("{what}{place}")).as_bytes());
        process::exit(i32::from(Code::Bug.exit()));
    }));
}

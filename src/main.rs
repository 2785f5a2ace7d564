//! The process: what was typed, the log on stderr, the exit code.

use std::{
    io::Write,
    process::{self, ExitCode},
};

use log::LevelFilter;
use moorline::{cli, error::Code};

fn main() -> ExitCode {
    report_panics_in_one_line();
    start_log();
    let arguments = match cli::arguments() {
        Ok(arguments) => arguments,
        Err(error) => return cli::fail(&error, false),
    };
    cli::main(arguments)
}

/// `moorline: what happened`, one line an event; a name in it cannot forge a second line.
fn start_log() {
    env_logger::Builder::new()
        .filter_level(LevelFilter::Info)
        .parse_env("MOORLINE_LOG")
        .target(env_logger::Target::Pipe(Box::new(cli::StandardError)))
        .format(|out, record| {
            let level = match record.level() {
                log::Level::Error => "error: ",
                log::Level::Warn => "warning: ",
                _ => "",
            };
            writeln!(out, "moorline: {level}{}", cli::printable(&record.args().to_string()))
        })
        .init();
}

/// A panic is a bug: PID 1 says where it is, in one line, and ends with a code of its own.
fn report_panics_in_one_line() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        let what = info.payload_as_str().unwrap_or("no message");
        let text = cli::printable(&format!("{what}{place}"));
        let line = format!("moorline: this is a bug: {text}; nothing was lost, please report it\n");
        let _ = cli::StandardError.write_all(line.as_bytes());
        process::exit(i32::from(Code::Bug.exit()));
    }));
}

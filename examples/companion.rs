//! Supervises a server and a companion, each a line of shell, for the tests of supervision.
//!
//! `companion SERVER COMPANION FIRST_WAIT_MS LONGEST_WAIT_MS GRACE_MS left|killed`

use std::{ffi::OsString, process::ExitCode, time::Duration};

use log::{LevelFilter, Log, Metadata, Record};
use moorline::supervise::{self, AfterGrace, Companion, Exits, Program, Supervision};
use process::{
    Routes, Signals, Variables,
    exec::{self, Prepared},
};

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "{}", record.args());
    }

    fn flush(&self) {}
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, companion, first, longest, grace, after] = &arguments[..] else { return ExitCode::from(2) };
    let milliseconds = |text: &str| Duration::from_millis(text.parse().unwrap_or(0));
    let _ = log::set_logger(&Stderr).map(|()| log::set_max_level(LevelFilter::Info));
    let (Some(server), Some(companion)) = (shell(server), shell(companion)) else { return ExitCode::from(127) };
    let Ok(mut signals) = Signals::hold(&Routes::default()) else { return ExitCode::FAILURE };
    let how = Supervision {
        routes: Routes::default(),
        whole_group: false,
        stop_grace: milliseconds(grace),
        after_grace: if after == "killed" { AfterGrace::Killed } else { AfterGrace::Left },
        exits: Exits::default(),
    };
    let companion = Companion {
        name: "the companion".to_owned(),
        prepared: companion,
        after_the_server: Duration::ZERO,
        first_wait: milliseconds(first),
        longest_wait: milliseconds(longest),
    };
    let companion = Some(&companion);
    let program = Program { prepared: &server, lock: None, sockets: &[], after_start: None, companion };
    match supervise::run(&program, &how, &mut signals) {
        Ok(Ok((ended, _))) => ExitCode::from(ended.code()),
        Ok(Err(failed)) => ExitCode::from(failed.exit),
        Err(_) => ExitCode::FAILURE,
    }
}

/// Prepares a line of shell, or a program if the line has a slash and no blank.
fn shell(line: &str) -> Option<Prepared> {
    let words = if line.contains('/') && !line.contains(' ') { vec![line] } else { vec!["/bin/bash", "-c", line] };
    let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
    let environment = Variables::of_process();
    exec::prepare(&words, environment).ok()
}

//! Words out of the engine: tables and sizes, and the exit code of work that a signal stopped.

use std::process::ExitCode;

pub use moorline::command::output::{answer, error_object, object, printable, report};
use volume::error::Error;

use super::progress::interrupted;

/// Reports a failure and chooses the exit code.
#[must_use]
pub fn fail(error: &Error, json: bool) -> ExitCode {
    let exit = report(error);
    if json {
        let _ = object(&error_object(error));
    }
    ExitCode::from(interrupted().unwrap_or(exit))
}

/// Prints rows in columns as wide as they need.
pub fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    let all: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in &all {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        answer(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// A number of bytes for people.
#[must_use]
pub fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

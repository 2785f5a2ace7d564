//! Output of the commands: tables, sizes, and the exit code after an error or a signal.

use std::process::ExitCode;

use serde::Serialize;

pub use moorline::command::output::{answer, error_object, object, printable, report};
use volume::error::{Error, Result};

use super::progress::interrupted;

/// Reports an error. Returns its exit code, or 128+n if signal n stopped the work.
pub fn fail(error: &Error, json: bool) -> ExitCode {
    let exit = report(error);
    if json {
        let _ = object(&error_object(error));
    }
    ExitCode::from(interrupted().unwrap_or(exit))
}

/// Prints a result: as a JSON object with `--json`, otherwise with `show`.
pub fn result<T: Serialize>(json: bool, result: &T, show: impl FnOnce(&T)) -> Result<()> {
    if json {
        return object(result);
    }
    show(result);
    Ok(())
}

/// Prints a line without control characters, because names and paths may contain any.
pub fn line(text: &str) {
    answer(&printable(text));
}

pub fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    let all: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in &all {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        answer(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// A number of bytes in binary units, such as `1.00 MiB`.
pub fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

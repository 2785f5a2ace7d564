//! Output of the commands: tables, sizes, and the exit code after an error or a signal.

use std::process::ExitCode;

pub use moorline::command::output::{answer, error_object, object, printable, report};
use volume::error::Error;

use super::progress::interrupted;

/// Reports an error. Returns its exit code, or 128+n if signal n stopped the work.
#[must_use]
pub fn fail(error: &Error, json: bool) -> ExitCode {
    let exit = report(error);
    if json {
        let _ = object(&error_object(error));
    }
    ExitCode::from(interrupted().unwrap_or(exit))
}

/// Prints rows in aligned columns.
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
#[must_use]
pub fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

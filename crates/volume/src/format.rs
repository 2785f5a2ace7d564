//! `.moorline/format.json`: which format `.moorline/` has, so that an older moorline does not write to a newer volume.
//!
//! ```text
//! { "format": 1, "written_by": "0.1.0" }
//! ```
//! A volume without the file has format 1, because versions before this one did not write it.

use serde::{Deserialize, Serialize};

use crate::{
    Volume, durable,
    error::{Code, Error, Result},
    presence,
};

/// The format that this version reads and writes.
pub const FORMAT: u32 = 1;

const FILE_NAME: &str = "format.json";

/// The content of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Format {
    format: u32,
    written_by: String,
}

/// Refuses to write to a volume with a newer format, and records this version's format if the volume has none.
///
/// # Errors
/// `UnsupportedVersion`, naming the version that wrote the volume.
pub fn claim(volume: &Volume) -> Result<()> {
    if !refuse_newer(volume)? {
        record(volume);
    }
    Ok(())
}

/// As [`claim`], but writes nothing. Returns whether the volume has a recorded format.
pub fn refuse_newer(volume: &Volume) -> Result<bool> {
    match load(volume)? {
        Some(format) if format.format > FORMAT => Err(format.refusal(volume)),
        found => Ok(found.is_some()),
    }
}

impl Format {
    /// The error of a program that would have to write to a newer volume.
    fn refusal(&self, volume: &Volume) -> Error {
        let message = format!(
            "the volume {} has format {}, written by moorline {}; moorline {} writes format {FORMAT}",
            volume.root().display(),
            self.format,
            self.written_by,
            env!("CARGO_PKG_VERSION")
        );
        Error::new(Code::UnsupportedVersion, message).hint(format!("use moorline {} or newer", self.written_by))
    }
}

fn load(volume: &Volume) -> Result<Option<Format>> {
    let path = volume.own().join(FILE_NAME);
    let Some(bytes) = presence::read(&path)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|cause| {
        Error::new(Code::Unexpected, format!("{} is damaged: {cause}", path.display()))
            .hint("remove it, unless a newer moorline has used this volume")
    })
}

/// Best effort: on a read-only volume the file is missing, which also means format 1.
fn record(volume: &Volume) {
    let format = Format { format: FORMAT, written_by: env!("CARGO_PKG_VERSION").to_owned() };
    let written = serde_json::to_vec(&format).map_err(|cause| cause.to_string()).and_then(|text| {
        durable::write(&volume.own().join(FILE_NAME), &text, 0o644).map_err(|error| error.message().to_owned())
    });
    if let Err(reason) = written {
        log::debug!("the volume's format is not recorded: {reason}");
    }
}

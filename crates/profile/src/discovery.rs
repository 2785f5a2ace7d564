//! The state without a `[state]` table: every SQLite database and every file that `.moorlineignore` does not exclude.

use std::{fs, io, path::Path};

use crate::Scope;
use volume::error::{Error, IoContext, Result};

/// The file at the storage root that excludes paths from discovery, in gitignore syntax.
pub const IGNORE_FILE: &str = ".moorlineignore";

/// The scope of a volume that is mounted at `root`. A missing `.moorlineignore` excludes nothing. The lines are not
/// checked here: `engine::store::Matcher` does that.
pub fn discovered(root: &Path) -> Result<Scope> {
    let path = root.join(IGNORE_FILE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Scope::everything()),
        Err(cause) => return Err(Error::io("read", &path, &cause)),
    };
    let text = String::from_utf8(text)
        .map_err(|cause| io::Error::new(io::ErrorKind::InvalidData, format!("not UTF-8 text: {cause}")))
        .on("read", &path)
        .map_err(|error| error.with_code(volume::error::Code::Usage))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let scope = Scope { ignore: text.lines().map(str::to_owned).collect(), ..Scope::everything() };
    Ok(scope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use volume::error::Code;

    fn with(ignore: &[u8]) -> Result<Scope> {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join(IGNORE_FILE), ignore).expect("writes");
        discovered(dir.path())
    }

    #[test]
    fn without_an_ignore_file_everything_is_state() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(discovered(dir.path()).expect("discovers"), Scope::everything());
    }

    #[test]
    fn an_ignore_file_that_is_not_text_is_refused() {
        assert_eq!(with(b"caf\xe9").expect_err("refuses").code(), Code::Usage);
    }
}

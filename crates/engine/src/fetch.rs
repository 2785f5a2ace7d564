//! A backup that is not a file on disk: it comes from stdin, from a pipe, or from an https address.
//!
//! A restore reads a backup several times, so we first copy it into a temporary file, which the end of this process removes.

mod download;

use std::io::{IsTerminal, Read};

use tempfile::TempPath;

use self::download::Download;
use crate::{
    backup::{Counted, Progress},
    prelude::*,
    store::Spool,
    trust::Trust,
};

/// A backup that can be opened by its path.
#[derive(Debug)]
pub struct Fetched {
    path: PathBuf,
    name: PathBuf,
    _temporary: Option<TempPath>,
}

impl Fetched {
    /// The file to read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it came from, without secrets, for people and for the journal.
    #[must_use]
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// A file on disk, as it is.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self { name: path.clone(), path, _temporary: None }
    }

    /// The backup that a person named: `-`, an https address, or the path of a file, which may be a pipe. A copy goes into the
    /// spool. Fails with `Usage` for an address of another scheme, with `TryAgain` if the server cannot be reached.
    pub fn of(named: &Path, spool: &Spool, trust: &Trust, progress: &mut dyn Progress) -> Result<Self> {
        if named.as_os_str() == "-" {
            if io::stdin().is_terminal() {
                return Err(Error::usage("--backup=- reads a backup from stdin, which is a terminal")
                    .hint("pipe the backup into the command: moorline restore … --backup=- < FILE"));
            }
            return Self::copied(&mut io::stdin().lock(), 0, "stdin".into(), spool, progress);
        }
        if let Some(address) = named.to_str().filter(|text| is_address(text)) {
            let mut download = Download::begin(address, trust)?;
            let (length, name) = (download.length(), download.name().into());
            return Self::copied(&mut download, length.unwrap_or(0), name, spool, progress);
        }
        // The restore itself reports what does not exist or cannot be read.
        let is_stream =
            presence::target(named).is_ok_and(|meta| meta.is_some_and(|meta| !meta.is_file() && !meta.is_dir()));
        if !is_stream {
            return Ok(Self::file(named.to_owned()));
        }
        let mut pipe = fs::File::open(named).on("open", named)?;
        Self::copied(&mut pipe, 0, named.to_owned(), spool, progress)
    }

    fn copied(
        from: &mut dyn Read,
        bytes: u64,
        name: PathBuf,
        spool: &Spool,
        progress: &mut dyn Progress,
    ) -> Result<Self> {
        progress.begin(&format!("reading {}", name.display()), bytes);
        let temporary = spool.copy_of(&mut Counted { inner: from, progress }, bytes, &name)?;
        progress.end();
        if fs::metadata(&temporary).on("access", &temporary)?.len() == 0 {
            return Err(Error::new(Code::Truncated, format!("{} is empty", name.display()))
                .hint("check the command or server that provides the backup"));
        }
        Ok(Self { path: temporary.to_path_buf(), name, _temporary: Some(temporary) })
    }
}

/// Whether a word is an address and not a path: it begins with a scheme (RFC 3986, 3.1) and `//`.
fn is_address(word: &str) -> bool {
    word.split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.'))
    })
}

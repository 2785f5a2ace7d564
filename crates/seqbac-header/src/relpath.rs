//! A path below the storage root, validated once on input.

use std::{
    ffi::OsStr,
    fmt,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
    sync::OnceLock,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

/// A relative path without `..`, `.`, NUL or empty parts. Its bytes need not be UTF-8.
///
/// In JSON it is a string, or `{"base64": …}` if the bytes are not UTF-8.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "Text", try_from = "Text")]
pub struct RelPath(PathBuf);

/// A root, the name of a folder at its top, and the folder that is in that place.
static ELSEWHERE: OnceLock<(PathBuf, &str, PathBuf)> = OnceLock::new();

/// Keeps the folder `name` of a root elsewhere, for all paths that are joined to that root from now on. A process works on
/// one volume, so this is possible once.
pub fn keep_elsewhere(root: &Path, name: &'static str, folder: &Path) {
    let _ = ELSEWHERE.set((root.to_owned(), name, folder.to_owned()));
}

/// The error for a path that is absolute, empty, or not in its shortest form.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a path below the storage root")]
pub struct NotRelative(pub PathBuf);

impl RelPath {
    /// Accepts a path that consists only of names. Removes a trailing slash.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, NotRelative> {
        let path = path.as_ref();
        let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        // Compare with the input, because `components` drops an inner `.`, and two spellings must not be one path.
        let same = path.components().collect::<PathBuf>();
        let bytes = path.as_os_str().as_bytes();
        let trimmed = bytes.strip_suffix(b"/").unwrap_or(bytes);
        if !plain || trimmed.is_empty() || trimmed.contains(&0) || same.as_os_str().as_bytes() != trimmed {
            return Err(NotRelative(path.to_owned()));
        }
        Ok(Self(same))
    }

    /// Relative to the storage root.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The bytes of the path.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_os_str().as_bytes()
    }

    /// The path joined to `root`, or to the folder that [`keep_elsewhere`] has named.
    #[must_use]
    pub fn under(&self, root: &Path) -> PathBuf {
        match ELSEWHERE.get() {
            Some((of, name, folder)) if of == root => match self.0.strip_prefix(name) {
                Ok(rest) if rest.as_os_str().is_empty() => folder.clone(),
                Ok(rest) => folder.join(rest),
                Err(_) => root.join(&self.0),
            },
            _ => root.join(&self.0),
        }
    }

    /// The path of an entry in this directory. `name` must be a single plain name, such as a directory listing returns.
    #[must_use]
    pub fn child(&self, name: &OsStr) -> Self {
        Self(self.0.join(name))
    }

    /// The parent directory; `None` if it is the storage root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let parent = self.0.parent()?;
        (!parent.as_os_str().is_empty()).then(|| Self(parent.to_owned()))
    }

    /// The first name of the path.
    #[must_use]
    pub fn first(&self) -> &OsStr {
        self.0.iter().next().unwrap_or_default()
    }

    /// The path with a suffix appended to its last name.
    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> Self {
        let mut path = self.0.clone().into_os_string();
        path.push(suffix);
        Self(path.into())
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Serialises any path in the form of a [`RelPath`].
#[derive(Debug)]
pub struct AsJson<'a>(pub &'a Path);

impl Serialize for AsJson<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Text::from(self.0.to_owned()).serialize(serializer)
    }
}

/// [`AsJson`] for `#[serde(serialize_with)]`.
pub fn as_json<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    AsJson(path).serialize(serializer)
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Utf8(String),
    Bytes { base64: String },
}

impl From<RelPath> for Text {
    fn from(path: RelPath) -> Self {
        Self::from(path.0)
    }
}

impl From<PathBuf> for Text {
    fn from(path: PathBuf) -> Self {
        match path.into_os_string().into_string() {
            Ok(text) => Self::Utf8(text),
            Err(bytes) => Self::Bytes { base64: BASE64_STANDARD.encode(bytes.as_bytes()) },
        }
    }
}

impl TryFrom<Text> for RelPath {
    type Error = String;

    fn try_from(text: Text) -> Result<Self, String> {
        let path = match text {
            Text::Utf8(text) => PathBuf::from(text),
            Text::Bytes { base64 } => {
                let bytes = BASE64_STANDARD.decode(base64).map_err(|cause| cause.to_string())?;
                PathBuf::from(OsStr::from_bytes(&bytes))
            }
        };
        Self::new(path).map_err(|cause| cause.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leaves_the_root_is_refused() {
        for path in ["", "/", "/etc/passwd", "..", "a/../b", "./a", "a/./b", "a//b", "a/..", "a\0b"] {
            assert!(RelPath::new(path).is_err(), "{path:?}");
        }
        assert_eq!(RelPath::new("a/b/").map(|path| path.to_string()), Ok("a/b".to_owned()));
    }

    #[test]
    fn bytes_that_are_not_utf8_survive_json() {
        let path = RelPath::new(OsStr::from_bytes(b"caf\xe9/x")).expect("a plain path");
        let json = serde_json::to_string(&path).expect("serialises");
        assert_eq!(json, r#"{"base64":"Y2Fm6S94"}"#);
        assert_eq!(serde_json::from_str::<RelPath>(&json).expect("parses"), path);
        assert!(serde_json::from_str::<RelPath>("\"../x\"").is_err());
    }
}

//! The sources of the secret key, in Seq's order: the command line, a provider command, the environment, the volume.
//!
//! If a configured source fails, that is an error, and no other source is tried, because a backup that is encrypted with
//! an unexpected key cannot be opened with the key that its owner saved.

use std::{
    ffi::OsString,
    fmt, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use zeroize::Zeroizing;

use crate::{
    Instance, Volume, durable,
    error::{Code, Error, IoContext, Result},
    events::{Event, Kind, record},
    presence,
};
use seqbac_header::SecretKey;

/// The sources that the command line and the environment configure.
#[derive(Default)]
pub struct Sources {
    /// `--secret-key`.
    pub flag: Option<Zeroizing<String>>,
    /// `--secret-key-file`.
    pub flag_file: Option<PathBuf>,
    /// The provider's variable, its program and its arguments.
    pub provider: Option<(String, OsString, String)>,
    /// The variable that holds the key, and its value.
    pub variable: Option<(String, Zeroizing<String>)>,
    /// The variable that names a file with the key, and the file.
    pub variable_file: Option<(String, PathBuf)>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

/// The source of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `--secret-key` or `--secret-key-file`, for one command only.
    Flag,
    /// A variable or provider; the name of the variable.
    Configured(String),
    /// The volume's own `.moorline/secret.key`.
    Volume,
}

/// A key and its source.
#[derive(Debug)]
pub struct FoundKey {
    /// The key.
    pub key: SecretKey,
    /// The source.
    pub origin: Origin,
}

impl Sources {
    /// The key from the command line, if any.
    pub fn from_flag(&self) -> Result<Option<SecretKey>> {
        match (&self.flag, &self.flag_file) {
            (Some(_), Some(_)) => {
                Err(Error::usage("--secret-key and --secret-key-file cannot be combined: pass one of them"))
            }
            (Some(text), None) => Ok(Some(SecretKey::parse(text, "--secret-key")?)),
            (None, Some(path)) => read(path, "--secret-key-file").map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The active key: from a provider, the environment or the volume. `None` if no source is configured and the volume has
    /// no key.
    pub fn active(&self, volume: Option<&Volume>) -> Result<Option<FoundKey>> {
        if let Some((name, program, arguments)) = &self.provider {
            let key = provide(name, program, arguments)?;
            return Ok(Some(FoundKey { key, origin: Origin::Configured(name.clone()) }));
        }
        match (&self.variable, &self.variable_file) {
            (Some((one, _)), Some((other, _))) => {
                Err(Error::usage(format!("{one} and {other} are both set: unset one of them")))
            }
            (Some((name, text)), None) => {
                Ok(Some(FoundKey { key: SecretKey::parse(text, name)?, origin: Origin::Configured(name.clone()) }))
            }
            (None, Some((name, path))) => {
                Ok(Some(FoundKey { key: read(path, name)?, origin: Origin::Configured(name.clone()) }))
            }
            (None, None) => volume.map_or(Ok(None), of_volume),
        }
    }

    /// As [`Sources::active`], checked against the fingerprint that the instance records.
    ///
    /// # Errors
    /// `WrongKey` if the volume's backups are encrypted with another key and `accept_new` is false.
    pub fn agreed(&self, volume: &Volume, accept_new: bool) -> Result<Option<FoundKey>> {
        self.agreed_with(volume, Instance::load(volume)?.as_ref(), accept_new)
    }

    fn agreed_with(&self, volume: &Volume, instance: Option<&Instance>, accept_new: bool) -> Result<Option<FoundKey>> {
        let Some(found) = self.active(Some(volume))? else { return Ok(None) };
        let fingerprint = found.key.fingerprint();
        match instance.and_then(|instance| instance.key_fingerprint) {
            Some(recorded) if recorded != fingerprint && !accept_new => Err(Error::new(
                Code::WrongKey,
                format!(
                    "the secret key has fingerprint {fingerprint}, but this volume's backups are sealed with {recorded}"
                ),
            )
            .hint("configure the old key again, or pass --accept-new-key once to seal new backups with this key")),
            _ => Ok(Some(found)),
        }
    }

    /// As [`Sources::agreed`], but creates a key if there is none, and records its fingerprint in the instance.
    pub fn ensure(&self, volume: &Volume, accept_new: bool) -> Result<FoundKey> {
        Ok(self.ensure_for(volume, Instance::load(volume)?, accept_new)?.0)
    }

    /// As [`Sources::ensure`] for an instance that was just loaded. Returns the updated instance, too.
    pub fn ensure_for(
        &self,
        volume: &Volume,
        instance: Option<Instance>,
        accept_new: bool,
    ) -> Result<(FoundKey, Instance)> {
        let found = match self.agreed_with(volume, instance.as_ref(), accept_new)? {
            Some(found) => found,
            None => FoundKey { key: create(volume)?, origin: Origin::Volume },
        };
        let fingerprint = Some(found.key.fingerprint());
        let mut instance = instance.map_or_else(|| Instance::ensure(volume), Ok)?;
        // Saved again if the key file is newer, because the two times show a start that this key was checked.
        if instance.key_fingerprint != fingerprint || (found.origin == Origin::Volume && !was_checked(volume)) {
            instance.key_fingerprint = fingerprint;
            instance.save(volume)?;
        }
        Ok((found, instance))
    }
}

/// Whether the volume's key file is unchanged since its fingerprint was recorded.
fn was_checked(volume: &Volume) -> bool {
    let changed = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.ctime(), meta.ctime_nsec()));
    let written = fs::metadata(volume.own().join("instance.json")).ok().map(|meta| (meta.mtime(), meta.mtime_nsec()));
    changed(&volume.key_file()).is_some_and(|changed| written.is_some_and(|written| changed <= written))
}

/// The content of the volume's key file.
#[must_use]
pub fn file_content(key: &SecretKey) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(key.to_text().as_bytes().to_vec());
    text.push(b'\n');
    text
}

fn of_volume(volume: &Volume) -> Result<Option<FoundKey>> {
    let path = volume.key_file();
    let Some(text) = read_if_there(&path)? else { return Ok(None) };
    if fs::metadata(&path).is_ok_and(|meta| meta.mode() & 0o077 != 0) {
        log::warn!("other users can read {0}; run: chmod 600 {0}", path.display());
    }
    let key = SecretKey::parse(&text, &path.display().to_string())?;
    Ok(Some(FoundKey { key, origin: Origin::Volume }))
}

fn create(volume: &Volume) -> Result<SecretKey> {
    let key = SecretKey::generate()?;
    let path = volume.key_file();
    if !durable::write_new(&path, &file_content(&key), 0o600)? {
        // Another process was faster, so its key is used.
        return of_volume(volume)?.map(|found| found.key).ok_or_else(|| {
            Error::new(Code::TryAgain, format!("{} was created and removed by another process", path.display()))
        });
    }
    record(volume, &Event::new(Kind::SecretKeyNotBackedUp).with("KeyFingerprint", key.fingerprint().to_string()));
    log::warn!(
        "created a secret key: {} (fingerprint {}); save it somewhere else (`moorline show-key` prints it), because backups cannot be opened without it",
        path.display(),
        key.fingerprint()
    );
    Ok(key)
}

fn read(path: &Path, origin: &str) -> Result<SecretKey> {
    let text = read_if_there(path)?.ok_or_else(|| {
        Error::new(Code::NotFound, format!("the secret key file {} ({origin}) does not exist", path.display()))
            .hint("check that the secret is mounted into the container")
    })?;
    Ok(SecretKey::parse(&text, &format!("{} ({origin})", path.display()))?)
}

fn read_if_there(path: &Path) -> Result<Option<Zeroizing<String>>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(cause) if presence::is_absent(&cause) => Ok(None),
        Err(cause) => Err(Error::io("read the secret key in", path, &cause)),
    }
}

fn provide(name: &str, program: &OsString, arguments: &str) -> Result<SecretKey> {
    let shown = Path::new(program).display();
    let arguments = shell_words::split(arguments)
        .map_err(|_| Error::usage(format!("{name}ARGS has a quote that is not closed")))?;
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .on("run the secret key provider", Path::new(program))?;
    let text = Zeroizing::new(output.stdout);
    if !output.status.success() {
        return Err(Error::new(
            Code::Unexpected,
            format!("the secret key provider {shown} ({name}) failed: {}", output.status),
        )
        .hint("it must print the key on its standard output and exit 0"));
    }
    let text = std::str::from_utf8(&text).map_err(|_| {
        Error::usage(format!("the secret key provider {shown} ({name}) printed output that is not UTF-8 text"))
    })?;
    Ok(SecretKey::parse(text, &format!("the provider {shown} ({name})"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "8D2RNAbAgmV7ur8nQCLT7PlCWCk+kW488nSg3Narj/4=";
    const OTHER: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    fn volume() -> (tempfile::TempDir, Volume) {
        let dir = tempfile::tempdir().expect("a folder");
        let volume = Volume::open(dir.path()).expect("opens");
        volume.prepare().expect("writable");
        (dir, volume)
    }

    #[test]
    fn a_provider_comes_before_a_variable_and_a_variable_before_the_volume() {
        let (_dir, volume) = volume();
        let none = Sources::default();
        let own = none.ensure(&volume, false).expect("made").key.fingerprint();
        let variable = Sources { variable: Some(("V".into(), Zeroizing::new(KEY.into()))), ..Sources::default() };
        let found = variable.active(Some(&volume)).expect("reads").expect("is there");
        assert_ne!(found.key.fingerprint(), own);
        assert_eq!(found.origin, Origin::Configured("V".into()));
        let provider = Sources {
            provider: Some(("P".into(), "/bin/echo".into(), format!("'{OTHER}'"))),
            variable: Some(("V".into(), Zeroizing::new(KEY.into()))),
            ..Sources::default()
        };
        assert_eq!(*provider.active(Some(&volume)).expect("runs").expect("is there").key.to_text(), OTHER);
    }

    #[test]
    fn a_source_that_fails_is_never_ignored() {
        let (_dir, volume) = volume();
        Sources::default().ensure(&volume, false).expect("made");
        let provider =
            Sources { provider: Some(("P".into(), "/bin/false".into(), String::new())), ..Sources::default() };
        assert!(provider.active(Some(&volume)).is_err());
        let file = Sources { variable_file: Some(("V_FILE".into(), "/nonexistent".into())), ..Sources::default() };
        assert_eq!(file.active(Some(&volume)).expect_err("is missing").code(), Code::NotFound);
        let empty = Sources { variable: Some(("V".into(), Zeroizing::new(String::new()))), ..Sources::default() };
        assert_eq!(empty.active(Some(&volume)).expect_err("is empty").code(), Code::Usage);
    }

    #[test]
    fn another_key_must_be_accepted_explicitly() {
        let (_dir, volume) = volume();
        Sources::default().ensure(&volume, false).expect("made");
        let variable = Sources { variable: Some(("V".into(), Zeroizing::new(KEY.into()))), ..Sources::default() };
        assert_eq!(variable.ensure(&volume, false).expect_err("is another").code(), Code::WrongKey);
        variable.ensure(&volume, true).expect("was accepted");
        variable.ensure(&volume, false).expect("is the recorded one now");
    }

    #[test]
    fn the_volumes_own_key_is_private() {
        let (_dir, volume) = volume();
        Sources::default().ensure(&volume, false).expect("made");
        let mode = fs::metadata(volume.key_file()).expect("is there").mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

//! Settings from the environment. Their names start with `MOORLINE_`. If Seq has the same setting, its name is accepted,
//! too, and two different values are an error.

use std::{ffi::OsString, os::fd::RawFd, path::PathBuf};

use zeroize::Zeroizing;

use process::Variables;
pub use profile::duration::parse_duration;
use volume::{
    Places, Settings, Volume,
    error::{Error, Result},
    key::Sources,
    lock, places,
    restores::ScriptStep,
};

/// Variables that are removed from the server's environment, because they hold a secret key or the console's first
/// password. Seq's names of that password stay, because the server may be a Seq.
pub const SECRETS: [&str; 4] = [
    "MOORLINE_SECRETKEY",
    "SEQ_STORAGE_SECRETKEY",
    "MOORLINE_FIRSTRUN_ADMINPASSWORD",
    "MOORLINE_FIRSTRUN_ADMINPASSWORDHASH",
];

/// The variables of this process.
#[derive(Debug)]
pub struct Environment {
    all: Variables,
    /// The few that can be settings, because a start looks up dozens of names.
    settings: Variables,
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let all = Variables::of_process();
        Self { settings: all.starting_with(&["MOORLINE_", "SEQ_"]), all }
    }

    /// All variables, for a child.
    #[must_use]
    pub const fn variables(&self) -> &Variables {
        &self.all
    }

    /// The name that is set and its value. `names` are synonyms; two of them with different values are an error.
    pub fn setting(&self, names: &[&str]) -> Result<Option<(String, OsString)>> {
        let mut found: Option<(String, OsString)> = None;
        for name in names {
            let Some(value) = self.settings.get(name) else { continue };
            match &found {
                Some((first, other)) if other != value => {
                    return Err(Error::usage(format!("{first} and {name} are both set, with different values"))
                        .hint("they are two names of one setting: unset one of them"));
                }
                Some(_) => {}
                None => found = Some(((*name).to_owned(), value.to_owned())),
            }
        }
        Ok(found)
    }

    /// As [`Environment::setting`], for text.
    pub fn text(&self, names: &[&str]) -> Result<Option<(String, String)>> {
        let Some((name, value)) = self.setting(names)? else { return Ok(None) };
        let value = value.into_string().map_err(|_| Error::usage(format!("{name} is not UTF-8 text")))?;
        Ok(Some((name, value)))
    }

    /// A switch: `1`, `true`, `yes`, `on`, or the opposite. Unset or empty is off.
    pub fn switch(&self, name: &str) -> Result<bool> {
        let Some((_, value)) = self.text(&[name])? else { return Ok(false) };
        match value.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(true),
            "" | "0" | "false" | "no" | "off" => Ok(false),
            _ => Err(Error::usage(format!("{name} is {value:?}: use 1 or 0"))),
        }
    }

    /// The sources of the secret key that the environment names.
    pub fn key_sources(&self) -> Result<Sources> {
        let provider = self.setting(&["MOORLINE_SECRETKEY_PROVIDER", "SEQ_SECRETKEY_PROVIDER"])?;
        let arguments = self.text(&["MOORLINE_SECRETKEY_PROVIDERARGS", "SEQ_SECRETKEY_PROVIDERARGS"])?;
        let variable = self.text(&["MOORLINE_SECRETKEY", "SEQ_STORAGE_SECRETKEY"])?;
        let file = self.setting(&["MOORLINE_SECRETKEY_FILE", "SEQ_STORAGE_SECRETKEY_FILE"])?;
        Ok(Sources {
            provider: provider
                .map(|(name, program)| (name, program, arguments.map(|(_, text)| text).unwrap_or_default())),
            variable: variable.map(|(name, text)| (name, Zeroizing::new(text))),
            variable_file: file.map(|(name, path)| (name, PathBuf::from(path))),
            ..Sources::default()
        })
    }

    /// How long replaced state is kept: `MOORLINE_KEEP_REPLACED`, else 7 days.
    pub fn keep_replaced(&self) -> Result<jiff::SignedDuration> {
        self.duration("MOORLINE_KEEP_REPLACED", jiff::SignedDuration::from_hours(7 * 24))
    }

    /// The names of moorline's own variables that are set. A command of a profile does not get them, because some contain
    /// secrets.
    #[must_use]
    pub fn own_names(&self) -> Vec<String> {
        let own = |name: &&str| name.starts_with("MOORLINE_") || name.starts_with("SEQ_");
        self.variables().pairs().filter_map(|(name, _)| name.to_str()).filter(own).map(str::to_owned).collect()
    }

    /// How long a backup waits for a database that another process has locked: `MOORLINE_DATABASE_WAIT`.
    pub fn database_wait(&self) -> Result<std::time::Duration> {
        let wait = self.duration("MOORLINE_DATABASE_WAIT", jiff::SignedDuration::from_mins(2))?;
        Ok(wait.unsigned_abs())
    }

    /// The folder for the temporary files of a backup: `MOORLINE_SPOOL`.
    pub fn spool(&self) -> Result<Option<PathBuf>> {
        let folder = self.setting(&["MOORLINE_SPOOL"])?.map(|(_, path)| PathBuf::from(path));
        Ok(folder.filter(|path| !path.as_os_str().is_empty()))
    }

    /// The folders in place of `.moorline/`, `Init/` and `Backups/`.
    pub fn places(&self) -> Result<Places> {
        let folder = |variable| {
            let named = self.setting(&[variable])?.map(|(_, path)| PathBuf::from(path));
            Ok::<_, Error>(named.filter(|path| !path.as_os_str().is_empty()))
        };
        Ok(Places {
            home: folder(places::HOME)?,
            init: folder(places::INIT)?,
            backups: folder("MOORLINE_BACKUP_LOCATION")?,
        })
    }

    /// How many scheduled backups are kept: `MOORLINE_BACKUPS_TO_KEEP`, else the console's setting, else 7.
    pub fn backups_to_keep(&self, volume: &Volume) -> Result<usize> {
        let Some((name, text)) = self.text(&["MOORLINE_BACKUPS_TO_KEEP"])? else {
            return Ok(Settings::load(volume)?.backups_to_keep.map_or(7, |number| number.max(1)));
        };
        one_or_more(&name, &text)
    }

    /// How many immediate backups are kept: `MOORLINE_IMMEDIATE_TO_KEEP`, else all.
    pub fn immediate_to_keep(&self) -> Result<Option<usize>> {
        self.text(&["MOORLINE_IMMEDIATE_TO_KEEP"])?.map(|(name, text)| one_or_more(&name, &text)).transpose()
    }

    /// A variable that holds a duration such as `30s`, `12h` or `7d`.
    pub fn duration(&self, name: &str, default: jiff::SignedDuration) -> Result<jiff::SignedDuration> {
        let Some((_, text)) = self.text(&[name])? else { return Ok(default) };
        parse_duration(&text).map_err(|error| error.context(name))
    }

    /// As [`Environment::duration`], for a limit that is off if the variable is unset, empty or `0`.
    pub fn optional_duration(&self, name: &str) -> Result<Option<std::time::Duration>> {
        let Some((_, text)) = self.text(&[name])?.filter(|(_, text)| !text.is_empty() && text != "0") else {
            return Ok(None);
        };
        let duration = parse_duration(&text).map_err(|error| error.context(name))?;
        Ok(Some(duration.unsigned_abs()).filter(|duration| !duration.is_zero()))
    }

    /// The command of an init script that this process carries out, if a script started it.
    pub fn script_step(&self) -> Result<Option<ScriptStep>> {
        let Some((name, text)) = self.text(&[ScriptStep::VARIABLE])? else { return Ok(None) };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|_| Error::usage(format!("{name} holds a value that moorline did not write")))
    }

    /// The number of the lock's descriptor that this process inherited.
    #[must_use]
    pub fn inherited_lock(&self) -> Option<RawFd> {
        self.settings.get(lock::LOCK_FD)?.to_str()?.parse().ok()
    }
}

fn one_or_more(name: &str, text: &str) -> Result<usize> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| Error::usage(format!("{name} is {text:?}: use a number, 1 or more")))
}

/// Parses `UID:GID`, both numeric.
pub fn parse_owner(text: &str) -> Result<(u32, u32)> {
    let wrong = || Error::usage(format!("{text:?} is not an owner: use UID:GID in numbers"));
    let (uid, gid) = text.split_once(':').ok_or_else(wrong)?;
    Ok((uid.parse().map_err(|_| wrong())?, gid.parse().map_err(|_| wrong())?))
}

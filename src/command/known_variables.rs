//! Warnings about settings that have no effect as they are written: a name that moorline does not know, and quotes around a
//! value.

use std::path::Path;

use process::Variables;
use volume::presence;

use super::parse::nearest;

/// The start of the names of moorline's own variables.
const OWN: &str = "MOORLINE_";

/// Seq's names of settings that moorline has, too, start with one of these.
const OF_SEQ: [&str; 2] = ["SEQ_STORAGE_", "SEQ_SECRETKEY_"];

/// All settings, as `docs/cli.md` lists them.
const KNOWN: &[&str] = &[
    "MOORLINE_ACCEPT_NEW_KEY",
    "MOORLINE_ALLOW_EMPTY",
    "MOORLINE_BACKUP_JITTER",
    "MOORLINE_BACKUP_LOCATION",
    "MOORLINE_BACKUP_UTC_TIME_OF_DAY",
    "MOORLINE_BACKUPS_TO_KEEP",
    "MOORLINE_BARE",
    "MOORLINE_CHOWN_VOLUME",
    "MOORLINE_DATABASE_WAIT",
    "MOORLINE_EXIT_CODE_MAP",
    "MOORLINE_FIRSTRUN_ADMINPASSWORD",
    "MOORLINE_FIRSTRUN_ADMINPASSWORDHASH",
    "MOORLINE_FIRSTRUN_ADMINPASSWORDHASH_FILE",
    "MOORLINE_FIRSTRUN_ADMINPASSWORD_FILE",
    "MOORLINE_FIRSTRUN_ADMINUSERNAME",
    "MOORLINE_FIRSTRUN_NOAUTHENTICATION",
    "MOORLINE_HEALTH",
    "MOORLINE_HOME",
    "MOORLINE_IMMEDIATE_TO_KEEP",
    "MOORLINE_INIT",
    "MOORLINE_INIT_ON_FAILURE",
    "MOORLINE_KEEP_REPLACED",
    "MOORLINE_LISTEN",
    "MOORLINE_LOCK_WAIT",
    "MOORLINE_LOG",
    "MOORLINE_LOG_FORMAT",
    "MOORLINE_NO_BOOT_BACKUP",
    "MOORLINE_NO_SERVE",
    "MOORLINE_PARENT_DEATH_SIGNAL",
    "MOORLINE_PROFILE",
    "MOORLINE_PROGRESS_FD",
    "MOORLINE_REWRITE",
    "MOORLINE_SCRIPT_GRACE",
    "MOORLINE_SCRIPT_TIMEOUT",
    "MOORLINE_SECRETKEY",
    "MOORLINE_SECRETKEY_FILE",
    "MOORLINE_SECRETKEY_PROVIDER",
    "MOORLINE_SECRETKEY_PROVIDERARGS",
    "MOORLINE_SEQINIT",
    "MOORLINE_SIGNAL_GROUP",
    "MOORLINE_SKIP_INIT",
    "MOORLINE_SPOOL",
    "MOORLINE_STOP_GRACE",
    "MOORLINE_STORAGE",
    "MOORLINE_STRICT_PERMISSIONS",
    "MOORLINE_SUPERVISE",
    "MOORLINE_TLS_CERT",
    "MOORLINE_TLS_KEY",
    "MOORLINE_USER",
    "SEQ_SECRETKEY_PROVIDER",
    "SEQ_SECRETKEY_PROVIDERARGS",
    "SEQ_STORAGE_SECRETKEY",
    "SEQ_STORAGE_SECRETKEY_FILE",
];

/// Files that the console reads at its first start, much later than the start of the container.
const FIRST_RUN_FILES: [&str; 2] = ["MOORLINE_FIRSTRUN_ADMINPASSWORD_FILE", "MOORLINE_FIRSTRUN_ADMINPASSWORDHASH_FILE"];

/// Variables that moorline sets for its children and for the server, which a nested moorline inherits.
const INTERNAL: &[&str] = &[
    "MOORLINE_ARGS_FD",
    "MOORLINE_BEFORE",
    "MOORLINE_INSTANCE",
    "MOORLINE_LOCK_FD",
    "MOORLINE_LOCK_TOKEN",
    "MOORLINE_QUARANTINED",
    "MOORLINE_RESTORE_EPOCH",
    "MOORLINE_SCRIPT",
    "MOORLINE_SCRIPT_REPORT",
    "MOORLINE_STARTED_BY",
];

/// Logs a warning for each variable that is probably a mistake. It shows no value, because that may be a secret.
pub(super) fn warn(variables: &Variables) {
    for (name, value) in variables.pairs() {
        let Some(name) = name.to_str() else { continue };
        if !name.starts_with(OWN) && !OF_SEQ.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        if !KNOWN.contains(&name) {
            // Kubernetes sets such variables in every pod beside a service called moorline.
            if !INTERNAL.contains(&name) && !of_kubernetes(name, value) {
                log::warn!("{name} has no effect, because moorline has no such setting{}", suggestion(name));
            }
        } else if FIRST_RUN_FILES.contains(&name) && !presence::is_file(Path::new(value)).unwrap_or(true) {
            log::warn!("{name} does not name a file");
        } else if is_quoted(value.as_encoded_bytes()) {
            log::warn!("the value of {name} is in quotes, which belong to the value in an env file: remove them");
        }
    }
}

fn suggestion(name: &str) -> String {
    let start = name.find('_').map_or(0, |end| end + 1);
    let known = KNOWN.iter().filter_map(|known| known.strip_prefix(&name[..start]));
    nearest(&name[start..], known).map_or_else(String::new, |near| format!("; did you mean {}{near}?", &name[..start]))
}

/// Variables of a Service `moorline` or `moorline-web`: `…_SERVICE_HOST`, `…_SERVICE_PORT_HTTP`, `…_PORT=tcp://…`,
/// `…_PORT_80_TCP_ADDR`.
fn of_kubernetes(name: &str, value: &std::ffi::OsStr) -> bool {
    let Some(name) = name.strip_prefix(OWN) else { return false };
    let name = format!("_{name}");
    let of_port =
        ["tcp://", "udp://", "sctp://"].iter().any(|start| value.as_encoded_bytes().starts_with(start.as_bytes()));
    name.starts_with("_PORT")
        || ["_SERVICE_HOST", "_SERVICE_PORT"].iter().any(|part| name.contains(part))
        || (name.ends_with("_PORT") && of_port)
        || (name.contains("_PORT_") && ["_TCP", "_UDP", "_SCTP"].iter().any(|part| name.contains(part)))
}

fn is_quoted(value: &[u8]) -> bool {
    matches!(value, [b'"', .., b'"'] | [b'\'', .., b'\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_leads_to_the_right_one() {
        for (wrong, right) in [("SECRET_KEY", "SECRETKEY"), ("SUPERVISED", "SUPERVISE"), ("LOCKWAIT", "LOCK_WAIT")] {
            assert_eq!(suggestion(&format!("{OWN}{wrong}")), format!("; did you mean {OWN}{right}?"));
        }
        assert_eq!(suggestion(&format!("{OWN}XYZ")), "");
    }

    #[test]
    fn every_documented_setting_is_known() {
        let manual = include_str!("../../docs/cli.md");
        let words = manual.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
        for word in words.filter(|word| word.len() > OWN.len() && word.starts_with(OWN) && !word.ends_with('_')) {
            assert!(KNOWN.contains(&word) || INTERNAL.contains(&word) || word == "MOORLINE_ENV", "{word}");
        }
    }
}

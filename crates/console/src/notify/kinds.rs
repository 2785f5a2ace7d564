//! The kinds of notification, HTTP and mail, and their settings. The API and the forms of the pages are built from these
//! tables, which also mark the settings that are secrets. The API calls a kind an app, as Seq does.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{http, mail};
use crate::failure::InputError;
use volume::error::Error;

/// The type of a setting's input, with Seq's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) enum SettingType {
    /// A single line of text.
    Text,
    /// Text of several lines.
    LongText,
    /// One of `AllowedValues`.
    Select,
    /// An integer.
    Integer,
    /// A secret: stored encrypted and never shown again.
    Password,
}

/// One choice of a `Select`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AllowedValue {
    /// The value to store in `Settings`.
    pub value: &'static str,
    /// Its meaning, for users.
    pub description: &'static str,
}

/// A setting of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AvailableSetting {
    /// The name in `Settings`.
    pub name: &'static str,
    /// The label on forms.
    pub display_name: &'static str,
    /// Whether the setting may be empty.
    pub is_optional: bool,
    /// An explanation of the value to enter.
    pub help_text: &'static str,
    /// The type of the input.
    #[serde(rename = "Type")]
    pub kind: SettingType,
    /// Whether the value is a secret: stored encrypted and never shown.
    pub is_sensitive: bool,
    /// The choices of a `Select`. The first is the default.
    pub allowed_values: &'static [AllowedValue],
}

/// An app, from which app instances are created. The console's pages call an app instance a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AppKind {
    /// The id, which is the `AppId` of its instances.
    pub id: &'static str,
    /// The name, for users.
    pub name: &'static str,
    /// The purpose, for users.
    pub description: &'static str,
    /// The settings of its instances.
    pub available_settings: &'static [AvailableSetting],
}

const fn setting(
    name: &'static str,
    display_name: &'static str,
    is_optional: bool,
    kind: SettingType,
    help_text: &'static str,
) -> AvailableSetting {
    let is_sensitive = matches!(kind, SettingType::Password);
    AvailableSetting { name, display_name, is_optional, help_text, kind, is_sensitive, allowed_values: &[] }
}

pub(crate) const HTTP: AppKind = AppKind {
    id: "app-http",
    name: "HTTP",
    description: "Posts each event to a URL",
    available_settings: &[
        setting("Url", "URL", false, SettingType::Text, "Address that receives the events: http://… or https://…"),
        setting(
            "AuthorizationHeader",
            "Authorization",
            true,
            SettingType::Password,
            "Value of the header Authorization, such as Bearer and a token",
        ),
        AvailableSetting {
            is_sensitive: true,
            ..setting("Headers", "Headers", true, SettingType::LongText, "One header per line: Name: value")
        },
        setting(
            "BodyTemplate",
            "Body",
            true,
            SettingType::LongText,
            "Template of the request body; if empty, the event as JSON (CLEF). {@Message}, {@Level}, {@EventType}, {@Timestamp} and \
             {PropertyName} are replaced, and escaped if the template is JSON",
        ),
    ],
};

pub(crate) const SMTP: AppKind = AppKind {
    id: "app-smtp",
    name: "Mail",
    description: "Sends each event as a mail",
    available_settings: &[
        setting("Host", "Server", false, SettingType::Text, "Name of the SMTP server"),
        setting(
            "Port",
            "Port",
            true,
            SettingType::Integer,
            "If empty: 587, or 465 with TLS from the start, or 25 without encryption",
        ),
        AvailableSetting {
            allowed_values: &[
                AllowedValue { value: "starttls", description: "STARTTLS" },
                AllowedValue { value: "tls", description: "TLS from the start" },
                AllowedValue { value: "none", description: "No encryption" },
            ],
            ..setting("Security", "Encryption", true, SettingType::Select, "Encryption of the connection")
        },
        setting("From", "From", false, SettingType::Text, "Sender: a@example.org or Name <a@example.org>"),
        setting("To", "To", false, SettingType::Text, "Recipients, separated by commas"),
        setting("Username", "User", true, SettingType::Text, "User name, if the server requires a login"),
        setting("Password", "Password", true, SettingType::Password, "Password of the user"),
    ],
};

pub(crate) const ALL: &[AppKind] = &[HTTP, SMTP];

pub(crate) fn find(id: &str) -> Option<&'static AppKind> {
    ALL.iter().find(|kind| kind.id == id)
}

/// Validates the settings of a notification, including its secrets. `id` is the id of the kind.
pub(crate) fn check(id: &str, settings: &BTreeMap<String, String>) -> Result<(), InputError> {
    let known = || ALL.iter().map(|kind| kind.id).collect::<Vec<_>>().join(", ");
    let kind =
        find(id).ok_or_else(|| Error::usage(format!("unknown app {id:?}")).hint(format!("use one of {}", known())))?;
    if let Some(unknown) = settings.keys().find(|name| kind.available_settings.iter().all(|known| known.name != **name))
    {
        let names = kind.available_settings.iter().map(|known| known.name).collect::<Vec<_>>().join(", ");
        return Err(Error::usage(format!("the app {} has no setting {unknown:?}", kind.name))
            .hint(format!("its settings are {names}"))
            .into());
    }
    for known in kind.available_settings {
        let wrong = |error| Err(InputError::new(known.name, error));
        let value = settings.get(known.name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let allowed = known.allowed_values.iter().map(|allowed| allowed.value);
        match value {
            None if !known.is_optional => {
                return wrong(Error::usage(format!("the setting {} is missing", known.name)).hint(known.help_text));
            }
            Some(value) if !known.allowed_values.is_empty() && allowed.clone().all(|allowed| allowed != value) => {
                let all = allowed.collect::<Vec<_>>().join(", ");
                let error = Error::usage(format!("{} cannot be {value:?}", known.name));
                return wrong(error.hint(format!("use one of {all}")));
            }
            Some(value) if value.contains(|char| is_forbidden(char, known.kind)) => {
                return wrong(Error::usage(format!("{} contains control characters", known.name)));
            }
            _ => {}
        }
    }
    match kind.id {
        id if id == HTTP.id => http::check(settings),
        _ => mail::check(settings),
    }
}

/// Control characters are forbidden, because a line feed in a single-line value could inject a header or an SMTP command.
fn is_forbidden(char: char, kind: SettingType) -> bool {
    char.is_control() && !(kind == SettingType::LongText && matches!(char, '\n' | '\r' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_of(id: &str, settings: &[(&str, &str)]) -> Option<String> {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let error = check(id, &settings).err().map(Error::from)?;
        assert!(!error.to_string().contains("hunter2"), "{error}");
        Some(format!("{error} {}", error.advice().unwrap_or_default()))
    }

    #[test]
    fn valid_settings_are_accepted() {
        assert_eq!(check_of("app-http", &[("Url", "http://127.0.0.1:9/x?y=1")]), None);
        let headers = ("Headers", "X-A: 1\nContent-Type: application/json\n\n");
        assert_eq!(check_of("app-http", &[("Url", "https://example.org"), headers]), None);
        let mail = [("Host", "mail"), ("From", "Moor <a@example.org>"), ("To", "b@example.org, C <c@example.org>")];
        assert_eq!(check_of("app-smtp", &mail), None);
        assert_eq!(check_of("app-smtp", &[mail.as_slice(), &[("Security", "tls"), ("Port", "465")]].concat()), None);
    }

    #[test]
    fn invalid_settings_are_refused_by_name() {
        let mail = [("Host", "mail"), ("From", "a@example.org"), ("To", "b@example.org")];
        for (id, settings, word) in [
            ("app-pager", vec![], "app-pager"),
            ("app-http", vec![], "Url"),
            ("app-http", vec![("Url", "example.org")], "Url"),
            ("app-http", vec![("Url", "ftp://example.org")], "Url"),
            ("app-http", vec![("Url", "http://a"), ("Uri", "x")], "Uri"),
            ("app-http", vec![("Url", "http://a"), ("Headers", "no colon")], "Headers"),
            ("app-http", vec![("Url", "http://a"), ("Headers", "X A: 1")], "Headers"),
            ("app-http", vec![("Url", "http://moor:hunter2@a/")], "AuthorizationHeader"),
            ("app-http", vec![("Url", "http://a"), ("Headers", "X-A: \u{1}")], "Headers"),
            ("app-smtp", [&mail[1..], &[("Host", "mail\r\nRCPT TO:<x@example.org>")]].concat(), "Host"),
            ("app-smtp", [mail.as_slice(), &[("Username", "moor\r\nQUIT")]].concat(), "Username"),
            ("app-smtp", [mail.as_slice(), &[("Password", "a\nb")]].concat(), "Password"),
            ("app-http", vec![("Url", "http://a\r\nb/")], "Url"),
            ("app-http", vec![("Url", "http://a"), ("AuthorizationHeader", "Bearer a\r\nX: b")], "AuthorizationHeader"),
            ("app-smtp", mail[..2].to_vec(), "To"),
            ("app-smtp", vec![("Host", "mail\r\nRCPT"), mail[1], mail[2]], "Host"),
            ("app-smtp", [mail.as_slice(), &[("Username", "a\r\nRCPT TO:<b>")]].concat(), "Username"),
            ("app-smtp", [mail.as_slice(), &[("Password", "a\0b")]].concat(), "Password"),
            ("app-smtp", [mail.as_slice(), &[("Port", "0")]].concat(), "Port"),
            ("app-smtp", [mail.as_slice(), &[("Port", "many")]].concat(), "Port"),
            ("app-smtp", [mail.as_slice(), &[("Security", "ssl3")]].concat(), "Security"),
            ("app-smtp", vec![("Host", "mail"), ("From", "nobody"), ("To", "b@example.org")], "From"),
            ("app-smtp", vec![("Host", "mail"), ("From", "a@example.org"), ("To", ",")], "To"),
        ] {
            let error = check_of(id, &settings).unwrap_or_default();
            assert!(error.contains(word), "{id} {settings:?}: {error}");
        }
    }
}

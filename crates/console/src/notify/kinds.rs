//! The apps there are: what each is, and what it has to be told. Forms are made of it, and it says which settings are
//! secrets.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{http, mail};
use volume::error::{Error, Result};

/// How a setting is entered, in Seq's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum SettingType {
    /// A line.
    Text,
    /// Many lines.
    LongText,
    /// One of some values.
    Select,
    /// A number.
    Integer,
    /// A secret: never shown again, and sealed with the secret key.
    Password,
}

/// A value that may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct AllowedValue {
    /// It.
    pub value: &'static str,
    /// What it means.
    pub description: &'static str,
}

/// Something that an app has to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct AvailableSetting {
    /// Its name in `Settings`.
    pub name: &'static str,
    /// Its name for people.
    pub display_name: &'static str,
    /// Whether the app can do without.
    pub is_optional: bool,
    /// What to enter.
    pub help_text: &'static str,
    /// How it is entered.
    #[serde(rename = "Type")]
    pub kind: SettingType,
    /// Whether it is a secret: kept sealed, and never shown.
    pub is_sensitive: bool,
    /// What may be entered, where that is limited; the first is what it is if nobody says.
    pub allowed_values: &'static [AllowedValue],
}

/// An app that instances can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct AppKind {
    /// Its id, `AppId` of its instances.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub description: &'static str,
    /// What it has to be told.
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

/// Sends an HTTP request.
pub const HTTP: AppKind = AppKind {
    id: "app-http",
    name: "HTTP",
    description: "Posts each event to a URL",
    available_settings: &[
        setting("Url", "URL", false, SettingType::Text, "Where each event is posted to: http://… or https://…"),
        setting(
            "AuthorizationHeader",
            "Authorization",
            true,
            SettingType::Password,
            "Sent as the header Authorization, such as Bearer and a token",
        ),
        AvailableSetting {
            is_sensitive: true,
            ..setting("Headers", "Headers", true, SettingType::LongText, "One on each line: Name: value")
        },
        setting(
            "BodyTemplate",
            "Body",
            true,
            SettingType::LongText,
            "What is posted; without it the event as JSON (CLEF). {@Message}, {@Level}, {@EventType}, {@Timestamp} and {PropertyName} are \
             replaced, escaped where the template is JSON",
        ),
    ],
};

/// Sends a mail.
pub const SMTP: AppKind = AppKind {
    id: "app-smtp",
    name: "Mail",
    description: "Sends each event as a mail",
    available_settings: &[
        setting("Host", "Server", false, SettingType::Text, "The name of the SMTP server"),
        setting(
            "Port",
            "Port",
            true,
            SettingType::Integer,
            "587; with tls 465, without encryption 25, if nothing is entered",
        ),
        AvailableSetting {
            allowed_values: &[
                AllowedValue { value: "starttls", description: "Encrypted after STARTTLS" },
                AllowedValue { value: "tls", description: "Encrypted from the start" },
                AllowedValue { value: "none", description: "Not encrypted" },
            ],
            ..setting("Security", "Encryption", true, SettingType::Select, "How the connection is encrypted")
        },
        setting("From", "From", false, SettingType::Text, "The sender: a@example.org, or Name <a@example.org>"),
        setting("To", "To", false, SettingType::Text, "The recipients, with commas between them"),
        setting("Username", "User", true, SettingType::Text, "Where the server wants a login"),
        setting("Password", "Password", true, SettingType::Password, "The user's password"),
    ],
};

/// All of them.
pub const ALL: &[AppKind] = &[HTTP, SMTP];

/// The app of this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static AppKind> {
    ALL.iter().find(|kind| kind.id == id)
}

/// Whether the settings make sense, secrets among them.
///
/// # Errors
/// `Usage` for one that is missing, is not known, or cannot be.
pub fn check(id: &str, settings: &BTreeMap<String, String>) -> Result<()> {
    let known = || ALL.iter().map(|kind| kind.id).collect::<Vec<_>>().join(", ");
    let kind = find(id)
        .ok_or_else(|| Error::usage(format!("there is no app {id:?}")).hint(format!("there are {}", known())))?;
    if let Some(unknown) = settings.keys().find(|name| kind.available_settings.iter().all(|known| known.name != **name))
    {
        let names = kind.available_settings.iter().map(|known| known.name).collect::<Vec<_>>().join(", ");
        return Err(
            Error::usage(format!("the app {} has no setting {unknown:?}", kind.name)).hint(format!("it has {names}"))
        );
    }
    for known in kind.available_settings {
        let value = settings.get(known.name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let allowed = known.allowed_values.iter().map(|allowed| allowed.value);
        match value {
            None if !known.is_optional => {
                return Err(Error::usage(format!("the setting {} is missing", known.name)).hint(known.help_text));
            }
            Some(value) if !known.allowed_values.is_empty() && allowed.clone().all(|allowed| allowed != value) => {
                let all = allowed.collect::<Vec<_>>().join(", ");
                return Err(
                    Error::usage(format!("{} cannot be {value:?}", known.name)).hint(format!("say one of {all}"))
                );
            }
            Some(value) if value.contains(|char| is_odd(char, known.kind)) => {
                return Err(Error::usage(format!("{} has characters that cannot be seen", known.name)));
            }
            _ => {}
        }
    }
    match kind.id {
        id if id == HTTP.id => http::check(settings),
        _ => mail::check(settings),
    }
}

/// Control characters: in what is one line, a line feed would say something else to a server.
fn is_odd(char: char, kind: SettingType) -> bool {
    char.is_control() && !(kind == SettingType::LongText && matches!(char, '\n' | '\r' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_of(id: &str, settings: &[(&str, &str)]) -> Option<String> {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let error = check(id, &settings).err()?;
        assert!(!error.to_string().contains("hunter2"), "{error}");
        Some(format!("{error} {}", error.advice().unwrap_or_default()))
    }

    #[test]
    fn settings_that_make_sense_are_taken() {
        assert_eq!(check_of("app-http", &[("Url", "http://127.0.0.1:9/x?y=1")]), None);
        let headers = ("Headers", "X-A: 1\nContent-Type: application/json\n\n");
        assert_eq!(check_of("app-http", &[("Url", "https://example.org"), headers]), None);
        let mail = [("Host", "mail"), ("From", "Moor <a@example.org>"), ("To", "b@example.org, C <c@example.org>")];
        assert_eq!(check_of("app-smtp", &mail), None);
        assert_eq!(check_of("app-smtp", &[mail.as_slice(), &[("Security", "tls"), ("Port", "465")]].concat()), None);
    }

    #[test]
    fn others_are_refused_by_name() {
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

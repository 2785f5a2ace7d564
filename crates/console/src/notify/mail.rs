//! Mail notifications: sends events through an SMTP server.

use std::{collections::BTreeMap, time::Duration};

use lettre::{
    Message, SmtpTransport, Transport,
    message::{Mailbox, Mailboxes, header},
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};

use super::notification::Notification;
use crate::{entities::Result, failure::InputError};
use engine::trust::Trust;
use volume::{
    error::{Code, Error},
    events::Stored,
};

/// Limit for each step of the SMTP exchange.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum number of characters in a subject.
const LONGEST_SUBJECT: usize = 150;

pub(super) fn check(settings: &BTreeMap<String, String>) -> Result<()> {
    from(settings)?;
    to(settings)?;
    port(settings).map(drop)
}

/// Sends an event. Fails with `TryAgain` if another attempt may succeed, else with `Usage`.
pub(super) fn send(notification: &Notification, event: &Stored, trust: &Trust) -> std::result::Result<(), Error> {
    let message = message(notification, event)?;
    let host = text(&notification.settings, "Host");
    let failed = |cause: lettre::transport::smtp::Error| {
        // lettre's own messages are terse; the source has the details.
        let source = std::error::Error::source(&cause).map(|source| format!(": {source}")).unwrap_or_default();
        Error::new(Code::TryAgain, format!("{host} did not accept the mail: {cause}{source}"))
    };
    let tls = || {
        let mut tls = TlsParameters::builder(host.to_owned());
        for certificate in trust.certificates()? {
            tls = tls.add_root_certificate(Certificate::from_der(certificate.to_vec()).map_err(failed)?);
        }
        tls.build().map_err(failed)
    };
    let security = match text(&notification.settings, "Security") {
        "none" => Tls::None,
        "tls" => Tls::Wrapper(tls()?),
        _ => Tls::Required(tls()?),
    };
    let mut transport =
        SmtpTransport::builder_dangerous(host).port(port(&notification.settings)?).tls(security).timeout(Some(TIMEOUT));
    let user = text(&notification.settings, "Username");
    if !user.is_empty() {
        let password = notification.settings.get("Password").cloned().unwrap_or_default();
        transport = transport.credentials(Credentials::new(user.to_owned(), password));
    }
    transport.build().send(&message).map(drop).map_err(failed)
}

fn message(notification: &Notification, event: &Stored) -> std::result::Result<Message, Error> {
    let from = from(&notification.settings)?;
    let id = format!("<{}.{}@{}>", event.position, notification.id, from.email.domain());
    let title = notification.instance_title.as_deref().unwrap_or("moorline");
    let line: String = event.message().chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let subject: String = format!("[{title}] {}: {line}", event.level()).chars().take(LONGEST_SUBJECT).collect();
    Message::builder()
        .from(from)
        .mailbox(header::To::from(to(&notification.settings)?))
        .subject(subject)
        .message_id(Some(id))
        .header(header::ContentType::TEXT_PLAIN)
        .body(body(event))
        .map_err(|cause| Error::usage(format!("cannot create the mail: {cause}")))
}

fn body(event: &Stored) -> String {
    let at = event.at().map(|at| at.to_string()).unwrap_or_default();
    let mut body = format!("{}\n\n{}  {}  {at}\n", event.message(), event.level(), event.kind());
    for (name, value) in event.properties() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        body.push_str(&format!("{name}: {value}\n"));
    }
    body
}

fn text<'a>(settings: &'a BTreeMap<String, String>, name: &str) -> &'a str {
    settings.get(name).map_or("", |value| value.trim())
}

fn from(settings: &BTreeMap<String, String>) -> Result<Mailbox> {
    let from = text(settings, "From");
    let wrong = |_| {
        let error = Error::usage(format!("From is not a valid e-mail address: {from:?}"));
        InputError::new("From", error.hint("enter an address like a@example.org or Name <a@example.org>"))
    };
    from.parse().map_err(wrong)
}

fn to(settings: &BTreeMap<String, String>) -> Result<Mailboxes> {
    let to = text(settings, "To");
    let wrong = || {
        let error = Error::usage(format!("To is not a list of e-mail addresses: {to:?}"));
        InputError::new("To", error.hint("enter addresses like a@example.org, b@example.org"))
    };
    let boxes: Mailboxes = to.parse().map_err(|_| wrong())?;
    if boxes.iter().next().is_none() { Err(wrong()) } else { Ok(boxes) }
}

fn port(settings: &BTreeMap<String, String>) -> Result<u16> {
    let port = match (text(settings, "Port"), text(settings, "Security")) {
        ("", "none") => "25",
        ("", "tls") => "465",
        ("", _) => "587",
        (port, _) => port,
    };
    let wrong = || {
        let error = Error::usage(format!("Port is not a valid port: {port:?}")).hint("enter a port from 1 to 65535");
        InputError::new("Port", error)
    };
    port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::notification::event_at;

    #[test]
    fn a_mail_describes_the_event_and_no_text_of_an_event_becomes_a_header() {
        let settings = [("From", "Moor <a@example.org>"), ("To", "b@example.org")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let notification = Notification { id: "appinstance-1".to_owned(), settings, ..Notification::default() };
        let mut event = event_at(0);
        event.fields.insert("Error".to_owned(), "x\r\nBcc: everybody@example.org".into());
        let mail = message(&notification, &event).expect("a mail").formatted();
        let mail = String::from_utf8(mail).expect("text");
        let (head, body) = mail.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains("Subject: [moorline] Error: Backup failed"), "{head}");
        assert!(!head.contains("\r\nBcc"), "{head}");
        assert!(body.contains("BackupFailed") && body.contains("everybody@example.org"), "{body}");
    }
}

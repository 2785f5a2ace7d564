//! HTTP notifications: posts events to a URL.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use ureq::{
    http::{HeaderName, HeaderValue, Response, Uri, header::CONTENT_TYPE},
    tls::{Certificate, RootCerts, TlsConfig},
};

use super::notification::Notification;
use crate::{entities::Result, failure::InputError};
use engine::trust::{Trust, is_untrusted};
use volume::{
    error::{Code, Error},
    events::Stored,
};

const TIMEOUT: Duration = Duration::from_secs(10);

/// The media type of the stored form of events.
const CLEF: &str = "application/vnd.serilog.clef";

pub(super) fn check(settings: &BTreeMap<String, String>) -> Result<()> {
    url(settings)?;
    headers(settings).map(drop)
}

/// Posts an event. Fails with `TryAgain` if another attempt may succeed, else with `Usage`.
pub(super) fn send(notification: &Notification, event: &Stored, trust: &Trust) -> std::result::Result<(), Error> {
    let (body, media_type) = body(notification.settings.get("BodyTemplate").map_or("", String::as_str), event);
    let url = url(&notification.settings)?;
    let target = host_and_port(&url);
    let mut headers = headers(&notification.settings)?;
    if !headers.iter().any(|(name, _)| name == "content-type") {
        headers.push((CONTENT_TYPE, HeaderValue::from_static(media_type)));
    }
    let private = if url.scheme_str() == Some("https") { trust.certificates()? } else { Vec::new() };
    let mut response = post(&url, &headers, &body, RootCerts::WebPki);
    // ureq knows either the built-in roots or ours. An untrusted server has received nothing.
    if !private.is_empty() && response.as_ref().is_err_and(is_untrusted) {
        let roots: Vec<_> = private.iter().map(|one| Certificate::from_der(one).to_owned()).collect();
        response = post(&url, &headers, &body, RootCerts::new_with_certs(&roots));
    }
    let response = response.map_err(|cause| Error::new(Code::TryAgain, format!("cannot reach {target}: {cause}")))?;
    if response.status().is_success() {
        return Ok(());
    }
    Err(Error::new(Code::TryAgain, format!("{target} answered {}", response.status())))
}

fn post(
    url: &Uri,
    headers: &[(HeaderName, HeaderValue)],
    body: &str,
    roots: RootCerts,
) -> std::result::Result<Response<ureq::Body>, ureq::Error> {
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(concat!("moorline/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .build()
        .new_agent();
    let request = headers.iter().fold(agent.post(url), |request, (name, value)| request.header(name, value));
    request.send(body)
}

fn url(settings: &BTreeMap<String, String>) -> Result<Uri> {
    let text = settings.get("Url").map_or("", |url| url.trim());
    // The message does not repeat the URL, because it may contain a token.
    let wrong = || {
        let error = Error::usage("Url is not a valid address");
        InputError::new("Url", error.hint("enter an address like http://host/path or https://host/path"))
    };
    let url: Uri = text.parse().map_err(|_| wrong())?;
    let scheme = url.scheme_str().is_some_and(|scheme| matches!(scheme, "http" | "https"));
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        let error = Error::usage("Url contains a user, which would be stored unencrypted")
            .hint("remove the user from Url, and set AuthorizationHeader to Basic and user:password in base64");
        return Err(InputError::new("Url", error));
    }
    if scheme && url.host().is_some_and(|host| !host.is_empty()) { Ok(url) } else { Err(wrong()) }
}

/// The part of the URL that contains no secret.
fn host_and_port(url: &Uri) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host().unwrap_or_default())
}

/// The configured headers, including `Authorization`.
fn headers(settings: &BTreeMap<String, String>) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let lines =
        settings.get("Headers").map_or("", String::as_str).lines().map(str::trim).filter(|line| !line.is_empty());
    let mut headers = Vec::new();
    for line in lines {
        // The message does not repeat the line, because it may contain a token.
        let wrong = || {
            let error = Error::usage("Headers has an invalid line").hint("write Name: value on each line");
            InputError::new("Headers", error)
        };
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name = HeaderName::from_bytes(name.trim_end().as_bytes()).map_err(|_| wrong())?;
        headers.push((name, HeaderValue::from_str(value.trim()).map_err(|_| wrong())?));
    }
    if let Some(text) = settings.get("AuthorizationHeader").map(|text| text.trim()).filter(|text| !text.is_empty()) {
        let wrong = |_| {
            let error = Error::usage("AuthorizationHeader has characters that are invalid in a header");
            InputError::new("AuthorizationHeader", error)
        };
        let mut value = HeaderValue::from_str(text).map_err(wrong)?;
        value.set_sensitive(true);
        headers.push((ureq::http::header::AUTHORIZATION, value));
    }
    Ok(headers)
}

/// The body of the request and its media type.
fn body(template: &str, event: &Stored) -> (String, &'static str) {
    if template.trim().is_empty() {
        let mut fields = event.fields.clone();
        fields.insert("@m".to_owned(), event.message().into());
        return (Value::Object(fields).to_string(), CLEF);
    }
    let is_json = template.trim_start().starts_with(['{', '[']);
    let media_type = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
    let mut body = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        body.push_str(before);
        match after.split_once('}').filter(|(name, _)| is_name(name)) {
            Some((name, tail)) => {
                let text = value_of(name, event);
                body.push_str(&if is_json { escaped(&text) } else { text });
                rest = tail;
            }
            None => {
                body.push('{');
                rest = after;
            }
        }
    }
    (body + rest, media_type)
}

fn is_name(text: &str) -> bool {
    let name = text.strip_prefix('@').unwrap_or(text);
    !name.is_empty() && name.chars().all(|char| char.is_alphanumeric() || char == '_')
}

fn value_of(name: &str, event: &Stored) -> String {
    let field = match name {
        "@Message" => return event.message(),
        "@Level" => return event.level().to_owned(),
        "@EventType" => return event.kind().to_owned(),
        "@Timestamp" => "@t",
        "@MessageTemplate" => "@mt",
        name => name,
    };
    match event.fields.get(field) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Escapes text for use inside a JSON string.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::notification::event_at;

    #[test]
    fn a_template_is_filled_and_values_are_escaped_if_it_is_json() {
        let mut event = event_at(0);
        event.fields.insert("Error".to_owned(), "a \"b\"\n".into());
        event.fields.insert("Count".to_owned(), 3.into());
        let template = r#"{"text": "{@Level}: {@Message}", "n": {Count}, "x": "{Missing}", "at": "{@Timestamp}"}"#;
        let (filled, media_type) = body(template, &event);
        let filled: Value = serde_json::from_str(&filled).expect("JSON");
        assert_eq!(filled["text"], "Error: Backup failed: a \"b\"\n");
        assert_eq!((filled["n"].as_i64(), filled["x"].as_str()), (Some(3), Some("")));
        assert_eq!(media_type, "application/json");
        assert_eq!(body("{Error}{", &event).0, "{Error}{".replace("{Error}", "a \\\"b\\\"\\n"));
        assert_eq!(body("it: {Error}{ }", &event), ("it: a \"b\"\n{ }".to_owned(), "text/plain; charset=utf-8"));
    }

    #[test]
    fn without_a_template_the_event_is_posted_as_clef_with_its_message() {
        let (body, media_type) = body(" ", &event_at(0));
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(
            (body["@i"].as_str(), body["@m"].as_str()),
            (Some("BackupFailed"), Some("Backup failed: disk full"))
        );
        assert_eq!(media_type, CLEF);
    }
}

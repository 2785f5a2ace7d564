//! A download by https, which continues where a broken connection ended it.

use std::{io::Read, thread};

use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use ureq::{
    BodyReader,
    config::RedirectAuthHeaders,
    http::{Response, StatusCode, Uri, header},
    tls::{Certificate, RootCerts, TlsConfig},
};

use crate::{
    prelude::*,
    trust::{Trust, is_untrusted},
};
use volume::error::reason;

/// A server that sends nothing for this time has gone.
const SILENCE: Duration = Duration::from_mins(1);
/// Attempts to continue without a byte in between.
const ATTEMPTS: u32 = 5;

/// The content of an address. Bytes that were read are never requested again.
pub struct Download {
    address: Uri,
    /// The value of the header `Authorization`, from the user and password in the address.
    authorization: Option<String>,
    name: String,
    agent: ureq::Agent,
    body: BodyReader<'static>,
    /// Identifies the content. Only a strong one proves that the rest belongs to what was read (RFC 9110, 13.1.1).
    tag: Option<String>,
    length: Option<u64>,
    read: u64,
}

impl Download {
    /// Requests the content. Redirects are followed, to https only.
    pub fn begin(text: &str, trust: &Trust) -> Result<Self> {
        let (address, authorization) = parse(text)?;
        let name = name_of(&address);
        let mut agent = agent(RootCerts::WebPki);
        let mut answer = request(&agent, &address, authorization.as_deref(), None);
        if answer.as_ref().is_err_and(is_untrusted) {
            let private = trust.certificates()?;
            if !private.is_empty() {
                let roots: Vec<_> = private.iter().map(|one| Certificate::from_der(one).to_owned()).collect();
                agent = self::agent(RootCerts::new_with_certs(&roots));
                answer = request(&agent, &address, authorization.as_deref(), None);
            }
        }
        let answer = answer.map_err(|cause| unreachable(&name, &cause))?;
        if answer.status() != StatusCode::OK {
            return Err(refused(&name, answer.status()));
        }
        let (tag, length) = (strong_tag(&answer), answer.body().content_length());
        let body = answer.into_body().into_reader();
        Ok(Self { address, authorization, name, agent, body, tag, length, read: 0 })
    }

    /// The address without user, password and query.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of the content, if the server says so.
    pub const fn length(&self) -> Option<u64> {
        self.length
    }

    /// Continues after a broken connection. `broken` is what happened to it.
    fn resume(&mut self, broken: &str) -> Result<()> {
        let (name, read) = (&self.name, self.read);
        let Some(tag) = &self.tag else {
            let what = format!("the download of {name} broke off after {read} bytes: {broken}");
            return Err(Error::new(Code::TryAgain, what).hint(
                "the server gives no ETag, so the download cannot be continued; try again, or download it by other means",
            ));
        };
        let mut last = broken.to_owned();
        for attempt in 1..=ATTEMPTS {
            thread::sleep(Duration::from_secs(u64::from(attempt)));
            let range = (read, tag.as_str());
            match request(&self.agent, &self.address, self.authorization.as_deref(), Some(range)) {
                Ok(answer) if answer.status() == StatusCode::PARTIAL_CONTENT && begins_at(&answer, read) => {
                    log::info!("the download of {name} continues at byte {read}, after: {last}");
                    self.body = answer.into_body().into_reader();
                    return Ok(());
                }
                Ok(answer) if answer.status() == StatusCode::PRECONDITION_FAILED => {
                    let what = format!("{name} was replaced on the server while it was downloaded");
                    return Err(Error::new(Code::TryAgain, what).hint("try again"));
                }
                Ok(answer) if answer.status().is_server_error() => last = answer.status().to_string(),
                Ok(answer) => {
                    let status = answer.status();
                    let what = format!("the download of {name} broke off after {read} bytes: {broken}");
                    return Err(Error::new(Code::TryAgain, what)
                        .hint(format!("the server answered {status} to a request for the rest; try again")));
                }
                Err(cause) => last = why(&cause),
            }
        }
        Err(Error::new(Code::TryAgain, format!("the download of {name} broke off after {read} bytes: {last}"))
            .hint("check the network and the server, and try again"))
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let broken = match self.body.read(buffer) {
                Ok(0) if !buffer.is_empty() && self.length.is_some_and(|length| self.read < length) => {
                    "the connection was closed".to_owned()
                }
                Ok(count) => {
                    self.read += count as u64;
                    return Ok(count);
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => return Err(cause),
                Err(cause) => reason(&cause),
            };
            self.resume(&broken)?;
        }
    }
}

/// The address without its user and password, and these as a header (RFC 7617).
fn parse(text: &str) -> Result<(Uri, Option<String>)> {
    // The messages do not repeat the address, because it may contain a password or a token.
    let wrong = |what: &str| {
        Error::usage(format!("the address in --backup {what}")).hint("use https://HOST/PATH, - for stdin, or a path")
    };
    let address: Uri = text.parse().map_err(|_| wrong("is not valid"))?;
    let authority = address.authority().map_or("", |authority| authority.as_str()).to_owned();
    if address.scheme_str() != Some("https") {
        return Err(wrong("does not begin with https://"));
    }
    let Some((user, host)) = authority.rsplit_once('@') else { return Ok((address, None)) };
    let mut parts = address.into_parts();
    parts.authority = Some(host.parse().map_err(|_| wrong("has no valid host"))?);
    let address = Uri::from_parts(parts).map_err(|_| wrong("is not valid"))?;
    Ok((address, Some(format!("Basic {}", STANDARD.encode(percent_decode_str(user).collect::<Vec<u8>>())))))
}

fn name_of(address: &Uri) -> String {
    format!("https://{}{}", address.authority().map_or("", |authority| authority.as_str()), address.path())
}

fn agent(roots: RootCerts) -> ureq::Agent {
    ureq::Agent::config_builder()
        .https_only(true)
        .http_status_as_error(false)
        .timeout_connect(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .timeout_per_write(Some(SILENCE))
        .redirect_auth_headers(RedirectAuthHeaders::SameHost)
        .accept_encoding("identity")
        .user_agent(concat!("moorline/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .build()
        .new_agent()
}

/// Requests everything, or the rest after some bytes, if the content still has this tag.
fn request(
    agent: &ureq::Agent,
    address: &Uri,
    authorization: Option<&str>,
    rest: Option<(u64, &str)>,
) -> std::result::Result<Response<ureq::Body>, ureq::Error> {
    let mut request = agent.get(address);
    if let Some(value) = authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    if let Some((read, tag)) = rest {
        request = request.header(header::RANGE, format!("bytes={read}-")).header(header::IF_MATCH, tag);
    }
    request.call()
}

fn strong_tag(answer: &Response<ureq::Body>) -> Option<String> {
    let tag = answer.headers().get(header::ETAG)?.to_str().ok()?;
    (!tag.starts_with("W/")).then(|| tag.to_owned())
}

fn begins_at(answer: &Response<ureq::Body>, read: u64) -> bool {
    let range = answer.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {read}-")))
}

fn unreachable(name: &str, cause: &ureq::Error) -> Error {
    let what = format!("cannot download {name}: {}", why(cause));
    match cause {
        cause if is_untrusted(cause) => Error::new(Code::Unexpected, what)
            .hint("if a CA of your own signed the server's certificate, name its file in SSL_CERT_FILE"),
        ureq::Error::RequireHttpsOnly(_)
        | ureq::Error::BadUri(_)
        | ureq::Error::TooManyRedirects
        | ureq::Error::RedirectFailed => {
            Error::new(Code::Unexpected, what).hint("name the address to which the server redirects")
        }
        _ => Error::new(Code::TryAgain, what).hint("check the address, the network and the server, and try again"),
    }
}

/// The cause without the address of a redirect, which may be signed.
fn why(cause: &ureq::Error) -> String {
    match cause {
        ureq::Error::Io(cause) => reason(cause),
        ureq::Error::RequireHttpsOnly(_) => {
            "the server redirects to an address that does not begin with https://".to_owned()
        }
        ureq::Error::BadUri(_) => "the server redirects to an invalid address".to_owned(),
        other => other.to_string(),
    }
}

fn refused(name: &str, status: StatusCode) -> Error {
    let what = format!("cannot download {name}: the server answered {status}");
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Error::new(Code::NotFound, what).hint("check the address"),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::new(Code::Unexpected, what)
            .hint("check the user and password in the address, or whether its signature has expired"),
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Error::new(Code::TryAgain, what).hint("try again later")
        }
        _ => Error::new(Code::Unexpected, what).hint("check the address"),
    }
}

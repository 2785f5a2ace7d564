//! Health checks: how to check that a server is healthy. PID 1 (`moorline::entrypoint`) executes them.

use std::{fmt, time::Duration};

use super::duration::parse_duration;
use volume::error::{Error, Result};

/// A health check. The server is healthy if the condition of the variant holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// A GET is answered with 2xx or 3xx.
    Http {
        /// Host and port for the `Host` header, as written.
        authority: String,
        /// Host and port to connect to.
        address: (String, u16),
        /// Path and query.
        path: String,
    },
    /// Host and port accept a connection.
    Tcp(String, u16),
    /// The server has been up for this long.
    Alive(Duration),
}

impl Default for Health {
    fn default() -> Self {
        Self::Alive(Duration::from_secs(10))
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { authority, path, .. } => write!(f, "http://{authority}{path}"),
            Self::Tcp(host, port) if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "tcp:{host}:{port}"),
            Self::Alive(time) => write!(f, "alive:{}s", time.as_secs_f64()),
        }
    }
}

impl Health {
    /// Parses `http://HOST[:PORT][/PATH]`, `tcp:HOST:PORT` or `alive:DURATION`.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| Error::usage(format!("{text:?} is not a health check: {why}"));
        if let Some(time) = text.strip_prefix("alive:") {
            return Ok(Self::Alive(parse_duration(time)?.unsigned_abs()));
        }
        if let Some(address) = text.strip_prefix("tcp:") {
            let address = address.strip_prefix("//").unwrap_or(address);
            let (host, port) = split_port(address).ok_or_else(|| wrong("write tcp:HOST:PORT"))?;
            return Ok(Self::Tcp(host, port.ok_or_else(|| wrong("the port is missing"))?));
        }
        if text.starts_with("https:") {
            return Err(wrong("TLS is not supported")
                .hint("use a plain http:// address inside the container, or tcp:HOST:PORT"));
        }
        let rest =
            text.strip_prefix("http://").ok_or_else(|| wrong("write http://…, tcp:HOST:PORT or alive:DURATION"))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(wrong("logging in is not supported; remove the user and password before the @"));
        }
        let path = path.split('#').next().unwrap_or_default();
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("the path contains characters that a URL must escape"));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        let (host, port) =
            split_port(authority).ok_or_else(|| wrong("the host is missing, or the port is not 1 to 65535"))?;
        let path = format!("{slash}{path}");
        Ok(Self::Http { authority: authority.to_owned(), address: (host, port.unwrap_or(80)), path })
    }
}

/// `HOST`, `HOST:PORT`, `[ADDRESS]:PORT`.
fn split_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let plain = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|port| *port > 0)?),
        None => None,
    };
    plain.then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_shown_as_it_was_written() {
        for text in
            ["http://localhost/", "http://[::1]:8080/health?x=1", "http://h:1/", "tcp:db:5432", "tcp:[::1]:5432"]
        {
            assert_eq!(Health::parse(text).expect(text).to_string(), text);
        }
        assert_eq!(Health::parse("http://h?x").expect("parses").to_string(), "http://h/?x");
        assert_eq!(Health::parse("http://h/a#b").expect("parses").to_string(), "http://h/a");
        assert_eq!(Health::parse("alive:10").expect("parses"), Health::default());
        assert_eq!(Health::default().to_string(), "alive:10s");
    }

    #[test]
    fn an_invalid_check_is_refused() {
        for text in [
            "",
            "localhost:80",
            "https://h/",
            "http://",
            "http:///x",
            "http://u:p@h/",
            "http://h:0/",
            "http://h:99999/",
            "http://h/a b",
            "http://h/\r\nX: y",
            "http://a\r\nb/",
            "http://[::1/",
            "tcp:h",
            "tcp::80",
            "alive:",
            "alive:x",
        ] {
            assert!(Health::parse(text).is_err(), "{text:?}");
        }
    }
}

//! Protection against CSRF and against DNS rebinding.

use std::net::IpAddr;

use axum::http::{HeaderMap, StatusCode, header};

use crate::{Failure, failure::HttpResult};

/// Refuses clients on other hosts, and a `Host` that is not localhost. The latter prevents DNS rebinding: a page of
/// another site, whose name resolves to 127.0.0.1, could otherwise read the responses. Listening on 127.0.0.1 is not
/// enough, because a restore may bring a metastore with authentication off while the console listens on all addresses.
pub(super) fn require_this_host(headers: &HeaderMap, peer: IpAddr) -> HttpResult<()> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if peer.is_loopback() && is_this_host(host) {
        return Ok(());
    }
    Err(Failure::new(StatusCode::FORBIDDEN, "this console has no password, so it answers requests to localhost only")
        .hint("set MOORLINE_FIRSTRUN_ADMINPASSWORD and restart the console"))
}

fn is_this_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Refuses a request that a page of another site sent, by `Sec-Fetch-Site` or `Origin`.
pub(super) fn require(headers: &HeaderMap) -> HttpResult<()> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_ours = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_some() && host == text("host")
        }
        // Every browser sends one of them with an unsafe method, so this is not a browser.
        (None, None) => true,
    };
    if is_ours {
        return Ok(());
    }
    Err(Failure::new(StatusCode::FORBIDDEN, "this form was sent from another address than this console's")
        .hint("reload the page and try again; a proxy has to pass on the Host header"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn without_a_login_other_hosts_are_refused_whatever_their_host_header_is() {
        let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("localhost:8341"))]);
        for (peer, is_let_in) in [("127.0.0.1", true), ("::1", true), ("10.0.0.7", false), ("fe80::1", false)] {
            let peer = peer.parse().expect("an address");
            assert_eq!(require_this_host(&headers, peer).is_ok(), is_let_in, "{peer}");
            assert!(require_this_host(&HeaderMap::new(), peer).is_err());
        }
    }

    #[test]
    fn only_localhost_names_and_addresses_are_this_host() {
        for host in ["localhost", "LOCALHOST:8341", "a.localhost", "127.0.0.1:80", "127.9.9.9", "[::1]:8341", "[::1]"] {
            assert!(is_this_host(host), "{host}");
        }
        for host in ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8341", "10.0.0.1", "[::2]"] {
            assert!(!is_this_host(host), "{host}");
        }
    }

    #[test]
    fn a_page_of_another_site_is_recognized_by_the_browsers_headers() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
        };
        for ours in [
            &[][..],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            &[("origin", "http://localhost:8341"), ("host", "localhost:8341")],
        ] {
            assert!(require(&headers(ours)).is_ok(), "{ours:?}");
        }
        for theirs in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "http://evil.example"), ("host", "localhost:8341")],
            &[("origin", "http://localhost:9000"), ("host", "localhost:8341")],
            &[("origin", "null"), ("host", "localhost:8341")],
        ] {
            assert!(require(&headers(theirs)).is_err(), "{theirs:?}");
        }
    }
}

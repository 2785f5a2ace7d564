//! What a browser says about the page that a form is on, at an address that is not localhost: over plain HTTP it sends no
//! `Sec-Fetch-Site` there, and what `Origin` says depends on the page's `Referrer-Policy`.

use super::client::{Console, PASSWORD, Response, serve};
use crate::support::TestVolume;

/// An address on a network, as in the browser's address bar.
const ADDRESS: &str = "192.0.2.7:8341";

/// The console as a browser at [`ADDRESS`] sees it.
struct Browser<'a>(&'a Console);

impl Browser<'_> {
    fn get(&self, path: &str) -> Response {
        self.0.ask("GET", path).header("Host", ADDRESS).header("Accept", "text/html").send()
    }

    /// Sends a form of this page, with the `Origin` that the Fetch standard prescribes for its policy.
    fn send(&self, page: &Response, path: &str, cookie: &str, form: &str) -> Response {
        let origin = match page.header("referrer-policy") {
            Some("no-referrer") => "null".to_owned(),
            _ => format!("http://{ADDRESS}"),
        };
        self.send_from(&origin, path, cookie, form)
    }

    fn send_from(&self, origin: &str, path: &str, cookie: &str, form: &str) -> Response {
        let post = self.0.ask("POST", path).header("Host", ADDRESS).header("Origin", origin);
        let post = post.header("Content-Type", "application/x-www-form-urlencoded").header("Cookie", cookie);
        post.header("Accept", "text/html").body(form).send()
    }
}

#[test]
fn a_browser_on_another_host_logs_in_and_works() {
    let volume = TestVolume::new();
    let (console, _) = Console::with_administrator(&volume);
    let browser = Browser(&console);
    let page = browser.get("/login");
    let form = format!("Username=admin&Password={}", PASSWORD.replace(' ', "+"));
    let answer = browser.send(&page, "/login", "", &form);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{answer}");
    let cookie = answer.header("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a session").to_owned();
    let page = console.ask("GET", "/users").header("Host", ADDRESS).header("Cookie", &cookie).send();
    let answer = browser.send(&page, "/logout", &cookie, "");
    assert_eq!((answer.status, answer.header("location")), (303, Some("/login")), "{answer}");
}

#[test]
fn buttons_work_from_another_host_if_no_login_is_required() {
    let volume = TestVolume::new();
    let console = Console::of(serve(&volume).env("MOORLINE_FIRSTRUN_NOAUTHENTICATION", "true"));
    let browser = Browser(&console);
    let page = browser.get("/secret-key");
    let answer = browser.send(&page, "/secret-key/saved", "", "");
    assert_eq!(answer.status, 303, "{answer}");
}

#[test]
fn a_form_from_another_address_is_refused_with_what_to_do() {
    let volume = TestVolume::new();
    let (console, _) = Console::with_administrator(&volume);
    let form = format!("Username=admin&Password={}", PASSWORD.replace(' ', "+"));
    for origin in ["null", "http://192.0.2.7:9000", "http://evil.example"] {
        let answer = Browser(&console).send_from(origin, "/login", "", &form);
        let page = answer.text();
        assert_eq!(answer.status, 403, "{origin}: {answer}");
        // The page shows the apostrophe as it is or escaped.
        assert!(page.contains("This form was sent from another address than this console"), "{page}");
        assert!(page.contains("Reload the page and try again; a proxy has to pass on the Host header"), "{page}");
        assert_eq!(answer.header("set-cookie"), None);
    }
}

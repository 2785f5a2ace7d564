//! A console that runs, and a small HTTP client of it: every byte of a request is the test's own.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{End, Running, Start, TestVolume};

/// The administrator's password in these tests.
pub const PASSWORD: &str = "a good password";

/// A console that runs.
pub struct Console {
    pub running: Running,
    pub address: SocketAddr,
}

/// A console of a volume, about to be started, that listens on a port of its own.
pub fn serve(volume: &TestVolume) -> Start<'_> {
    volume.moorline(["serve"]).not_pid_1().env("MOORLINE_LISTEN", "127.0.0.1:0")
}

impl Console {
    /// Waits until it listens.
    pub fn of(start: Start<'_>) -> Self {
        let mut running = start.start();
        running.until_log_has("the console listens on http");
        let log = running.log();
        let at = log.split("the console listens on http").nth(1).and_then(|rest| rest.split("://").nth(1));
        let address = at.and_then(|rest| rest.split('/').next()).and_then(|text| text.parse().ok());
        Self { running, address: address.unwrap_or_else(|| panic!("no address in {log}")) }
    }

    /// With an administrator who has logged in.
    pub fn with_administrator(volume: &TestVolume) -> (Self, Session) {
        let console = Self::of(serve(volume).env("MOORLINE_FIRSTRUN_ADMINPASSWORD", "the first one"));
        let login = json!({"Username": "admin", "Password": "the first one", "NewPassword": PASSWORD});
        let session = console.post("/api/users/login", &login).session();
        (console, session)
    }

    /// A request.
    pub fn ask(&self, method: &str, path: &str) -> Request {
        Request::to(SocketAddr::from(([127, 0, 0, 1], self.address.port())), method, path)
    }

    pub fn get(&self, path: &str) -> Response {
        self.ask("GET", path).send()
    }

    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.ask("POST", path).json(body).send()
    }

    pub fn log_in(&self, username: &str, password: &str) -> Response {
        self.post("/api/users/login", &json!({"Username": username, "Password": password}))
    }

    /// A user with these roles, who has logged in.
    pub fn user(&self, by: &Session, username: &str, role: &str) -> Session {
        let user = json!({"Username": username, "NewPassword": PASSWORD, "RoleIds": [role]});
        self.ask("POST", "/api/users").by(by).json(&user).send().is(201);
        self.log_in(username, PASSWORD).session()
    }

    /// An immediate backup that is kept. The daily one may be being made.
    pub fn back_up(&self, by: &Session) -> Value {
        let limit = Instant::now() + Duration::from_secs(60);
        loop {
            let made = self.ask("POST", "/api/backups/immediate?store=true").by(by).json(&json!({})).send();
            if made.status != 503 || Instant::now() > limit {
                return made.is(201).value();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Stops it as a container is stopped.
    pub fn stop(mut self) -> End {
        self.running.signal(Signal::SIGTERM);
        self.running.wait()
    }
}

/// Somebody who has logged in.
#[derive(Clone, Debug)]
pub struct Session {
    pub cookie: String,
    pub csrf: String,
    pub user: String,
}

/// A request that is put together.
pub struct Request {
    address: SocketAddr,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub fn to(address: SocketAddr, method: &str, path: &str) -> Self {
        Self { address, method: method.to_owned(), path: path.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// With the session's cookie and its CSRF token.
    pub fn by(self, session: &Session) -> Self {
        self.header("Cookie", &session.cookie).header("X-Seq-CsrfToken", &session.csrf)
    }

    pub fn key(self, token: &str) -> Self {
        self.header("X-Seq-ApiKey", token)
    }

    pub fn send(self) -> Response {
        let length = self.body.len();
        self.send_of(length)
    }

    /// With a body of which the rest never comes.
    pub fn cut_off(self) -> Response {
        self.send_of(1 << 30)
    }

    fn send_of(self, length: usize) -> Response {
        let mut text = format!("{} {} HTTP/1.1\r\nConnection: close\r\n", self.method, self.path);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text.push_str(&format!("Host: {}\r\n", self.address));
        }
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {length}\r\n\r\n"));
        let mut stream = TcpStream::connect(self.address).expect("connects");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("sets");
        stream.write_all(text.as_bytes()).expect("sends");
        // It may answer before it has read all of it.
        drop(stream.write_all(&self.body));
        let mut bytes = Vec::new();
        drop(stream.read_to_end(&mut bytes));
        Response::parse(&bytes).unwrap_or_else(|| panic!("{} {}: {bytes:?}", self.method, self.path))
    }
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let body = &bytes[end + 4..];
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        Some(Self { status, head, body: if chunked { unchunk(body)? } else { body.to_vec() } })
    }

    /// It must have this status.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        if status >= 400 {
            let error = self.value()["Error"].as_str().map(str::len);
            assert!(error > Some(5), "an error says what is wrong: {self}");
        }
        self
    }

    /// It must be an error with this in its words.
    #[track_caller]
    pub fn says(self, status: u16, words: &str) -> Self {
        assert!(self.text().contains(words), "{words:?} is not in {self}");
        self.is(status)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|cause| panic!("{cause}: {self}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Who has logged in with it.
    #[track_caller]
    pub fn session(self) -> Session {
        let answer = self.is(200);
        let cookie = answer.header("set-cookie").expect("a cookie");
        let user = answer.value();
        let text = |name: &str| user[name].as_str().expect("is there").to_owned();
        Session {
            cookie: cookie.split(';').next().expect("a pair").to_owned(),
            csrf: text("CsrfToken"),
            user: text("Id"),
        }
    }
}

impl std::fmt::Display for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n\n{}", self.head, String::from_utf8_lossy(&self.body[..self.body.len().min(2000)]))
    }
}

/// `None` where it ends before its last chunk.
fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?.trim(), 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

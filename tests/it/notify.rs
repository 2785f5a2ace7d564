//! Events are sent to apps: by a real console, to a real listener.

mod private_ca;

use engine::sealed::Seal;
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use console::insert_backup_trouble;
use engine::metastore::{self, MetastoreLock};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rusqlite::{Connection, params};
use seqbac_header::SecretKey;
use serde_json::{Value, json};
use volume::Volume;

use crate::fixture::Data;

/// After this long something hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// A console at work on a volume; stopped with it.
pub struct Console {
    pub child: Child,
    pub address: SocketAddr,
}

impl Console {
    pub fn start(data: &Data) -> Self {
        Self::start_with(data, &[])
    }

    fn start_with(data: &Data, variables: &[(&str, &Path)]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let mut command = data.command(&["serve"]);
        command.envs(variables.iter().copied());
        let child = command.env("MOORLINE_LISTEN", address.to_string()).stdout(Stdio::null()).spawn().expect("starts");
        Self { child, address }
    }

    pub fn stop(mut self) {
        kill(Pid::from_raw(self.child.id().try_into().expect("a pid")), Signal::SIGTERM).expect("is there");
        assert!(self.child.wait().expect("ends").success());
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until it is so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LIMIT, "it never came that {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A volume with a key and a metastore.
struct Site {
    data: Data,
    volume: Volume,
    key: SecretKey,
}

impl Site {
    fn new() -> Self {
        let data = Data::with_state();
        let key = SecretKey::parse(&data.key(), "show-key").expect("a key");
        let volume = Volume::open(data.root()).expect("a volume");
        Self { data, volume, key }
    }

    fn metastore<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> T {
        let lock = MetastoreLock::shared(&self.volume).expect("locked");
        let connection = metastore::open(&self.volume, &lock).expect("opens");
        work(&connection).expect("done")
    }

    fn signal(&self, id: &str, filter: &str) {
        let filters = json!([{"Filter": filter}]).to_string();
        let insert = "INSERT INTO signals (id, title, filters) VALUES (?1, ?1, ?2)";
        self.metastore(|connection| connection.execute(insert, params![id, filters]));
    }

    fn app(&self, id: &str, app: &str, signal: &str, settings: &Value) {
        let expression = json!({"Kind": "Signal", "SignalId": signal}).to_string();
        let insert = "INSERT INTO appinstances (id, app_id, title, settings, streamed_signal_expression) VALUES (?1, ?2, ?1, ?3, ?4)";
        self.metastore(|connection| connection.execute(insert, params![id, app, settings.to_string(), expression]));
    }

    fn secret(&self, id: &str, setting: &str, text: &str) {
        let name = format!("appinstances/{id}/{setting}");
        let sealed = self.key.seal(&name, text).expect("sealed");
        self.metastore(|connection| connection.execute("INSERT INTO secrets VALUES (?1, ?2)", params![name, sealed]));
    }

    fn switch(&self, id: &str, off: bool) {
        let update = "UPDATE appinstances SET is_disabled = ?2 WHERE id = ?1";
        self.metastore(|connection| connection.execute(update, params![id, off]));
    }

    fn positions(&self) -> Value {
        let text = fs::read(self.data.path(".moorline/events/positions.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn events(&self, kind: &str) -> Vec<Value> {
        let folder = self.data.path(".moorline/events");
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let text = fs::read_to_string(entry.expect("an entry").path()).unwrap_or_default();
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            found.extend(lines.filter(|event| event["@i"] == kind));
        }
        found
    }
}

/// What a listener was sent.
#[derive(Debug)]
struct Sent {
    head: String,
    body: Value,
}

impl Sent {
    fn file(&self) -> &str {
        self.body["FileName"].as_str().unwrap_or_default()
    }
}

/// Answers every request, with these statuses first and 200 afterwards.
fn listen(statuses: &'static [u16]) -> (String, Receiver<Sent>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook?x=1", listener.local_addr().expect("an address"));
    let (sender, sent) = channel();
    thread::spawn(move || {
        let mut statuses = statuses.iter();
        for stream in listener.incoming() {
            let status = statuses.next().copied().unwrap_or(200);
            if answer(stream.expect("a connection"), status, &sender).is_none() {
                return;
            }
        }
    });
    (url, sent)
}

fn answer(stream: TcpStream, status: u16, sender: &Sender<Sent>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).expect("readable") == 0 {
            return Some(());
        }
    }
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).expect("a body");
    let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    reader.get_mut().write_all(answer.as_bytes()).expect("written");
    let body = serde_json::from_slice(&body).unwrap_or_default();
    sender.send(Sent { head, body }).ok()
}

fn name_of(path: &std::path::Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

#[test]
fn an_event_is_posted_once_and_a_restart_neither_loses_nor_repeats_one() {
    let site = Site::new();
    let (url, sent) = listen(&[]);
    let (off, never) = listen(&[]);
    site.signal("signal-complete", "@EventType = 'BackupComplete'");
    site.app("appinstance-on", "app-http", "signal-complete", &json!({"Url": url}));
    site.secret("appinstance-on", "Headers", "X-Moor: 7");
    site.secret("appinstance-on", "AuthorizationHeader", "Bearer secret");
    site.app("appinstance-off", "app-http", "signal-complete", &json!({"Url": off}));
    site.switch("appinstance-off", true);
    let console = Console::start(&site.data);
    let scheduled = sent.recv_timeout(LIMIT).expect("the scheduled backup, caught up");
    assert!(scheduled.head.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{scheduled:?}");
    for header in ["authorization: Bearer secret", "x-moor: 7", "content-type: application/vnd.serilog.clef"] {
        assert!(scheduled.head.lines().any(|line| line.eq_ignore_ascii_case(header)), "{header}: {scheduled:?}");
    }
    assert_eq!(scheduled.body["@i"], "BackupComplete");
    assert_eq!(scheduled.body["@m"].as_str().map(|text| text.starts_with("Backup complete: ")), Some(true));
    let first = site.data.backup();
    assert_eq!(sent.recv_timeout(LIMIT).expect("an event").file(), name_of(&first));
    console.stop();
    let meanwhile = site.data.backup();
    let console = Console::start(&site.data);
    assert_eq!(sent.recv_timeout(LIMIT).expect("an event").file(), name_of(&meanwhile));
    let last = site.data.backup();
    assert_eq!(sent.recv_timeout(LIMIT).expect("an event").file(), name_of(&last));
    console.stop();
    assert!(sent.try_recv().is_err(), "nothing twice");
    assert!(never.try_recv().is_err(), "nothing to an app that is off");
}

#[test]
fn events_in_a_folder_that_was_put_in_the_place_of_the_first_are_sent() {
    let site = Site::new();
    let (url, sent) = listen(&[]);
    site.signal("signal-complete", "@EventType = 'BackupComplete'");
    site.app("appinstance-1", "app-http", "signal-complete", &json!({"Url": url}));
    let console = Console::start(&site.data);
    sent.recv_timeout(LIMIT).expect("the scheduled backup");
    let folder = site.data.root().join(".moorline/events");
    std::fs::rename(&folder, site.data.root().join(".moorline/events-before")).expect("renamed");
    let after = site.data.backup();
    assert_eq!(sent.recv_timeout(LIMIT).expect("an event").file(), name_of(&after));
    console.stop();
}

#[test]
fn what_happens_while_an_app_is_off_is_not_sent_later() {
    let site = Site::new();
    let (url, sent) = listen(&[]);
    site.signal("signal-complete", "@EventType = 'BackupComplete'");
    site.app("appinstance-1", "app-http", "signal-complete", &json!({"Url": url}));
    let console = Console::start(&site.data);
    sent.recv_timeout(LIMIT).expect("the scheduled backup");
    site.switch("appinstance-1", true);
    site.data.backup();
    until("the app has no position", || site.positions() == json!({}));
    site.switch("appinstance-1", false);
    let after = site.data.backup();
    assert_eq!(sent.recv_timeout(LIMIT).expect("an event").file(), name_of(&after));
    console.stop();
    assert!(sent.try_recv().is_err());
}

#[test]
fn a_listener_in_trouble_is_tried_again() {
    let site = Site::new();
    let (url, sent) = listen(&[503]);
    site.signal("signal-complete", "@EventType = 'BackupComplete'");
    site.app("appinstance-1", "app-http", "signal-complete", &json!({"Url": url}));
    let console = Console::start(&site.data);
    let first = sent.recv_timeout(LIMIT).expect("an event");
    let again = sent.recv_timeout(LIMIT).expect("the same again");
    assert_eq!(first.file(), again.file());
    console.stop();
    assert!(site.events("AppFailed").is_empty());
}

#[test]
fn an_app_that_cannot_send_is_told_of_to_others_and_never_to_itself() {
    let site = Site::new();
    let (url, sent) = listen(&[]);
    site.metastore(insert_backup_trouble);
    site.signal("signal-errors", "@Level = 'Error' or @EventType = 'BackupComplete'");
    site.app("appinstance-bad", "app-http", "signal-errors", &json!({"Url": "http://moor:hunter2@127.0.0.1:9/"}));
    site.signal("signal-failed", "@EventType = 'AppFailed'");
    site.app(
        "appinstance-good",
        "app-http",
        "signal-failed",
        &json!({"Url": url, "BodyTemplate": "[\"{Error}\", \"{EventType}\"]"}),
    );
    let console = Console::start(&site.data);
    let told = sent.recv_timeout(LIMIT).expect("the failure");
    assert_eq!(told.body[1], "BackupComplete");
    assert!(told.body[0].as_str().is_some_and(|text| text.contains("Url") && !text.contains("hunter2")), "{told:?}");
    // A second one shows that the first made none about itself.
    site.data.backup();
    sent.recv_timeout(LIMIT).expect("another failure");
    console.stop();
    let failed = site.events("AppFailed");
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(failed.iter().all(|event| event["AppInstanceId"] == "appinstance-bad"));
}

/// Takes connections, and never answers. How many there were at a time, the most.
fn dead() -> (String, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let (now, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let counts = (Arc::clone(&now), Arc::clone(&most));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (now, most) = (Arc::clone(&counts.0), Arc::clone(&counts.1));
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::spawn(move || {
                let _ = stream.expect("a connection").read_to_end(&mut Vec::new());
                now.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (url, now, most)
}

#[test]
fn listeners_that_are_dead_leave_the_console_alive() {
    let site = Site::new();
    let (url, now, most) = dead();
    site.signal("signal-complete", "@EventType = 'BackupComplete'");
    for number in 0..12 {
        let id = format!("appinstance-{number}");
        site.app(&id, "app-http", "signal-complete", &json!({"Url": url}));
    }
    let console = Console::start(&site.data);
    until("some are sent to", || now.load(Ordering::SeqCst) >= 2);
    for _ in 0..3 {
        let mut stream = TcpStream::connect(console.address).expect("listens");
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("read");
        assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    }
    assert!(most.load(Ordering::SeqCst) <= 3, "{most:?} wait at a time");
    console.stop();
}

/// A mail server that takes one mail on each connection.
fn mail_server() -> (u16, Receiver<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (sender, mails) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            if sender.send(take_mail(stream.expect("a connection"))).is_err() {
                return;
            }
        }
    });
    (port, mails)
}

fn take_mail(stream: TcpStream) -> Vec<String> {
    let mut reader = BufReader::new(stream);
    let mut heard = Vec::new();
    let say = |reader: &mut BufReader<TcpStream>, text: &str| {
        let _ = reader.get_mut().write_all(format!("{text}\r\n").as_bytes());
    };
    say(&mut reader, "220 test");
    let mut in_mail = false;
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|count| count > 0) {
        let text = line.trim_end().to_owned();
        line.clear();
        let answer = match text.split(' ').next().unwrap_or_default().to_ascii_uppercase().as_str() {
            "." if in_mail => Some("250 taken"),
            _ if in_mail => None,
            "EHLO" => Some("250-test\r\n250-AUTH PLAIN\r\n250 8BITMIME"),
            "AUTH" => Some("235 welcome"),
            "DATA" => Some("354 go on"),
            "QUIT" => Some("221 bye"),
            _ => Some("250 fine"),
        };
        in_mail = (in_mail || text == "DATA") && text != ".";
        heard.push(text);
        if let Some(answer) = answer {
            say(&mut reader, answer);
        }
    }
    heard
}

#[test]
fn an_event_is_mailed() {
    let site = Site::new();
    let (port, mails) = mail_server();
    site.signal("signal-complete", "@EventType = 'BackupComplete'");
    let settings = json!({"Host": "127.0.0.1", "Port": port.to_string(), "Security": "none", "From": "Moor <moor@example.org>",
        "To": "a@example.org, b@example.org", "Username": "moor"});
    site.app("appinstance-mail", "app-smtp", "signal-complete", &settings);
    site.secret("appinstance-mail", "Password", "hunter2");
    let console = Console::start(&site.data);
    let heard = mails.recv_timeout(LIMIT).expect("a mail");
    let has = |start: &str| heard.iter().any(|line| line.starts_with(start));
    // PLAIN is user and password, each after a NUL, in base64.
    assert!(has("AUTH PLAIN AG1vb3IAaHVudGVyMg=="), "{heard:#?}");
    assert!(has("MAIL FROM:<moor@example.org>") && has("RCPT TO:<a@example.org>") && has("RCPT TO:<b@example.org>"));
    assert!(has("Subject: ") && heard.iter().any(|line| line.contains("Backup complete: ")), "{heard:#?}");
    console.stop();
}

//! Servers whose certificate a private CA has signed: a real HTTPS server and real SMTP servers, in Python.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

use serde_json::{Value, json};

use super::{Console, LIMIT, Site};
use crate::{private_ca::Ca, serve::client, support::TestVolume};

/// Prints its port, then a line for each client: the first line of a request, the sender of a mail, or `refused`.
const SERVER: &str = r#"
import socket, ssl, sys
mode, chain, key = sys.argv[1:]
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(chain, key)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)

def line(client):
    text = b""
    while not text.endswith(b"\n"):
        byte = client.recv(1)
        if not byte:
            raise OSError("closed")
        text += byte
    return text.decode().strip()

def serve(client):
    if mode != "starttls":
        client = tls.wrap_socket(client, server_side=True)
    if mode == "https":
        first, length = line(client), 0
        while header := line(client):
            if header.lower().startswith("content-length:"):
                length = int(header.split(":")[1])
        while length:
            length -= len(client.recv(length))
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return first
    client.sendall(b"220 test\r\n")
    sender, data = None, False
    while True:
        text = line(client)
        word = text.split(" ")[0].upper()
        answer = b"250 fine\r\n"
        if data and text != ".":
            continue
        if data:
            data = False
        elif word == "EHLO":
            answer = b"250-test\r\n250 STARTTLS\r\n" if mode == "starttls" else b"250 test\r\n"
        elif word == "STARTTLS":
            client.sendall(b"220 go\r\n")
            client = tls.wrap_socket(client, server_side=True)
            continue
        elif word == "MAIL":
            sender = text
        elif word == "DATA":
            data, answer = True, b"354 go\r\n"
        elif word == "QUIT":
            client.sendall(b"221 bye\r\n")
            return sender
        client.sendall(answer)

while True:
    client, _ = listener.accept()
    try:
        print(serve(client), flush=True)
    except OSError:
        print("refused", flush=True)
"#;

struct Server {
    child: Child,
    port: String,
    lines: Receiver<String>,
}

impl Server {
    fn start(ca: &Ca, mode: &str) -> Self {
        let mut python = Command::new("python3");
        python.args(["-c", SERVER, mode]).args([&ca.chain, &ca.key]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = python.spawn().expect("python3 starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let port = lines.next().expect("a line").expect("text");
        let (sender, receiver) = channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, port, lines: receiver }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(LIMIT).expect("a client came")
    }

    /// The kind of notification and its settings.
    fn notification(&self, mode: &str) -> (&'static str, Value) {
        let security = if mode == "tls" { "tls" } else { "starttls" };
        match mode {
            "https" => ("app-http", json!({"Url": format!("https://127.0.0.1:{}/told", self.port)})),
            _ => (
                "app-smtp",
                json!({"Host": "127.0.0.1", "Port": self.port, "Security": security,
                                     "From": "moor@example.org", "To": "a@example.org"}),
            ),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_private_ca_is_trusted_if_ssl_cert_file_or_ssl_cert_dir_names_it_and_not_otherwise() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = Ca::new(folder.path());
    let (only, empty) = (folder.path().join("certificates"), folder.path().join("other"));
    std::fs::create_dir(&only).expect("a folder");
    std::fs::create_dir(&empty).expect("a folder");
    std::fs::copy(&ca.certificate, only.join("ca.pem")).expect("copies");
    for (mode, told) in [
        ("https", "POST /told HTTP/1.1"),
        ("starttls", "MAIL FROM:<moor@example.org>"),
        ("tls", "MAIL FROM:<moor@example.org>"),
    ] {
        for (variable, path, expected) in [
            ("SSL_CERT_FILE", &ca.certificate, told),
            ("SSL_CERT_DIR", &only, told),
            ("SSL_CERT_DIR", &empty, "refused"),
        ] {
            let server = Server::start(&ca, mode);
            let site = Site::new();
            site.signal("signal-complete", "@EventType = 'BackupComplete'");
            let (app, settings) = server.notification(mode);
            site.app("appinstance-private", app, "signal-complete", &settings);
            let console = Console::start_with(&site.data, &[(variable, path)]);
            // ureq tries the built-in roots first.
            let mut got = server.next();
            if mode == "https" && expected != "refused" {
                assert_eq!(got, "refused");
                got = server.next();
            }
            assert!(got.starts_with(expected), "{mode} with {variable}={}: {got}", path.display());
            console.stop();
        }
    }
}

#[test]
fn a_file_without_certificates_is_named_and_the_console_starts() {
    let volume = TestVolume::in_use();
    volume.write("no.pem", "not a certificate");
    for file in [volume.path("no.pem"), volume.path("missing.pem")] {
        let console = client::Console::of(client::serve(&volume).env("SSL_CERT_FILE", &file));
        let log = console.running.log();
        let error = log.lines().find(|line| line.contains("error: no notification can be sent with TLS"));
        assert!(error.is_some_and(|line| line.contains(&file.display().to_string())), "{log}");
        assert_eq!(console.stop().code, 0);
    }
}

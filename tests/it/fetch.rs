//! Backups that are not files on disk: from stdin, from a pipe, from an https address.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::{sys::stat::Mode, unistd::mkfifo};

use crate::{
    fixture::{Data, Ran, argument},
    private_ca::Ca,
    support::quoted,
};

/// Serves a file with a password. `/cut/` breaks the connection after each 100 000 bytes, `/swap/` gives another content after that,
/// `/plain` redirects to http. Prints its port, then a line for each request.
const SERVER: &str = r#"
import base64, http.server, ssl, sys
file, chain, key = sys.argv[1:]
content = open(file, "rb").read()
swapped = []

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.path, self.headers["Range"], self.headers["If-Match"], self.headers["Accept-Encoding"], flush=True)
        path = self.path.split("?")[0]
        if self.headers["Authorization"] != "Basic " + base64.b64encode(b"me:pass word").decode():
            return self.answer(401)
        if path == "/plain":
            return self.answer(302, ("Location", "http://127.0.0.1:1/b.seqbac?signature=verysecret"))
        if path == "/moved":
            return self.answer(302, ("Location", "/b.seqbac"))
        if path == "/broken":
            return self.answer(503)
        if not path.endswith("/b.seqbac"):
            return self.answer(404)
        tag = '"2"' if swapped else '"1"'
        if self.headers["If-Match"] not in (None, tag):
            return self.answer(412)
        start = int(self.headers["Range"][6:-1]) if self.headers["Range"] else 0
        rest = content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if path != "/untagged/b.seqbac":
            self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if path.startswith("/swap/"):
            swapped.append(1)
        self.wfile.write(rest if path == "/b.seqbac" else rest[:100000])
        self.close_connection = True

    def answer(self, code, *headers):
        self.send_response(code)
        for header in headers:
            self.send_header(*header)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(chain, key)
server.socket = tls.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

/// An original with some 300 kB that do not compress, and its backup.
fn original() -> (Data, PathBuf) {
    let data = Data::with_state();
    let noise: Vec<u8> = (0..9000_u32).flat_map(|number| *blake3::hash(&number.to_le_bytes()).as_bytes()).collect();
    fs::write(data.path("noise"), noise).expect("written");
    let backup = data.backup();
    (data, backup)
}

fn restore(copy: &Data, original: &Data, from: &str, stdin: Stdio, environment: &[(&str, &str)]) -> Ran {
    let words = ["restore", "-y", "--json", "--enable-apps", "--secret-key", &original.key(), "--backup", from];
    let mut command = copy.command(&words);
    command.stdin(stdin).envs(environment.iter().copied());
    Ran::of(command)
}

fn opened(path: &Path) -> Stdio {
    fs::File::open(path).expect("opens").into()
}

#[test]
fn a_backup_comes_from_stdin() {
    let (original, backup) = original();
    let copy = Data::empty();
    let ran = restore(&copy, &original, "-", opened(&backup), &[]);
    assert_eq!(ran.json()["backup"], "stdin", "{ran:#?}");
    ran.succeeds();
    assert_eq!(copy.state(), original.state());
    assert_eq!(fs::read_dir(copy.path(".moorline/spool")).expect("a folder").count(), 0);
    let kept = copy.moorline(&["rollback", "--list", "--json"]).json();
    assert_eq!(kept["restores"][0]["source"]["backup"]["file"], "stdin", "{kept}");
}

#[test]
fn a_backup_comes_from_a_pipe() {
    let (original, backup) = original();
    let pipe = original.path("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).expect("made");
    let mut writer = Command::new("/bin/sh")
        .args(["-c", &format!("cat {} > {}", quoted(&backup), quoted(&pipe))])
        .spawn()
        .expect("starts");
    let copy = Data::empty();
    restore(&copy, &original, argument(&pipe), Stdio::null(), &[]).succeeds();
    assert!(writer.wait().expect("ends").success());
    fs::remove_file(pipe).expect("removed");
    assert_eq!(copy.state(), original.state());
}

#[test]
fn a_stream_that_ends_too_early_changes_nothing() {
    let (original, backup) = original();
    let half = original.path("half");
    let content = fs::read(&backup).expect("reads");
    fs::write(&half, &content[..content.len() / 2]).expect("written");
    let copy = Data::with_state();
    let before = copy.state();
    restore(&copy, &original, "-", opened(&half), &[]).fails(25, &["stdin: the backup is cut short"]);
    restore(&copy, &original, "-", Stdio::null(), &[]).fails(25, &["stdin is empty"]);
    assert_eq!(copy.state(), before);
}

struct Server {
    child: Child,
    port: String,
    requests: BufReader<std::process::ChildStdout>,
    ca: Ca,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(backup: &Path) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let ca = Ca::new(folder.path());
        let mut python = Command::new("python3");
        python.args(["-c", SERVER]).args([backup, &ca.chain, &ca.key]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = python.spawn().expect("python3 starts");
        let mut requests = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut port = String::new();
        requests.read_line(&mut port).expect("a line");
        Self { child, port: port.trim().to_owned(), requests, ca, _folder: folder }
    }

    fn restore(&self, copy: &Data, original: &Data, path: &str) -> Ran {
        let address = format!("https://me:pass%20word@127.0.0.1:{}{path}", self.port);
        restore(copy, original, &address, Stdio::null(), &[("SSL_CERT_FILE", argument(&self.ca.certificate))])
    }

    /// The lines of all requests so far; stops the server.
    fn requests(mut self) -> Vec<String> {
        self.child.kill().expect("killed");
        self.requests.by_ref().lines().map(|line| line.expect("text")).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_backup_comes_from_an_https_address_and_no_secret_of_it_is_written() {
    let (original, backup) = original();
    let server = Server::start(&backup);
    let copy = Data::empty();
    let ran = server.restore(&copy, &original, "/b.seqbac?signature=verysecret");
    let shown = format!("https://127.0.0.1:{}/b.seqbac", server.port);
    assert_eq!(ran.json()["backup"], shown, "{ran:#?}");
    assert!(!ran.stderr.contains("pass") && !ran.stderr.contains("verysecret"), "{ran:#?}");
    ran.succeeds();
    assert_eq!(copy.state(), original.state());
    server.restore(&copy, &original, "/moved").succeeds();
    let written =
        Command::new("grep").args(["-rlE", "verysecret|pass.{0,3}word"]).arg(copy.root()).output().expect("runs");
    assert_eq!(String::from_utf8_lossy(&written.stdout), "");
}

#[test]
fn a_download_that_breaks_off_continues_where_it_was() {
    let (original, backup) = original();
    let server = Server::start(&backup);
    let copy = Data::empty();
    let ran = server.restore(&copy, &original, "/cut/b.seqbac");
    assert!(ran.stderr.contains("continues at byte 100000"), "{ran:#?}");
    ran.succeeds();
    assert_eq!(copy.state(), original.state());
    let requests = server.requests();
    assert!(requests.contains(&"/cut/b.seqbac bytes=200000- \"1\" identity".to_owned()), "{requests:?}");
}

#[test]
fn a_download_that_cannot_be_whole_changes_nothing() {
    let (original, backup) = original();
    let server = Server::start(&backup);
    let copy = Data::with_state();
    let before = copy.state();
    server.restore(&copy, &original, "/swap/b.seqbac").fails(75, &["was replaced on the server"]);
    server.restore(&copy, &original, "/untagged/b.seqbac").fails(75, &["broke off after 100000 bytes", "ETag"]);
    server.restore(&copy, &original, "/broken").fails(75, &["503"]);
    server.restore(&copy, &original, "/nothing").fails(10, &["404"]);
    let ran = server.restore(&copy, &original, "/plain").fails(1, &["https"]);
    assert!(!ran.stderr.contains("verysecret"), "{ran:#?}");
    let wrong = format!("https://me:wrong@127.0.0.1:{}/b.seqbac", server.port);
    let trusted = [("SSL_CERT_FILE", argument(&server.ca.certificate))];
    let ran = restore(&copy, &original, &wrong, Stdio::null(), &trusted).fails(1, &["401"]);
    assert!(!ran.stderr.contains("wrong"), "{ran:#?}");
    restore(&copy, &original, &wrong, Stdio::null(), &[]).fails(1, &["SSL_CERT_FILE"]);
    restore(&copy, &original, "http://127.0.0.1:1/b", Stdio::null(), &[]).fails(2, &["https://"]);
    restore(&copy, &original, "https://127.0.0.1:1/b", Stdio::null(), &[]).fails(75, &["127.0.0.1:1"]);
    assert_eq!(copy.state(), before);
}

//! Children of the console end with it, and with whoever waited for them.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::fixture::Data;
use crate::notify::{Console, until};

/// A volume whose backup is longer than all buffers between two processes.
fn large() -> Data {
    let data = Data::empty();
    data.database("app.db", "wal", &["one"]);
    let mut bytes = vec![0; 24 << 20];
    fs::File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut bytes)).expect("random bytes");
    fs::write(data.path("large.bin"), bytes).expect("written");
    // One of today, so that the scheduler rests.
    data.moorline(&["backup", "--scheduled"]).succeeds();
    data
}

fn children(of: u32) -> Vec<String> {
    let listed = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    listed.split_whitespace().map(str::to_owned).collect()
}

/// Asks for a backup, and reads the beginning of it.
fn begin_download(console: &Console) -> TcpStream {
    let mut stream = None;
    until("the console listens", || {
        stream = TcpStream::connect(console.address).ok();
        stream.is_some()
    });
    let mut stream = stream.expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    let request = format!(
        "POST /api/backups/immediate HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}",
        console.address
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut head = [0; 4096];
    let count = stream.read(&mut head).expect("an answer");
    let head = String::from_utf8_lossy(&head[..count]).into_owned();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    stream
}

#[test]
fn a_download_that_is_given_up_stops_its_backup() {
    let data = large();
    let console = Console::start(&data);
    let download = begin_download(&console);
    let working = children(console.child.id());
    assert_eq!(working.len(), 1, "{working:?}");
    drop(download);
    until("the child is reaped", || children(console.child.id()).is_empty());
    // Its place is free again.
    drop(begin_download(&console));
    console.stop();
}

#[test]
fn a_console_that_is_killed_takes_its_children_with_it() {
    let data = large();
    let mut console = Console::start(&data);
    let _download = begin_download(&console);
    let working = children(console.child.id());
    assert_eq!(working.len(), 1, "{working:?}");
    let nice = fs::read_to_string(format!("/proc/{}/stat", working[0])).expect("is there");
    let after_name = nice.rsplit(") ").next().expect("fields").split(' ').nth(16).map(str::to_owned);
    assert_eq!(after_name.as_deref(), Some("10"), "niced: {nice}");
    console.child.kill().expect("killed");
    console.child.wait().expect("ended");
    until("the child ends", || {
        let status = fs::read_to_string(format!("/proc/{}/stat", working[0])).unwrap_or_default();
        status.is_empty() || status.contains(") Z ")
    });
}

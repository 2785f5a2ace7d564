//! Connections are bounded: whoever has many leaves room for others.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use super::client::{Console, serve};
use crate::{notify::until, support::TestVolume};

#[test]
fn one_address_has_so_many_connections_and_no_more() {
    let volume = TestVolume::new();
    let console = Console::of(serve(&volume).env("MOORLINE_FIRSTRUN_ADMINPASSWORD", "the first one"));
    let connect = || {
        let mut stream = TcpStream::connect(("127.0.0.1", console.address.port())).expect("listens");
        // Begun, so that it is no idle one, and never finished.
        let _ = stream.write_all(b"GET /");
        stream
    };
    let kept: Vec<TcpStream> = (0..32).map(|_| connect()).collect();
    let is_answered = || {
        let mut stream = connect();
        // Where there are too many it is closed; whether that is an end or a reset is the kernel's affair.
        let _ = stream.write_all(b"health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer.starts_with(b"HTTP/1.1 ")
    };
    assert!(!is_answered());
    drop(kept);
    until("it answers again", is_answered);
}

//! Whether the server is healthy: a GET that is answered, a port that takes a connection, or a time it has been up.
//!
//! The GET is plain HTTP/1.1 with one connection for each; there is no TLS here, and a redirect is an answer too.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

use jiff::Timestamp;

pub use profile::Health;

use volume::{
    Holder, Volume,
    error::{self, Result},
    lock,
};

/// The variable that says how health is told.
pub const VARIABLE: &str = "MOORLINE_HEALTH";

/// One check takes no longer.
const LIMIT: Duration = Duration::from_secs(5);

/// Pauses between checks begin with the first, and double up to the second.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(2)];

/// How often it is said that the server is still not healthy.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// Looks once. `up` says for how long the server has been up.
///
/// # Errors
/// Why it is not healthy, in words.
pub fn check(health: &Health, up: Duration) -> std::result::Result<(), String> {
    match health {
        Health::Http { authority, address, path } => get(authority, address, path),
        Health::Tcp(host, port) => connect(host, *port, Instant::now() + LIMIT).map(drop),
        Health::Alive(time) if up >= *time => Ok(()),
        Health::Alive(time) => Err(format!("it has been up for {} s of {} s", up.as_secs(), time.as_secs_f64())),
    }
}

/// How far a container is, as the volume's lock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The server is being prepared, by what this says.
    Starting(String),
    /// The server has been up for so long.
    Up(Duration),
    /// There is none, as this says.
    Down(String),
}

/// Asks the lock of the volume.
///
/// # Errors
/// Where it cannot be opened.
pub fn state(volume: &Volume) -> Result<State> {
    let Some(holder) = lock::holder(volume)? else {
        return Ok(State::Down(format!("no server holds the volume {}", volume.root().display())));
    };
    let Holder { verb, host, .. } = &holder;
    let elsewhere = *host != lock::host();
    Ok(match holder.server {
        _ if elsewhere => State::Starting(format!("the volume is in use by `{verb}` on host {host}")),
        Some(started) => State::Up(Duration::try_from(Timestamp::now().duration_since(started)).unwrap_or_default()),
        None => State::Starting(format!("`{verb}` is at work, and the server is not started yet")),
    })
}

/// Until it is healthy.
pub(super) fn wait(health: &Health) {
    let started = Instant::now();
    let mut said = started;
    let [mut pause, longest] = PAUSES;
    while let Err(reason) = check(health, started.elapsed()) {
        if said.elapsed() >= SAID_EVERY {
            said = Instant::now();
            log::info!("the server is not healthy after {} s ({health}): {reason}", started.elapsed().as_secs());
        }
        std::thread::sleep(match health {
            Health::Alive(time) => time.saturating_sub(started.elapsed()).min(longest),
            _ => pause,
        });
        pause = longest.min(pause * 2);
    }
    log::info!("the server is healthy ({health})");
}

fn connect(host: &str, port: u16, until: Instant) -> std::result::Result<TcpStream, String> {
    let found = (host, port).to_socket_addrs().map_err(|cause| format!("{host}: {}", error::reason(&cause)))?;
    let mut why = format!("{host} has no address");
    for address in found.collect::<Vec<SocketAddr>>() {
        match TcpStream::connect_timeout(&address, left(until)) {
            Ok(stream) => return Ok(stream),
            Err(cause) => why = format!("{address}: {}", error::reason(&cause)),
        }
    }
    Err(why)
}

/// Never zero, which would be no limit.
fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

fn get(authority: &str, address: &(String, u16), path: &str) -> std::result::Result<(), String> {
    let until = Instant::now() + LIMIT;
    let mut stream = connect(&address.0, address.1, until)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: moorline/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    let failed = |cause: std::io::Error| match cause.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => format!("no answer in {} s", LIMIT.as_secs()),
        _ => error::reason(&cause),
    };
    stream.set_write_timeout(Some(left(until))).and_then(|()| stream.write_all(request.as_bytes())).map_err(failed)?;
    let mut head = Vec::new();
    while !head.contains(&b'\n') && head.len() < 4096 {
        let mut piece = [0; 512];
        stream.set_read_timeout(Some(left(until))).map_err(failed)?;
        match stream.read(&mut piece).map_err(failed)? {
            0 => break,
            count => head.extend_from_slice(&piece[..count]),
        }
        if Instant::now() >= until {
            return Err(format!("no answer in {} s", LIMIT.as_secs()));
        }
    }
    match status(&head) {
        Some(200..=399) => Ok(()),
        Some(status) => Err(format!("it answered {status}")),
        None => Err("what it answered is not HTTP".to_owned()),
    }
}

fn status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head.split(|byte| matches!(byte, b'\r' | b'\n')).next()?).ok()?;
    let mut words = line.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next().filter(|code| code.len() == 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_status_line_of_http_1_counts() {
        assert_eq!(status(b"HTTP/1.1 204 No Content\r\n"), Some(204));
        assert_eq!(status(b"HTTP/1.0 200\n"), Some(200));
        for head in ["", "HTTP/2 200\r\n", "HTTP/1.1\r\n", "HTTP/1.1 2000 x\r\n", "SSH-2.0-x 200\r\n"] {
            assert_eq!(status(head.as_bytes()), None, "{head:?}");
        }
    }
}

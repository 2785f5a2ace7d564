//! Health checks: an HTTP GET, a TCP connection, or a minimum uptime.
//!
//! The GET is plain HTTP/1.1 without TLS, with one connection per check. A redirect counts as healthy.

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

/// The variable for the health check.
pub const VARIABLE: &str = "MOORLINE_HEALTH";

/// The timeout of one check.
const LIMIT: Duration = Duration::from_secs(5);

/// The first pause between two checks, and the longest one. Pauses double.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(2)];

/// How often a server that is still not healthy is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Runs one check of a server that has been up for `up`. Returns the reason if it is not healthy.
pub fn check(health: &Health, up: Duration) -> std::result::Result<(), String> {
    match health {
        Health::Http { authority, address, path } => get(authority, address, path),
        Health::Tcp(host, port) => connect(host, *port, Instant::now() + LIMIT).map(drop),
        Health::Alive(time) if up >= *time => Ok(()),
        Health::Alive(time) => Err(format!("up for {} s of the required {} s", up.as_secs(), time.as_secs_f64())),
    }
}

/// The state of the container, according to the volume's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// The server has not started yet; the text says why.
    Starting(String),
    /// The server has been running for this long.
    Up(Duration),
    /// No server runs; the text says why.
    Down(String),
}

/// Reads the state from the volume's lock.
pub fn state(volume: &Volume) -> Result<ContainerState> {
    let Some(holder) = lock::holder(volume)? else {
        return Ok(ContainerState::Down(format!("no server runs on the volume {}", volume.root().display())));
    };
    let Holder { command, host, .. } = &holder;
    let elsewhere = *host != lock::host();
    Ok(match holder.server {
        _ if elsewhere => ContainerState::Starting(format!("the volume is in use by `{command}` on host {host}")),
        Some(started) => {
            ContainerState::Up(Duration::try_from(Timestamp::now().duration_since(started)).unwrap_or_default())
        }
        None => {
            ContainerState::Starting(format!("`{command}` is preparing the volume, and the server has not started yet"))
        }
    })
}

/// Blocks until the server is healthy.
pub(super) fn wait(health: &Health) {
    let started = Instant::now();
    let mut logged = started;
    let [mut pause, longest] = PAUSES;
    while let Err(reason) = check(health, started.elapsed()) {
        if logged.elapsed() >= LOG_INTERVAL {
            logged = Instant::now();
            log::info!("the server is still not healthy after {} s ({health}): {reason}", started.elapsed().as_secs());
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

/// The time left, at least 1 ms, because zero would mean no timeout.
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
        Some(status) => Err(format!("it answered with status {status}")),
        None => Err("its answer is not HTTP".to_owned()),
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

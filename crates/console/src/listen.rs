//! Listens, accepts a limited number of connections, serves them, and shuts them down gracefully.
//!
//! If the port is in use, the console logs a warning and tries again, because backups have to be taken meanwhile. A slow
//! client cannot hold a connection: sending headers and bodies and reading the response all have timeouts.

mod slots;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use self::slots::{Slot, Slots};
use super::{auth::Peer, router::without_last_slash};
use volume::{
    Volume,
    error::{Error, Result, reason},
    events::{self, Event, Kind},
};

/// Timeout for the headers of a request. On a kept connection it also limits the wait for the next request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Timeout of a write that makes no progress. A response holds resources, such as the child that takes a backup, and a
/// client that stops reading would hold them forever. A client that reads slowly is not affected.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Becomes true when the console stops.
pub(crate) type Stop = watch::Receiver<bool>;

/// Parses an address to listen on: `ADDR:PORT`, `:PORT`, `*:PORT` or `localhost:PORT`. Other host names are refused.
pub fn parse(text: &str) -> Result<SocketAddr> {
    let wrong = || {
        Error::usage(format!("{text:?} is not an address to listen on"))
            .hint("use ADDRESS:PORT, such as 0.0.0.0:8341, 127.0.0.1:8341 or [::]:8341")
    };
    if let Ok(address) = text.trim().parse() {
        return Ok(address);
    }
    let (host, port) = text.trim().rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    match host {
        "" | "*" => Ok((Ipv4Addr::UNSPECIFIED, port).into()),
        "localhost" => Ok((Ipv4Addr::LOCALHOST, port).into()),
        _ => Err(wrong()),
    }
}

/// Reads a certificate chain and its private key. Fails with `Usage` if they do not belong together.
pub(crate) fn tls(certificates: &Path, key: &Path) -> Result<TlsAcceptor> {
    let unreadable = |path: &Path, cause: &dyn std::fmt::Display| {
        Error::usage(format!("cannot use {} for TLS: {cause}", path.display()))
    };
    let chain = CertificateDer::pem_file_iter(certificates)
        .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
        .map_err(|cause| unreadable(certificates, &cause))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|cause| unreadable(key, &cause))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|cause| unreadable(certificates, &cause))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

pub(crate) struct Listener {
    pub address: SocketAddr,
    /// The files with the certificate chain and the private key.
    pub tls: Option<(PathBuf, PathBuf)>,
    pub router: Router,
    pub volume: Volume,
}

impl Listener {
    pub(crate) async fn run(self, mut stop: Stop) -> Result<()> {
        let acceptor = self.tls.as_ref().map(|(certificates, key)| tls(certificates, key)).transpose()?;
        let Some(listener) = self.bind(&mut stop).await else { return Ok(()) };
        let slots = Slots::new();
        loop {
            let accepted = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                accepted = accept(&listener, &slots) => accepted,
            };
            let Some((stream, address, slot)) = accepted else { continue };
            let (router, acceptor, stop) = (self.router.clone(), acceptor.clone(), stop.clone());
            tokio::spawn(async move {
                serve(stream, address, acceptor, router, stop).await;
                drop(slot);
            });
        }
        drop(listener);
        // Each connection closes as soon as its response is written.
        drop(timeout(Duration::from_millis(700), slots.none_taken()).await);
        Ok(())
    }

    async fn bind(&self, stop: &mut Stop) -> Option<TcpListener> {
        let mut pause = FIRST_PAUSE;
        let mut was_logged = false;
        loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => {
                    let address = listener.local_addr().map_or(self.address, |address| address);
                    log::info!("the console listens on {}", self.shown(address));
                    events::record(
                        &self.volume,
                        &Event::new(Kind::ConsoleStarted).with("Address", address.to_string()),
                    );
                    return Some(listener);
                }
                Err(cause) if !was_logged => {
                    was_logged = true;
                    let why = reason(&cause);
                    log::warn!(
                        "the console cannot listen on {}: {why}; retrying, backups are not affected",
                        self.address
                    );
                    let event = Event::new(Kind::ConsoleNotListening).with("Address", self.address.to_string());
                    events::record(&self.volume, &event.with("Error", why));
                }
                Err(_) => {}
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return None,
                () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    fn shown(&self, address: SocketAddr) -> String {
        format!("{}://{address}/", if self.tls.is_some() { "https" } else { "http" })
    }
}

type Accepted = (TcpStream, SocketAddr, Slot);

async fn accept(listener: &TcpListener, slots: &Slots) -> Option<Accepted> {
    let one = slots.one().await?;
    match listener.accept().await {
        Ok((stream, address)) => Some((stream, address, slots.for_peer(one, address.ip())?)),
        Err(_) => {
            // Out of file descriptors: wait until other connections close.
            sleep(Duration::from_secs(1)).await;
            None
        }
    }
}

async fn serve(stream: TcpStream, address: SocketAddr, acceptor: Option<TlsAcceptor>, router: Router, stop: Stop) {
    let _ = stream.set_nodelay(true);
    let stream = with_write_timeout(stream, WRITE_TIMEOUT);
    match acceptor {
        None => serve_connection(stream, address, router, stop).await,
        Some(acceptor) => {
            if let Ok(Ok(stream)) = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                serve_connection(stream, address, router, stop).await;
            }
        }
    }
}

fn with_write_timeout<S: AsyncRead + AsyncWrite>(stream: S, timeout: Duration) -> Pin<Box<TimeoutStream<S>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(timeout));
    Box::pin(stream)
}

async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    address: SocketAddr,
    router: Router,
    mut stop: Stop,
) {
    let service = tower::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        without_last_slash(&mut request);
        request.extensions_mut().insert(Peer(address.ip().to_canonical()));
        router.clone().oneshot(request)
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = Pin::new(&mut connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    drop(connection.await);
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio_util::io::ReaderStream;

    use super::*;
    use volume::error::Code;

    #[test]
    fn a_response_that_the_client_does_not_read_is_aborted() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let endless = || async { Body::from_stream(ReaderStream::new(tokio::io::repeat(b'x'))) };
            let router = Router::new().route("/", get(endless));
            let (mut theirs, ours) = duplex(1024);
            let (_stop, stop) = watch::channel(false);
            theirs.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("written");
            let ours = with_write_timeout(ours, Duration::from_millis(20));
            let conversation = serve_connection(ours, ([127, 0, 0, 1], 1).into(), router, stop);
            timeout(Duration::from_secs(60), conversation).await.expect("the connection ends, and drops the body");
            drop(theirs);
        });
    }

    #[test]
    fn addresses_are_parsed() {
        for (text, address) in [
            ("0.0.0.0:8341", "0.0.0.0:8341"),
            (":80", "0.0.0.0:80"),
            ("*:80", "0.0.0.0:80"),
            ("localhost:8341", "127.0.0.1:8341"),
            ("[::]:8341", "[::]:8341"),
        ] {
            assert_eq!(parse(text).expect(text).to_string(), address);
        }
        for text in ["", "8341", "host.example:80", "0.0.0.0", "0.0.0.0:99999"] {
            assert_eq!(parse(text).expect_err(text).code(), Code::Usage);
        }
    }

    #[test]
    fn a_write_fails_only_if_the_peer_stops_reading() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let (ours, mut theirs) = duplex(8);
            let mut ours = with_write_timeout(ours, Duration::from_millis(20));
            let reading = tokio::spawn(async move {
                let mut taken = [0; 64];
                theirs.read_exact(&mut taken).await.expect("all of it");
                theirs
            });
            ours.write_all(&[0; 64]).await.expect("is read");
            let unread = reading.await.expect("read");
            let stalled = ours.write_all(&[0; 64]).await.expect_err("the peer does not read");
            assert_eq!(stalled.kind(), std::io::ErrorKind::TimedOut);
            drop(unread);
        });
    }
}

//! The servers that are judged: one app, bare and with the layer, over each transport.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use openssl::pkey::PKey;
use openssl::ssl::{AlpnError, SslAcceptor, SslMethod, SslVersion, select_next_proto};
use openssl::x509::X509;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower::Layer as _;
use tower_linger::{AwaitsCloseNotify, LingerLayer, RequestLayer};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::server::{BareTls, Http, Running, accept_loop, listen};

/// Names of ALPN.
const HTTP1: &str = "http/1.1";
const HTTP2: &str = "h2";

/// Far longer than any close takes.
const BOUND: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bare,
    Layered,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Bare, Self::Layered];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Layered => "layered",
        }
    }
}

/// How the clients reach a server. Each is a column of a table, twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Plain,
    Tls13,
    Tls13OpenSsl,
    Tls12,
    Tls12Rustls,
    Http2,
    Http2OpenSsl,
}

impl Transport {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tls13 => "TLS 1.3, rustls",
            Self::Tls13OpenSsl => "TLS 1.3, OpenSSL",
            Self::Tls12 => "TLS 1.2, OpenSSL",
            Self::Tls12Rustls => "TLS 1.2, rustls",
            Self::Http2 => "HTTP/2, rustls",
            Self::Http2OpenSsl => "HTTP/2, OpenSSL",
        }
    }

    pub(crate) const fn is_tls(self) -> bool {
        !matches!(self, Self::Plain)
    }

    pub(crate) const fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Http2OpenSsl)
    }
}

/// The heads of a table with two columns for each of these.
pub(crate) fn heads(first: &str, names: &[&str]) -> Vec<String> {
    let columns = names.iter().flat_map(|name| Kind::ALL.map(|kind| format!("{name}, {}", kind.name())));
    std::iter::once(first.to_owned()).chain(columns).collect()
}

/// Certificates, and files of them for programs that read files.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) certs: Certs,
    folder: TempDir,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let (certs, folder) = (Certs::make(), tempfile::tempdir().expect("a temporary folder"));
        let ground = Self { certs, folder };
        ground.file("authority", ground.certs.authority_pem().as_bytes());
        ground
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("authority")
    }

    /// As the scripts take it: nothing for plain TCP.
    pub(crate) fn authority_for(&self, transport: Transport) -> String {
        if transport.is_tls() { self.authority().display().to_string() } else { String::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str, contents: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, contents).expect("a temporary folder takes it");
        path
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    running: Running,
    linger: Option<LingerLayer>,
    accepted: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start(transport: Transport, kind: Kind, ground: &Ground, app: Router) -> Self {
        let linger = (kind == Kind::Layered).then(LingerLayer::default);
        let app = if linger.is_some() { app.layer(RequestLayer) } else { app };
        let http = Http::new(app);
        let accepted = Arc::new(AtomicUsize::new(0));
        let listener = Counted { tcp: listen().await, accepted: accepted.clone() };
        let linger_ref = linger.as_ref();
        let by_rustls = |version, protocol| rustls(&ground.certs, version, protocol);
        let by_openssl = |version, protocol| openssl(&ground.certs, version, protocol);
        let running = match transport {
            Transport::Plain => match &linger {
                Some(linger) => accept_loop(listener, linger.layer(http)),
                None => accept_loop(listener, http),
            },
            Transport::Tls13 => tls(listener, by_rustls(Version::Tls13, HTTP1), linger_ref, http),
            Transport::Tls12Rustls => tls(listener, by_rustls(Version::Tls12, HTTP1), linger_ref, http),
            Transport::Http2 => tls(listener, by_rustls(Version::Tls13, HTTP2), linger_ref, http),
            Transport::Tls13OpenSsl => tls(listener, by_openssl(SslVersion::TLS1_3, HTTP1), linger_ref, http),
            Transport::Tls12 => tls(listener, by_openssl(SslVersion::TLS1_2, HTTP1), linger_ref, http),
            Transport::Http2OpenSsl => tls(listener, by_openssl(SslVersion::TLS1_3, HTTP2), linger_ref, http),
        };
        Self { running, linger, accepted }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.running.address
    }

    /// How many connections it has accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Waits until all connections have ended, and asserts that each was reported.
    ///
    /// # Panics
    ///
    /// If one is still there after a minute, or has ended without a report.
    pub(crate) async fn end(self) {
        let Self { running, linger, accepted } = self;
        let Some(linger) = linger else { return };
        let tracker = linger.tracker();
        let ended = tokio::time::timeout(BOUND, tracker.wait()).await;
        assert!(ended.is_ok(), "a connection does not end: {tracker:?}");
        // Shown if the test fails.
        println!("{}: {}", running.address, tracker.summary());
        assert_eq!(
            tracker.summary().total(),
            accepted.load(Ordering::Relaxed) as u64,
            "{}",
            tracker.summary()
        );
    }
}

fn tls<A>(listener: Counted, acceptor: A, linger: Option<&LingerLayer>, http: Http) -> Running
where
    A: AwaitsCloseNotify,
{
    match linger {
        Some(linger) => accept_loop(listener, linger.clone().tls(acceptor).layer(http)),
        None => accept_loop(listener, BareTls::new(acceptor, http)),
    }
}

fn rustls(certs: &Certs, version: Version, protocol: &str) -> TlsAcceptor {
    let mut config = certs.server(&[version], ClientAuth::None);
    config.alpn_protocols = vec![protocol.into()];
    Arc::new(config).into()
}

fn openssl(certs: &Certs, version: SslVersion, protocol: &str) -> SslAcceptor {
    let (chain, key) = certs.server_pem();
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).expect("OpenSSL");
    let key = PKey::private_key_from_pem(key.as_bytes()).expect("a key of our own making");
    builder.set_private_key(&key).expect("a key");
    builder.set_certificate(&X509::from_pem(chain.as_bytes()).expect("our own")).expect("a certificate");
    builder.set_min_proto_version(Some(version)).expect("a version");
    builder.set_max_proto_version(Some(version)).expect("a version");
    // As a list of ALPN: each with its length before it.
    let mut protocols = vec![u8::try_from(protocol.len()).expect("short")];
    protocols.extend(protocol.bytes());
    builder.set_alpn_select_callback(move |_, offered| {
        // The offer outlives the call; the server's list would not.
        select_next_proto(&protocols, offered)
            .and_then(|chosen| position(offered, chosen))
            .ok_or(AlpnError::NOACK)
    });
    builder.build()
}

/// The same bytes in the client's offer.
fn position<'a>(offered: &'a [u8], chosen: &[u8]) -> Option<&'a [u8]> {
    offered.windows(chosen.len()).find(|window| *window == chosen)
}

/// Counts the connections that it accepts.
#[derive(Debug)]
struct Counted {
    tcp: TcpListener,
    accepted: Arc<AtomicUsize>,
}

impl Listener for Counted {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let accepted = Listener::accept(&mut self.tcp).await;
        self.accepted.fetch_add(1, Ordering::Relaxed);
        accepted
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

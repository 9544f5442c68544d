//! Frameworks that own their listeners and their types of requests: poem and salvo. Through each of them an
//! early answer arrives, so does the alert of a failed handshake, and a graceful end is counted.

mod poem;
mod salvo;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ClientConfig;
use tower_linger::{LingerLayer, Outcome, Shutdown, Summary};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::{Client, End, Manner, Seen, head};
use tower_linger_tests::until::until;

const UPLOAD_BYTES: usize = 64 << 20;
const TOO_LARGE: &str = "too large\n";
/// Longer than anything here takes.
const BOUND: Duration = Duration::from_secs(60);

/// A port, and a listener on it.
fn bind() -> (SocketAddr, tokio::net::TcpListener) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("bound");
    (address, tokio::net::TcpListener::from_std(listener).expect("a socket"))
}

/// Uploads and reads only then, as Python's `http.client` does.
async fn upload(address: SocketAddr, tls: Option<ClientConfig>) -> Seen {
    let client = Client::connect(address, None, tls.map(Arc::new)).await.expect("the client's part");
    client.exchange(&head("PUT", "/", UPLOAD_BYTES), UPLOAD_BYTES, Manner::StopsAtFailedWrite).await
}

async fn early_answer(address: SocketAddr, tls: Option<ClientConfig>) {
    let clean = if tls.is_some() { End::CloseNotify } else { End::Fin };
    let seen = upload(address, tls).await;
    assert_eq!((seen.status, seen.complete, seen.end), (Some(413), true, clean));
}

/// Without the layer the answer is lost.
async fn no_answer(address: SocketAddr, tls: Option<ClientConfig>) {
    let seen = upload(address, tls).await;
    assert_eq!((seen.status, seen.end), (None, End::Reset));
}

/// One client has a certificate and gets its answer. The other has none and gets the alert.
struct Guarded {
    acceptor: TlsAcceptor,
    certs: Certs,
}

impl Guarded {
    fn new() -> Self {
        let certs = Certs::make();
        let config = certs.server(&[Version::Tls13], ClientAuth::Required);
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), certs }
    }

    fn with_certificate(&self) -> ClientConfig {
        self.certs.client_with_certificate(&[Version::Tls13])
    }

    async fn told(&self, address: SocketAddr, linger: &LingerLayer) {
        early_answer(address, Some(self.with_certificate())).await;
        let seen = upload(address, Some(self.certs.client(&[Version::Tls13]))).await;
        assert_eq!(seen.end, End::Alert("CertificateRequired".into()));
        linger.tracker().wait().await;
        assert_eq!(linger.tracker().summary().count(Outcome::PeerClosed { close_notify: false }), 2);
    }
}

/// A handshake that does not go on holds up no other client.
async fn handshakes_at_once(address: SocketAddr, certs: &Guarded) {
    let silent = tokio::net::TcpStream::connect(address).await.expect("loopback");
    early_answer(address, Some(certs.with_certificate())).await;
    drop(silent);
}

/// A request is unanswered when the server is told to stop: it is answered, and both connections are counted.
/// `serve` is the server's future, and `answer` lets its handler of `/waits` go on.
async fn graceful_end(
    address: SocketAddr,
    shutdown: Shutdown,
    serve: impl Future<Output = ()>,
    entered: Arc<tokio::sync::Notify>,
    answer: Arc<tokio::sync::Notify>,
) -> Summary {
    let handle = shutdown.handle();
    let clients = async {
        let mut idle = Client::plain(address, None).await.expect("loopback");
        idle.write_all(&head("GET", "/", 0)).await.expect("loopback");
        let mut received = Vec::new();
        while !received.ends_with(b"hello") {
            assert_ne!(idle.read_buf(&mut received).await.expect("loopback"), 0);
        }
        let mut busy = Client::plain(address, None).await.expect("loopback");
        busy.write_all(&head("GET", "/waits", 0)).await.expect("loopback");
        entered.notified().await;
        handle.request();
        // The idle connection ends first, as a sign that the server knows.
        assert_eq!(idle.read_buf(&mut received).await.expect("no reset"), 0);
        answer.notify_one();
        let mut received = String::new();
        busy.read_to_string(&mut received).await.expect("no reset");
        assert!(received.starts_with("HTTP/1.1 200 ") && received.ends_with("waited"), "{received}");
    };
    let ((served, summary), ()) =
        tokio::time::timeout(BOUND, async { tokio::join!(shutdown.finish(serve), clients) })
            .await
            .expect("it ends");
    assert!(served.is_some(), "the framework had ended before the deadline");
    summary
}

/// A client over TLS whose request is unanswered when the server drops its connection sees no clean end.
async fn busy_is_not_clean(address: SocketAddr, certs: &Guarded, linger: &LingerLayer, stop: impl FnOnce()) {
    let config = Arc::new(certs.with_certificate());
    let mut client = Client::tls(address, None, config).await.expect("loopback");
    client.write_all(&head("GET", "/endless", 0)).await.expect("loopback");
    let mut received = Vec::new();
    while !received.ends_with(b"part\r\n") {
        assert_ne!(client.read_buf(&mut received).await.expect("loopback"), 0);
    }
    stop();
    // rustls reports an end without close_notify as an error.
    let ended = tokio::time::timeout(BOUND, client.read_buf(&mut received)).await.expect("it ends");
    assert_eq!(ended.expect_err("no close_notify").kind(), std::io::ErrorKind::UnexpectedEof);
    drop(client);
    until("the close is counted", || linger.tracker().summary().total() == 1).await;
}

/// `RequestLayer` adds `Connection: close` to an answer that comes before the end of the upload.
async fn says_close(address: SocketAddr) {
    let mut client = Client::plain(address, None).await.expect("loopback");
    client.write_all(&head("PUT", "/", UPLOAD_BYTES)).await.expect("loopback");
    let mut received = Vec::new();
    while !received.ends_with(TOO_LARGE.as_bytes()) {
        assert_ne!(client.read_buf(&mut received).await.expect("loopback"), 0);
    }
    let received = String::from_utf8(received).expect("text");
    assert!(received.to_lowercase().contains("\r\nconnection: close\r\n"), "{received}");
}

/// A Unix socket has no RST, but if it is closed with bytes unread the peer gets ECONNRESET all the same.
#[cfg(unix)]
async fn early_answer_on_a_unix_socket(path: &std::path::Path) {
    let connected = std::cell::RefCell::new(None);
    until("the server listens", || {
        *connected.borrow_mut() = std::os::unix::net::UnixStream::connect(path).ok();
        connected.borrow().is_some()
    })
    .await;
    let client = connected.into_inner().expect("connected");
    client.set_nonblocking(true).expect("a socket");
    let mut client = tokio::net::UnixStream::from_std(client).expect("a socket");
    client.write_all(&head("PUT", "/", UPLOAD_BYTES)).await.expect("it reads");
    client.write_all(&vec![0; UPLOAD_BYTES]).await.expect("everything is taken");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("no reset");
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

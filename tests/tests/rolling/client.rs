//! A client that keeps its connections, by hyper. It sends a request again only if the server has not got it:
//! hyper gives it back unsent, or the server's GOAWAY says so, as reqwest and others do.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{Method, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::tally::{Tally, Traffic};

/// No answer takes as long, unless it is lost.
const PATIENCE: Duration = Duration::from_secs(20);
const HTTP2_CONNECTIONS: usize = 4;
/// Then the client opens a new connection, so that some are new at any time.
const HTTP2_REQUESTS: usize = 50;
/// More than the buffers between a client and a replica hold.
const UPLOAD: usize = 1 << 20;

/// The protocol that a client speaks. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Http {
    One,
    Two,
}

/// Where clients come in.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) name: &'static str,
    /// A new connection goes to the first that accepts it, beginning with the next one.
    addresses: Vec<SocketAddr>,
    next: AtomicUsize,
    tls: Option<Arc<ClientConfig>>,
    http: Http,
    kept: Mutex<Vec<http1::SendRequest<Body>>>,
    shared: [tokio::sync::Mutex<Option<Shared>>; HTTP2_CONNECTIONS],
}

type Body = Full<Bytes>;
pub(super) type Wire = Box<dyn ReadWrite>;

pub(super) trait ReadWrite: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> ReadWrite for T {}

/// An HTTP/2 connection, and how many requests it has had.
#[derive(Debug)]
struct Shared {
    sender: http2::SendRequest<Body>,
    requests: usize,
}

/// How a request ended that has no answer.
enum Failed {
    Unsent,
    Lost(String),
}

impl Door {
    pub(super) fn new(
        name: &'static str,
        addresses: Vec<SocketAddr>,
        http: Http,
        tls: Option<ClientConfig>,
    ) -> Arc<Self> {
        let tls = tls.map(|mut config| {
            let protocol: &[u8] = if http == Http::Two { b"h2" } else { b"http/1.1" };
            config.alpn_protocols = vec![protocol.to_vec()];
            Arc::new(config)
        });
        let next = AtomicUsize::new(0);
        Arc::new(Self {
            name,
            addresses,
            next,
            tls,
            http,
            kept: Mutex::default(),
            shared: Default::default(),
        })
    }

    /// One request, from its beginning to its answer, is written into the tally.
    pub(super) async fn ask(&self, traffic: Traffic, number: usize, tally: &Tally) {
        tally.begin(self.name, traffic);
        let begun = Instant::now();
        let asked = timeout(PATIENCE, self.try_ask(traffic, number, tally)).await;
        match asked.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}"))) {
            Ok(replica) => tally.answered(self.name, traffic, begun, replica),
            Err(how) => tally.lost(self.name, traffic, how),
        }
    }

    async fn try_ask(&self, traffic: Traffic, number: usize, tally: &Tally) -> Result<u32, String> {
        let (request, expected) = self.exchange(traffic, number);
        let (status, replica, body) = loop {
            let sent = match self.http {
                Http::One => self.over_http1(request.clone()).await,
                Http::Two => self.over_http2(number, request.clone()).await,
            };
            match sent {
                Ok(answer) => break answer,
                Err(Failed::Unsent) => tally.moved(self.name, traffic),
                Err(Failed::Lost(how)) => return Err(how),
            }
        };
        if (status, &body) != (expected.0, &expected.1) {
            return Err(format!("{status}: {body:.60?}"));
        }
        replica.ok_or_else(|| "an answer without x-replica".to_owned())
    }

    /// A request, and the only right answer to it.
    fn exchange(&self, traffic: Traffic, number: usize) -> (Request<Body>, (StatusCode, Bytes)) {
        let (method, path, body) = match traffic {
            Traffic::Get => (Method::GET, "/", Bytes::new()),
            Traffic::Post => (Method::POST, "/echo", Bytes::from(format!("number {number}"))),
            Traffic::Upload => (Method::PUT, "/upload", Bytes::from(vec![0; UPLOAD])),
            Traffic::Message => unreachable!("messages have a client of their own"),
        };
        let answer = match traffic {
            Traffic::Get => (StatusCode::OK, Bytes::from("a".repeat(2000))),
            Traffic::Post => (StatusCode::OK, body.clone()),
            _ => (StatusCode::PAYLOAD_TOO_LARGE, Bytes::from_static(b"too large\n")),
        };
        let request = Request::builder().method(method);
        let request = match self.http {
            Http::One => request.uri(path).header(header::HOST, "localhost"),
            Http::Two if self.tls.is_some() => request.uri(format!("https://localhost{path}")),
            Http::Two => request.uri(format!("http://localhost{path}")),
        };
        (request.body(Full::new(body)).expect("it is valid"), answer)
    }

    async fn over_http1(&self, request: Request<Body>) -> Result<Answer, Failed> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sender = loop {
            let Some(idle) = kept().pop() else { break self.connect_http1().await.map_err(lost)? };
            if idle.is_ready() {
                break idle;
            }
        };
        let sent = sender.try_send_request(request).await;
        let answer = answer(sent.map_err(failed)?).await.map_err(lost)?;
        // After a refused upload the connection cannot go on.
        if answer.0.is_success() && sender.ready().await.is_ok() {
            kept().push(sender);
        }
        Ok(answer)
    }

    async fn connect_http1(&self) -> io::Result<http1::SendRequest<Body>> {
        let wire = TokioIo::new(self.connect().await?);
        let (sender, connection) = http1::handshake(wire).await.map_err(io::Error::other)?;
        // What happens to it, its requests tell.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    async fn over_http2(&self, number: usize, request: Request<Body>) -> Result<Answer, Failed> {
        let mut shared = self.shared[number % HTTP2_CONNECTIONS].lock().await;
        let is_usable = match &mut *shared {
            Some(shared) => shared.requests < HTTP2_REQUESTS && shared.sender.ready().await.is_ok(),
            None => false,
        };
        if !is_usable {
            let wire = TokioIo::new(self.connect().await.map_err(lost)?);
            let (sender, connection) = http2::handshake(TokioExecutor::new(), wire)
                .await
                .map_err(|error| lost(io::Error::other(error)))?;
            tokio::spawn(async move { drop(connection.await) });
            *shared = Some(Shared { sender, requests: 0 });
        }
        let connection = shared.as_mut().expect("it was opened above");
        connection.requests += 1;
        let sent = connection.sender.try_send_request(request);
        drop(shared);
        answer(sent.await.map_err(failed)?).await.map_err(lost)
    }

    /// A connection to the next address. Where none listens, nothing was sent, and a client tries the one
    /// after it.
    pub(super) async fn connect(&self) -> io::Result<Wire> {
        let mut refused = None;
        for _ in &self.addresses {
            let next = self.next.fetch_add(1, Ordering::Relaxed) % self.addresses.len();
            let tcp = match TcpStream::connect(self.addresses[next]).await {
                Ok(tcp) => tcp,
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    refused = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            tcp.set_nodelay(true)?;
            let Some(tls) = self.tls.clone() else { return Ok(Box::new(tcp)) };
            let name = ServerName::try_from("localhost").expect("a name");
            return Ok(Box::new(TlsConnector::from(tls).connect(name, tcp).await?));
        }
        Err(refused.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
    }
}

/// The status, who answered, and the body.
type Answer = (StatusCode, Option<u32>, Bytes);

async fn answer(response: axum::http::Response<hyper::body::Incoming>) -> hyper::Result<Answer> {
    let replica = response.headers().get("x-replica").and_then(|id| id.to_str().ok()?.parse().ok());
    let status = response.status();
    Ok((status, replica, response.into_body().collect().await?.to_bytes()))
}

fn failed(error: TrySendError<Request<Body>>) -> Failed {
    let is_unsent = error.message().is_some();
    let error = error.into_error();
    if is_unsent || is_beyond_goaway(&error) { Failed::Unsent } else { lost(error) }
}

/// Whether the server has not processed this request, and never will (RFC 9113 §6.8). h2 fails only the
/// streams with this error that are above the last one in the GOAWAY.
fn is_beyond_goaway(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| {
        cause.is_go_away() && cause.is_remote() && cause.reason() == Some(h2::Reason::NO_ERROR)
    })
}

/// With all causes of the error.
fn lost(error: impl Error) -> Failed {
    let mut how = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(how, ": {error}");
        cause = error.source();
    }
    Failed::Lost(how)
}

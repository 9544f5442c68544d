//! How many instructions does a connection cost with hyper alone and with the layer, plain and over TLS? Each
//! case is one connection with 1 or 1001 requests, so that the cost of a request can be told from that of a
//! connection. The client's bytes are made beforehand. The client runs in the same thread, so its calls are
//! counted too: the same two for each request, with and without the layer.
//!
//! `make counts` compares with the committed baseline; see README.md. Needs valgrind and gungraun-runner.

#![allow(missing_docs, reason = "gungraun's macros make modules")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::sync::{Arc, Mutex};

use gungraun::prelude::*;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, version};
use tokio_rustls::server::TlsStream;
use tower::{Layer, Service};
use tower_linger::{LingerIo, LingerLayer, Transport};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: counts\r\nAccept: */*\r\n\r\n";

/// A client that sends prepared bytes. It sends a request while the server handles the one before, so that
/// the server reads each by itself, and ends its side after the last.
#[derive(Clone)]
struct Client(Arc<Mutex<Conversation>>);

struct Conversation {
    tcp: std::net::TcpStream,
    requests: VecDeque<Bytes>,
    /// For the responses. Made once, because clearing it for each would cost as much as the server does.
    scratch: Box<[u8]>,
}

impl Client {
    fn new(tcp: std::net::TcpStream, requests: VecDeque<Bytes>) -> Self {
        tcp.set_nonblocking(true).expect("a socket");
        let scratch = vec![0; 4096].into_boxed_slice();
        let client = Self(Arc::new(Mutex::new(Conversation { tcp, requests, scratch })));
        client.go_on();
        client
    }

    fn go_on(&self) {
        let Conversation { tcp, requests, scratch } = &mut *self.0.lock().expect("no panic");
        // Empties the buffer, so that the server can always write.
        while tcp.read(scratch).is_ok_and(|read| read > 0) {}
        if let Some(request) = requests.pop_front() {
            tcp.write_all(&request).expect("the server reads");
        }
        if requests.is_empty() {
            tcp.shutdown(Shutdown::Write).expect("it is open");
        }
    }
}

/// A server's connection, its runtime and its client.
struct Connection<T> {
    runtime: Runtime,
    /// A server makes it once.
    linger: LingerLayer,
    io: T,
    client: Client,
}

impl<T> Connection<T> {
    fn new(runtime: Runtime, io: T, tcp: std::net::TcpStream, requests: VecDeque<Bytes>) -> Self {
        let linger = LingerLayer::default();
        // What is done once for all connections is not counted.
        let (first, client) = pair(&runtime);
        drop(client);
        let _report = runtime.block_on(async { linger.close(first).await });
        Self { runtime, linger, io, client: Client::new(tcp, requests) }
    }
}

/// Makes a connection on loopback.
fn connect() -> (Runtime, TcpStream, std::net::TcpStream) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (server, client) = pair(&runtime);
    (runtime, server, client)
}

fn pair(runtime: &Runtime) -> (TcpStream, std::net::TcpStream) {
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let client = std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("loopback");
        (listener.accept().await.expect("loopback").0, client)
    })
}

fn plain(requests: usize) -> Connection<TcpStream> {
    let (runtime, io, client) = connect();
    let requests = std::iter::repeat_n(Bytes::from_static(REQUEST), requests).collect();
    Connection::new(runtime, io, client, requests)
}

/// TLS 1.3 for both sides, with a certificate that the client trusts.
fn configurations() -> (ServerConfig, ClientConfig) {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("randomness");
    let certificate: CertificateDer<'static> = signed.cert.der().clone();
    let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&version::TLS13])
        .expect("ring has it")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("they belong together");
    let mut trusted = RootCertStore::empty();
    trusted.add(certificate).expect("a certificate");
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])
        .expect("ring has it")
        .with_root_certificates(trusted)
        .with_no_client_auth();
    (server, client)
}

/// A connection whose handshake is over; its client has the TLS records of its requests.
fn tls(requests: usize) -> Connection<TlsStream<TcpStream>> {
    let (runtime, server, mut tcp) = connect();
    let (server_config, client_config) = configurations();
    let acceptor = TlsAcceptor::from(Arc::new(server_config));
    let name = "localhost".try_into().expect("a name");
    let mut client = ClientConnection::new(Arc::new(client_config), name).expect("a client");
    let handshake = std::thread::spawn(move || {
        while client.is_handshaking() || client.wants_write() {
            client.complete_io(&mut tcp).expect("it is trusted");
        }
        (client, tcp)
    });
    let io = runtime.block_on(acceptor.accept(server)).expect("it is trusted");
    let (mut client, tcp) = handshake.join().expect("no panic");
    // All records share one buffer, so that dropping one costs next to nothing.
    let (mut records, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..requests {
        client.writer().write_all(REQUEST).expect("in memory");
        ends.push(client.write_tls(&mut records).expect("in memory"));
    }
    client.send_close_notify();
    ends.push(client.write_tls(&mut records).expect("in memory"));
    let mut records = Bytes::from(records);
    let requests = ends.into_iter().map(|length| records.split_to(length)).collect();
    Connection::new(runtime, io, tcp, requests)
}

async fn serve(io: impl AsyncRead + AsyncWrite + Unpin, client: Client) -> hyper::Result<()> {
    let hello = service_fn(move |_: Request<Incoming>| {
        client.go_on();
        async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello\n")))) }
    });
    // The client ends its side while its last response is being made.
    http1::Builder::new().half_close(true).serve_connection(TokioIo::new(io), hello).await
}

fn bare<T: Transport>(Connection { runtime, linger, io, client }: Connection<T>) -> (Runtime, LingerLayer) {
    black_box(runtime.block_on(serve(io, client))).expect("it ends well");
    (runtime, linger)
}

fn layered<T: Transport>(
    Connection { runtime, linger, io, client }: Connection<T>,
) -> (Runtime, LingerLayer) {
    let engine = tower::service_fn(|io: LingerIo<T>| serve(io, client.clone()));
    let mut connections = linger.layer(engine);
    black_box(runtime.block_on(async { connections.call(io).await })).expect("it ends well");
    (runtime, linger)
}

#[library_benchmark]
#[benches::requests(args = [1, 1001], setup = plain, teardown = drop)]
fn plain_bare(connection: Connection<TcpStream>) -> (Runtime, LingerLayer) {
    bare(connection)
}

#[library_benchmark]
#[benches::requests(args = [1, 1001], setup = plain, teardown = drop)]
fn plain_layered(connection: Connection<TcpStream>) -> (Runtime, LingerLayer) {
    layered(connection)
}

#[library_benchmark]
#[benches::requests(args = [1, 1001], setup = tls, teardown = drop)]
fn tls_bare(connection: Connection<TlsStream<TcpStream>>) -> (Runtime, LingerLayer) {
    bare(connection)
}

#[library_benchmark]
#[benches::requests(args = [1, 1001], setup = tls, teardown = drop)]
fn tls_layered(connection: Connection<TlsStream<TcpStream>>) -> (Runtime, LingerLayer) {
    layered(connection)
}

library_benchmark_group!(name = connection, benchmarks = [plain_bare, plain_layered, tls_bare, tls_layered]);

main!(library_benchmark_groups = connection);

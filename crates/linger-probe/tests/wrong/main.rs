//! Servers with a deliberate fault: the row about the fault fails, and passes on the same server without it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use linger_probe::battery;
use linger_probe::check::{Abilities, check};
use linger_probe::model::{Row, Verdict};
use linger_probe::target::{Options, Target, Tls};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::server::{Running, accept_loop, listen};

mod framing;
mod http2;
mod serial;
mod tls;
mod uploads;
mod websocket;

/// What a server does wrong after its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Closes the socket while the client is still sending.
    ClosesAtOnce,
    /// Sends FIN, and closes the socket while the client is still sending.
    FinWithoutReading,
    /// Over TLS, sends FIN without `close_notify` before it.
    NoCloseNotify,
    /// Sends half of the body, then ends as if that were all.
    Truncates,
    /// Sends FIN, and keeps the socket forever.
    NeverReleases,
    /// Ends without a response.
    NoResponse,
}

const RESPONSE: &[u8] =
    b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\nConnection: close\r\n\r\ntoo big\n";

/// A server that serves each raw connection with this function.
async fn raw<F: Future<Output = io::Result<()>> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Clone + Send + 'static,
) -> Running {
    accept_loop(listen().await, tower::service_fn(serve))
}

/// Reads a request's head. None if the client is gone.
async fn head<IO: AsyncRead + Unpin>(io: &mut IO) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// Reads what comes until the end, for half a second at most.
async fn linger<IO: AsyncRead + Unpin>(io: &mut IO) {
    let all = async { while io.read(&mut [0; 4096]).await.is_ok_and(|bytes| bytes > 0) {} };
    let _ = tokio::time::timeout(Duration::from_millis(500), all).await;
}

/// Half-closes, and reads what comes.
async fn end<IO: AsyncRead + AsyncWrite + Unpin>(io: &mut IO) -> io::Result<()> {
    io.shutdown().await?;
    linger(io).await;
    Ok(())
}

/// Makes closing the socket send a reset.
fn reset(io: &TcpStream) {
    socket2::SockRef::from(io).set_linger(Some(Duration::ZERO)).expect("it is open");
}

/// Reads a request's head, answers it, and ends the connection as the fault says.
async fn serve<IO: AsyncRead + AsyncWrite + Unpin>(
    mut io: IO,
    fault: Fault,
    raw: fn(&IO) -> &TcpStream,
) -> io::Result<()> {
    if head(&mut io).await.is_none() {
        return Ok(());
    }
    let response = match fault {
        Fault::NoResponse => &[],
        Fault::Truncates => &RESPONSE[..RESPONSE.len() - 4],
        Fault::None
        | Fault::ClosesAtOnce
        | Fault::FinWithoutReading
        | Fault::NoCloseNotify
        | Fault::NeverReleases => RESPONSE,
    };
    io.write_all(response).await?;
    io.flush().await?;
    match fault {
        Fault::ClosesAtOnce => return Ok(()),
        Fault::NoCloseNotify => socket2::SockRef::from(raw(&io)).shutdown(std::net::Shutdown::Write)?,
        Fault::FinWithoutReading => return io.shutdown().await,
        Fault::None | Fault::Truncates | Fault::NeverReleases | Fault::NoResponse => io.shutdown().await?,
    }
    let mut chunk = vec![0; 64 << 10];
    let drained = async { while discard(raw(&io), &mut chunk).await {} };
    if fault == Fault::NeverReleases {
        drained.await;
        return std::future::pending().await;
    }
    // Servers limit how long they drain.
    _ = tokio::time::timeout(Duration::from_millis(500), drained).await;
    Ok(())
}

/// Reads from the socket, below TLS. Returns whether more may come.
async fn discard(tcp: &TcpStream, chunk: &mut [u8]) -> bool {
    if tcp.readable().await.is_err() {
        return false;
    }
    match tcp.try_read(chunk) {
        Ok(bytes) => bytes > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

async fn plain(fault: Fault) -> Running {
    accept_loop(listen().await, tower::service_fn(move |io: TcpStream| serve(io, fault, |io| io)))
}

async fn tls(fault: Fault, certs: &Certs) -> Running {
    let acceptor = TlsAcceptor::from(Arc::new(certs.server(&[Version::Tls13], ClientAuth::None)));
    let connections = tower::service_fn(move |io: TcpStream| {
        let acceptor = acceptor.clone();
        async move { serve(acceptor.accept(io).await?, fault, |io| io.get_ref().0).await }
    });
    accept_loop(listen().await, connections)
}

/// Runs the row of this name, over TLS if there are certificates.
async fn row(server: &Running, certs: Option<&Certs>, name: &str) -> Row {
    row_of(server, certs, name, &Abilities::default()).await
}

async fn row_of(server: &Running, certs: Option<&Certs>, name: &str, abilities: &Abilities) -> Row {
    let options = Options {
        repetitions: 3,
        timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(2),
        release_timeout: Duration::from_secs(4),
        websocket_path: Some("/".into()),
        ..Options::default()
    };
    judged(server, certs, name, abilities, options).await
}

async fn judged(
    server: &Running,
    certs: Option<&Certs>,
    name: &str,
    abilities: &Abilities,
    options: Options,
) -> Row {
    let tls = certs.map(|certs| Tls {
        name: server.address.ip().into(),
        config: Arc::new(certs.client(&[Version::Tls13])),
    });
    let target = Target::at(server.address, tls);
    let scenarios = battery::ALL.iter().filter(|scenario| scenario.name == name);
    let report = check(&target, &options, abilities, scenarios, |_| ()).await;
    report.rows.into_iter().next().expect("there is a scenario of this name")
}

#[track_caller]
fn assert_verdict(fault: Fault, row: &Row, expected: Verdict) {
    assert_eq!(row.verdict, expected, "{fault:?}: {row:#?}");
}

async fn assert_caught(fault: Fault, names: &[&str]) {
    let (right, wrong) = (plain(Fault::None).await, plain(fault).await);
    for name in names {
        assert_verdict(Fault::None, &row(&right, None, name).await, Verdict::Pass);
        assert_verdict(fault, &row(&wrong, None, name).await, Verdict::Fail);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_closes_at_once_is_caught() {
    assert_caught(Fault::ClosesAtOnce, &["early.stops_at_error", "early.chunked", "flood.bad_request"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_sends_fin_and_does_not_read_is_caught() {
    assert_caught(Fault::FinWithoutReading, &["early.stops_at_error", "flood.pipelined"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_truncates_is_caught() {
    assert_caught(Fault::Truncates, &["close.requested", "early.reads_while_writing"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_response_is_caught() {
    assert_caught(Fault::NoResponse, &["close.requested", "close.half_closed"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_releases_is_caught() {
    assert_caught(Fault::NeverReleases, &["release.silent", "release.trickle"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_close_notify_is_caught() {
    let certs = Certs::make();
    let (right, wrong) = (tls(Fault::None, &certs).await, tls(Fault::NoCloseNotify, &certs).await);
    for name in ["tls.close_notify", "tls.answered"] {
        assert_verdict(Fault::None, &row(&right, Some(&certs), name).await, Verdict::Pass);
    }
    let answered = row(&wrong, Some(&certs), "tls.answered").await;
    assert_verdict(Fault::NoCloseNotify, &answered, Verdict::NotApplicable);
    let row = row(&wrong, Some(&certs), "tls.close_notify").await;
    assert_verdict(Fault::NoCloseNotify, &row, Verdict::Fail);
    assert!(row.attempts.iter().all(|attempt| attempt.announced == Some(false)), "{row:#?}");
}

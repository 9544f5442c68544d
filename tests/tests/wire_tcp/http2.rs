//! The end of an HTTP/2 connection whose client never stops sending.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::routing::any;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::sync::{Notify, mpsc};
use tower::Layer as _;
use tower_linger::ClosePolicy;
use tower_linger_tests::peer::{Client, End};
use tower_linger_tests::server::{Http, Running, accept_loop, listen, reporting};
use tower_linger_tests::wire::{Capture, ResetWatch, Side};

use super::common::{LARGE_BYTES, TRIES, assert_peer_closed};

/// CONFORMANCE 8 and 13, RFC 9113 §6.8: a stream that GOAWAY allows is completed while the client sends
/// PINGs without end.
pub(crate) async fn a_response_after_goaway_reaches_a_client_that_keeps_sending() {
    let (linger, mut reports) = reporting(ClosePolicy::default());

    let gates = Gates::default();
    let http = Http::new(gates.app());
    let server = accept_loop(listen().await, linger.layer(http.clone()));
    let resets = ResetWatch::start(server.address.port()).expect("captures");
    let seen = goes_away(&server, &http, &gates).await;
    assert_eq!(seen, Seen { body: LARGE_BYTES, complete: true, end: Some(End::Fin) });
    assert_peer_closed(&reports.recv().await.expect("a report"));
    resets.assert_none(());

    // On a busy machine the client may have read everything before the reset, hence several tries.
    let mut lost = false;
    for _ in 0..TRIES {
        let gates = Gates::default();
        let http = Http::new(gates.app());
        let server = accept_loop(listen().await, http.clone());
        let capture = Capture::start_cut(server.address.port(), 100).expect("captures");
        lost |= !goes_away(&server, &http, &gates).await.complete;
        if lost {
            assert!(capture.wait_until(|seen| seen.resets(Side::Server) > 0), "without the layer");
            break;
        }
    }
    assert!(lost, "without the layer, {TRIES} times");
}

/// Keeps the order: request, GOAWAY, response.
#[derive(Clone, Default)]
struct Gates {
    called: Arc<Notify>,
    going_away: Arc<Notify>,
}

impl Gates {
    fn app(&self) -> Router {
        let (gates, large) = (self.clone(), Bytes::from(vec![b'.'; LARGE_BYTES]));
        Router::new().fallback(any(async move || {
            gates.called.notify_one();
            gates.going_away.notified().await;
            large
        }))
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    body: usize,
    complete: bool,
    end: Option<End>,
}

async fn goes_away(server: &Running, http: &Http, gates: &Gates) -> Seen {
    let client = Client::plain(server.address, Some(64 << 10)).await.expect("connects");
    let (reader, mut writer) = split(client);
    writer.write_all(&request()).await.expect("writes");
    let (answers, to_answer) = mpsc::unbounded_channel();
    let pinging = tokio::spawn(ping(writer, to_answer));
    let reading = tokio::spawn(read(reader, answers, Arc::clone(&gates.going_away)));
    gates.called.notified().await;
    http.shut_down();
    let seen = reading.await.expect("does not panic");
    pinging.abort();
    seen
}

/// Sends the reader's answers, and PINGs between them. Frames that need no answer keep the PINGs apart:
/// otherwise the server's answers would fill the connection, and the response would wait behind them.
async fn ping(mut writer: WriteHalf<Client>, mut answers: mpsc::UnboundedReceiver<Vec<u8>>) {
    let pings = [frame(PING, 0, 0, &[0; 8]), frame(UNKNOWN, 0, 0, &[0; 16_384])].concat();
    loop {
        let frames = answers.try_recv().unwrap_or_else(|_| pings.clone());
        if writer.write_all(&frames).await.is_err() {
            // Keeps the writing half, because the reader decides when the client is done.
            std::future::pending::<()>().await;
        }
    }
}

/// Reads to the connection's end.
async fn read(
    mut reader: ReadHalf<Client>,
    answers: mpsc::UnboundedSender<Vec<u8>>,
    going_away: Arc<Notify>,
) -> Seen {
    let mut seen = Seen::default();
    let mut payload = Vec::new();
    let end = loop {
        let mut head = [0; 9];
        if let Err(error) = reader.read_exact(&mut head).await {
            break error;
        }
        payload.resize(u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize, 0);
        if let Err(error) = reader.read_exact(&mut payload).await {
            break error;
        }
        let (kind, flags) = (head[3], head[4]);
        // Errors are ignored: the writer may have ended.
        let answer = |frame| _ = answers.send(frame);
        match (kind, flags) {
            (DATA, _) => {
                seen.body += payload.len();
                seen.complete |= flags & END_STREAM != 0;
            }
            (SETTINGS, 0) => answer(frame(SETTINGS, ACK, 0, &[])),
            (PING, 0) => answer(frame(PING, ACK, 0, &payload)),
            // The first GOAWAY announces the second, which names the last stream.
            (GOAWAY, _) if payload.starts_with(&STREAM.to_be_bytes()) => going_away.notify_one(),
            _ => {}
        }
    };
    seen.end = Some(End::of(&end));
    seen
}

/// Preface, the largest windows, and one GET.
fn request() -> Vec<u8> {
    const WINDOW: u32 = (1 << 31) - 1;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 §6.5.2).
    let [a, b, c, d] = WINDOW.to_be_bytes();
    bytes.extend(frame(SETTINGS, 0, 0, &[0, 4, a, b, c, d]));
    bytes.extend(frame(WINDOW_UPDATE, 0, 0, &(WINDOW - 65_535).to_be_bytes()));
    // From the static table (RFC 7541 appendix A): method GET, scheme http, path /; then an authority of 9
    // bytes.
    let headers = [&[0x82, 0x86, 0x84, 0x01, 9][..], b"localhost"].concat();
    bytes.extend(frame(HEADERS, END_STREAM | END_HEADERS, STREAM, &headers));
    bytes
}

/// RFC 9113 §4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("is short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

const STREAM: u32 = 1;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
/// A type that the server ignores (RFC 9113 §5.5).
const UNKNOWN: u8 = 0xfa;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// CONFORMANCE 13, RFC 9113 §5.4.1: GOAWAY, which says what was wrong, arrives although more garbage is on
/// its way.
pub(crate) async fn goaway_reaches_a_client_that_sends_garbage_after_the_preface() {
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let server = accept_loop(listen().await, linger.layer(Http::new(Router::new())));
    let resets = ResetWatch::start(server.address.port()).expect("captures");
    let bytes = sends_garbage(&server).await.expect("no reset");
    assert!(has_goaway(&bytes), "{bytes:?}");
    assert_peer_closed(&reports.recv().await.expect("a report"));
    resets.assert_none(());

    let server = accept_loop(listen().await, Http::new(Router::new()));
    let told = sends_garbage(&server).await.is_ok_and(|bytes| has_goaway(&bytes));
    assert!(!told, "without the layer");
}

/// Everything that the client receives. It gives up when a write fails.
async fn sends_garbage(server: &Running) -> std::io::Result<Vec<u8>> {
    let mut client = Client::plain(server.address, None).await?;
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
    // Each nine bytes are the header of a frame that is larger than allowed.
    let garbage = vec![0xff; 1 << 20];
    for _ in 0..32 {
        client.write_all(&garbage).await?;
    }
    let mut received = Vec::new();
    client.read_to_end(&mut received).await?;
    Ok(received)
}

/// Whether a GOAWAY is among these frames (RFC 9113 §4.1).
fn has_goaway(mut bytes: &[u8]) -> bool {
    while let [a, b, c, kind, rest @ ..] = bytes {
        if *kind == GOAWAY {
            return true;
        }
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        bytes = rest.get(5 + length..).unwrap_or_default();
    }
    false
}

//! Protocols other than HTTP: one of lines and one of frames, in three servers each. One serves them bare, one
//! has the layer around its service, and one wraps its connections when it accepts them.

use std::future::{pending, ready};
use std::io::{self, ErrorKind};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::codec::{Decoder, LengthDelimitedCodec};
use tower::{Layer, service_fn};
use tower_linger::{ClosePolicy, Ending, LingerIo, LingerLayer, Outcome, Shutdown};
use tower_linger_tests::peer::End;
use tower_linger_tests::server::{Running, accept_loop, listen, reporting};

const TRIES: usize = 20;
/// What the client sends behind its mistake: more than the two sockets hold.
const MORE: usize = 16 << 20;
const MAX_LINE: u64 = 100;

/// Answers `+PONG` to each line. One that is too long is refused, and ends the connection.
async fn lines<I: AsyncRead + AsyncWrite + Unpin>(io: I) -> io::Result<()> {
    let mut io = BufStream::new(io);
    loop {
        let mut line = Vec::new();
        (&mut io).take(MAX_LINE).read_until(b'\n', &mut line).await?;
        let answer = match line.last() {
            Some(b'\n') => "+PONG\r\n",
            Some(_) => "-ERR too long\r\n",
            None => "",
        };
        io.write_all(answer.as_bytes()).await?;
        io.flush().await?;
        if answer != "+PONG\r\n" {
            return io.shutdown().await;
        }
    }
}

/// Answers each frame by its content. One that is too long is refused, and ends the connection.
async fn frames<I: AsyncRead + AsyncWrite + Unpin>(io: I) -> io::Result<()> {
    let mut frames = codec().framed(io);
    while let Some(frame) = frames.next().await {
        match frame {
            Ok(frame) => frames.send(frame.freeze()).await?,
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                frames.send(Bytes::from_static(b"too long")).await?;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    SinkExt::<Bytes>::close(&mut frames).await
}

fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(100).new_codec()
}

/// Starts the same service bare, inside the layer, and on wrapped connections.
macro_rules! three_servers {
    ($serve:ident) => {{
        let linger = LingerLayer::default();
        let layered = linger.layer(service_fn($serve::<LingerIo<TcpStream>>));
        let wrapped = service_fn(move |io| $serve(linger.wrap(io)));
        [
            ("bare", accept_loop(listen().await, service_fn($serve::<TcpStream>))),
            ("layered", accept_loop(listen().await, layered)),
            ("wrapped", accept_loop(listen().await, wrapped)),
        ]
    }};
}

/// Sends all of this, reads only then, and stops at the first failure. What it has read, and how that ended.
async fn exchange(server: &Running, words: &[u8]) -> (Vec<u8>, End) {
    let mut read = Vec::new();
    let conversation = async {
        let mut client = TcpStream::connect(server.address).await?;
        client.write_all(words).await?;
        client.read_to_end(&mut read).await
    };
    let ended =
        timeout(Duration::from_secs(60), conversation).await.expect("no server keeps a client for so long");
    let end = ended.map_or_else(|error| End::of(&error), |_| End::Fin);
    (read, end)
}

/// How many of the clients heard everything that the service had to say, and then a FIN.
async fn heard(server: &Running, words: &[u8], answer: &[u8]) -> usize {
    let mut heard = 0;
    for _ in 0..TRIES {
        heard += usize::from(exchange(server, words).await == (answer.to_vec(), End::Fin));
    }
    heard
}

/// The commands that follow the mistake are never answered. The client sends them all before it reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_pipelines_commands_after_its_mistake_hears_of_it() {
    let mut words = [b"PING\r\n".repeat(3), vec![b'x'; 200], b"\r\n".to_vec()].concat();
    words.extend(b"PING\r\n".repeat(MORE / 6));
    let answer = [b"+PONG\r\n".repeat(3), b"-ERR too long\r\n".to_vec()].concat();
    for (name, server) in three_servers!(lines) {
        assert_heard(name, heard(&server, &words, &answer).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_sends_a_frame_that_is_too_long_hears_of_it() {
    let length = u32::try_from(MORE).expect("it fits").to_be_bytes();
    let words = [&b"\0\0\0\x05hello"[..], &length, &vec![b'x'; MORE]].concat();
    let answer = b"\0\0\0\x05hello\0\0\0\x08too long";
    for (name, server) in three_servers!(frames) {
        assert_heard(name, heard(&server, &words, answer).await);
    }
}

fn assert_heard(name: &str, heard: usize) {
    // How much a reset takes away is up to the system.
    let loses = usize::from(cfg!(target_os = "linux"));
    let (least, most) = if name == "bare" { (0, TRIES - loses) } else { (TRIES, TRIES) };
    assert!((least..=most).contains(&heard), "{name}: {heard} of {TRIES}");
}

/// Reads one line, says its last words, and drops the connection without ending its writes.
async fn drops<I: AsyncRead + AsyncWrite + Unpin>(mut io: I) -> io::Result<()> {
    let mut line = [0; 100];
    let length = io.read(&mut line).await?;
    io.write_all(b"bye\r\n").await?;
    if line[..length].starts_with(b"FAIL") { Err(ErrorKind::Other.into()) } else { Ok(()) }
}

/// A verb in capitals and a space also begin a request of HTTP/1, whose response ends with the connection:
/// there, a FIN would call a cut response complete.
#[tokio::test]
async fn a_verb_in_capitals_is_not_taken_for_a_request() {
    for words in ["EHLO client.example\r\n", "SET key value\r\n", "FAIL now\r\n", "PING\r\n", "GET\r\n"] {
        for (name, server) in three_servers!(drops) {
            let seen = exchange(&server, words.as_bytes()).await;
            assert_eq!(seen, (b"bye\r\n".to_vec(), End::Fin), "{name}, {words:?}");
        }
    }
    for words in ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\n\n", "GET /a_part_of_a_line"] {
        let [_, _, (_, wrapped)] = three_servers!(drops);
        let seen = exchange(&wrapped, words.as_bytes()).await;
        assert_eq!(seen, (b"bye\r\n".to_vec(), End::Reset), "{words:?}");
    }
}

/// Where only the end of the connection ends an answer, as in WHOIS, a failed service ends it by a reset.
#[tokio::test]
async fn a_failed_service_may_end_its_answer_by_a_reset() {
    let linger = LingerLayer::default().classify(|result: &io::Result<()>| match result {
        Ok(()) => Ending::Graceful,
        Err(_) => Ending::Abort,
    });
    let server = accept_loop(listen().await, linger.layer(service_fn(drops::<LingerIo<TcpStream>>)));
    for (words, end) in [("example.org\r\n", End::Fin), ("FAIL\r\n", End::Reset)] {
        assert_eq!(exchange(&server, words.as_bytes()).await, (b"bye\r\n".to_vec(), end), "{words:?}");
    }
}

/// Waits for a client that says nothing, or for the request to end, which has an answer.
async fn idles(mut io: LingerIo<TcpStream>, requested: impl Future<Output = ()>) -> io::Result<()> {
    tokio::select! {
        read = io.read_u8() => read.map(|_| ()),
        () = requested => {
            io.write_all(b"the server shuts down\r\n").await?;
            io.shutdown().await
        }
    }
}

/// A service that waits for the request of the shutdown has its last words, too. One that does not is cut at
/// the deadline, and counted.
#[tokio::test]
async fn a_shutdown_waits_for_the_last_words_of_an_idle_connection() {
    for (hears, outcome) in
        [(true, Outcome::PeerClosed { close_notify: false }), (false, Outcome::ShutdownCut)]
    {
        let (linger, _reports) = reporting(ClosePolicy::default());
        let shutdown = Shutdown::new(linger.tracker().clone(), Duration::from_millis(300));
        let handle = shutdown.handle();
        let server = accept_loop(
            listen().await,
            linger.layer(service_fn(move |io| {
                let requested = handle.requested();
                idles(io, async move { if hears { requested.await } else { pending().await } })
            })),
        );
        let mut client = TcpStream::connect(server.address).await.expect("loopback");
        while linger.tracker().served() == 0 {
            tokio::task::yield_now().await;
        }
        shutdown.handle().request();
        let reads = async {
            let mut read = String::new();
            let ended = client.read_to_string(&mut read).await;
            drop(client);
            (read, ended.is_ok())
        };
        let ((read, _), (_, summary)) = tokio::join!(reads, shutdown.finish(ready(())));
        assert_eq!(read == "the server shuts down\r\n", hears, "{read:?}");
        assert_eq!((summary.total(), summary.count(outcome)), (1, 1), "{summary}");
    }
}

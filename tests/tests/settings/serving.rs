//! The setting that bounds a connection while it is served.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufStream, duplex};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower_linger::{LingerLayer, Outcome, Phase, Plain};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::{Client, End, receive};
use tower_linger_tests::scripted::Script;
use tower_linger_tests::server::{Engine, listen, reporting};
use tower_linger_tests::until::until;

use super::scene::{LARGE_BYTES, SHORT, Scene, last_request, long, read_slowly, within};

#[tokio::test]
async fn write_idle_timeout_lets_a_client_go_that_never_reads() {
    for engine in Engine::ALL {
        for tls in [false, true] {
            let policy = long().write_idle_timeout(SHORT);
            let mut scene =
                if tls { Scene::tls(engine, policy).await } else { Scene::plain(engine, policy).await };
            let mut client = scene.asked("/large").await;
            let report = scene.report().await;
            assert_eq!(report.outcome, Outcome::FlushTimeout, "{engine:?}, TLS: {tls}");
            let clean_end = if tls { End::CloseNotify } else { End::Fin };
            let seen = receive(&mut client, clean_end).await;
            assert_eq!((seen.complete, seen.end), (false, End::Reset), "{engine:?}, TLS: {tls}");
        }
    }
}

#[tokio::test]
async fn without_write_idle_timeout_a_client_that_never_reads_stays() {
    for engine in Engine::ALL {
        let scene = Scene::plain(engine, long()).await;
        let mut client = scene.asked("/large").await;
        until("it is served", || scene.linger.tracker().served() == 1).await;
        // A later client of a server with the setting is let go first.
        let mut bounded = Scene::plain(engine, long().write_idle_timeout(SHORT)).await;
        let _later = bounded.asked("/large").await;
        assert_eq!(bounded.report().await.outcome, Outcome::FlushTimeout, "{engine:?}");
        assert!(scene.linger.tracker().served() == 1 && scene.has_no_report(), "{engine:?}");
        let seen = receive(&mut client, End::Fin).await;
        assert_eq!((seen.complete, seen.body), (true, LARGE_BYTES), "{engine:?}");
    }
}

/// The client reads so slowly that the kernel does not wake the server for longer than the timeout.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_idle_timeout_keeps_a_client_that_reads_slowly_and_steadily() {
    for engine in Engine::ALL {
        let scene = Scene::plain(engine, long().write_idle_timeout(5 * SHORT)).await;
        let mut client = scene.connect_with(Some(64 << 10)).await;
        client.write_all(&last_request("/large")).await.expect("loopback");
        read_slowly(&mut client).await;
        assert!(scene.has_no_report(), "{engine:?}");
        let rest = receive(&mut client, End::Fin).await;
        assert_eq!(rest.end, End::Fin, "{engine:?}");
    }
}

/// A TLS stream takes writes into a buffer of its own, so what waits is the flush.
#[tokio::test]
async fn write_idle_timeout_bounds_a_flush_too() {
    let certs = Certs::make();
    let acceptor = TlsAcceptor::from(Arc::new(certs.server(&Version::ALL, ClientAuth::None)));
    let (linger, mut reports) = reporting(long().write_idle_timeout(SHORT).build().expect("makes sense"));
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let connecting = Client::tls(address, Some(16 << 10), Arc::new(certs.client(&Version::ALL)));
    let accepting = async {
        let (io, _) = listener.accept().await.expect("loopback");
        acceptor.accept::<TcpStream>(io).await.expect("a handshake")
    };
    let (client, server) = tokio::join!(connecting, accepting);
    let mut io = linger.wrap(server);
    let failure = within(async {
        loop {
            io.write_all(&[7; 4 << 10]).await.expect("there is room in the session");
            if let Err(error) = io.flush().await {
                return error.kind();
            }
        }
    });
    assert_eq!(failure.await, ErrorKind::TimedOut);
    drop(io);
    let report = within(reports.recv()).await.expect("a report");
    assert_eq!(report.outcome, Outcome::FlushTimeout);
    drop(client);
}

/// How long a write may wait in the tests on a paused clock.
const LIMIT: Duration = Duration::from_secs(10);

fn limited() -> LingerLayer {
    LingerLayer::new(long().write_idle_timeout(LIMIT).build().expect("makes sense"))
}

/// Most transports have nothing to flush, so a flush that succeeds says nothing about the write that waits.
#[tokio::test(start_paused = true)]
async fn write_idle_timeout_goes_on_while_flushes_succeed() {
    let (_client, server) = duplex(16);
    let mut io = limited().wrap(server);
    io.write_all(&[7; 16]).await.expect("there is room");
    let began = Instant::now();
    for _ in 0..20 {
        if let Ok(written) = timeout(LIMIT / 10, io.write(&[7])).await {
            assert_eq!(written.expect_err("there is no room").kind(), ErrorKind::TimedOut);
            assert_eq!(began.elapsed(), LIMIT);
            return;
        }
        io.flush().await.expect("nothing to flush");
    }
    panic!("the limit is over");
}

#[tokio::test(start_paused = true)]
async fn write_idle_timeout_begins_anew_when_a_flush_has_ended() {
    let (script, io) = Script::new();
    let mut io = limited().wrap(io);
    io.write_all(&[7]).await.expect("there is room");
    for _ in 0..3 {
        script.stick(Phase::Flush);
        assert!(timeout(LIMIT * 9 / 10, io.flush()).await.is_err(), "it waits");
        script.stick(None);
        io.flush().await.expect("it is over");
        sleep(LIMIT * 2).await;
    }
    script.stick(Phase::Flush);
    let began = Instant::now();
    let failure = io.flush().await.expect_err("it waits");
    assert_eq!((failure.kind(), began.elapsed()), (ErrorKind::TimedOut, LIMIT));
}

/// A session takes what is written, although its last flush has to wait.
#[tokio::test(start_paused = true)]
async fn write_idle_timeout_begins_anew_when_a_write_is_taken() {
    let (_client, server) = duplex(16);
    let mut io = limited().wrap(Plain(BufStream::new(server)));
    for _ in 0..3 {
        io.write_all(&[7; 32]).await.expect("there is room in the buffer");
        assert!(timeout(LIMIT * 9 / 10, io.flush()).await.is_err(), "it waits");
    }
    assert_eq!(io.flush().await.expect_err("it waits").kind(), ErrorKind::TimedOut);
}

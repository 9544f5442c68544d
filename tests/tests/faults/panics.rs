//! Code of the user panics: handlers, bodies, services, classifiers, resolvers, and whoever observes.

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower_linger_tests::peer::{End, Manner};

use super::certificates::PANICS;
use super::good::Good;
use super::menagerie::Menagerie;
use super::scene::{Server, Target};

pub(crate) async fn tasks_that_panic_end_only_their_own_connection() {
    let mut server = Server::start(&[]).await;
    let (doors, good) = (server.doors(), Good::start(&server.doors()));
    let mut menagerie = Menagerie::open(&mut server).await;
    let mut caused = 0;
    for target in [Target::Plain, Target::Tls, Target::Own] {
        for path in ["/panic", "/panic-body"] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
            let client = doors.connect(target, None).await;
            let seen = client.exchange(request.as_bytes(), 0, Manner::ReadsWhileWriting).await;
            assert!(!seen.complete && seen.end != End::CloseNotify, "{target:?} {path}: {seen:?}");
            caused += 1;
        }
    }
    // A service, and a classifier.
    for kind in [b"p", b"c"] {
        let client = doors.connect(Target::Raw, None).await;
        let seen = client.exchange(kind, 0, Manner::ReadsWhileWriting).await;
        assert!(!seen.complete, "{kind:?}: {seen:?}");
        caused += 1;
    }
    for target in [Target::Tls, Target::Raw] {
        let tcp = TcpStream::connect(doors.address(target)).await.expect("it listens");
        let connector = TlsConnector::from(doors.tls(target).expect("TLS"));
        let name = PANICS.try_into().expect("a name");
        assert!(connector.connect(name, tcp).await.is_err(), "{target:?}: its resolver has panicked");
        caused += 1;
    }
    menagerie.ask_again().await;
    good.served_more(6).await;
    good.assert_all_served().await;
    menagerie.go(&mut server).await;
    let state = server.assert_at_rest(true).await;
    assert_eq!(state.number("caused_panics"), caused, "{state:#?}");
}

/// `on_close` panics at each report of `serve`.
pub(crate) async fn observers_that_panic_take_no_connection() {
    with_panics_at_each_close("observer-panics").await;
}

pub(crate) async fn recorders_that_panic_take_no_connection() {
    with_panics_at_each_close("recorder-panics").await;
}

pub(crate) async fn subscribers_that_panic_take_no_connection() {
    with_panics_at_each_close("subscriber-panics").await;
}

async fn with_panics_at_each_close(option: &str) {
    let mut server = Server::start(&[option]).await;
    let good = Good::start(&server.doors());
    let mut menagerie = Menagerie::open(&mut server).await;
    good.served_more(15).await;
    menagerie.ask_again().await;
    good.assert_all_served().await;
    menagerie.go(&mut server).await;
    server.assert_at_rest(true).await;
}

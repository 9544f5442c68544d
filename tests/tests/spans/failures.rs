//! Events of what fails before there is a connection to close.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tokio_rustls::TlsAcceptor;
use tower::{Layer as _, Service as _};
use tower_linger::{LingerLayer, Listener, serve};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::until::until;

use crate::capture::{Fields, SEEN, install};

/// The events with this message.
fn events(message: &str) -> Vec<Fields> {
    let seen = SEEN.lock().expect("no panic");
    let events = seen.events.iter().map(|(event, _)| event);
    events.filter(|event| event.get("message") == Some(message)).cloned().collect()
}

#[tokio::test]
async fn a_failed_handshake_is_an_event_with_its_error() {
    install();
    let config = Certs::make().server(&[Version::Tls13], ClientAuth::None);
    let service = tower::service_fn(async |_| Ok::<_, io::Error>(()));
    let mut tls =
        LingerLayer::default().named("handshake").tls(TlsAcceptor::from(Arc::new(config))).layer(service);
    let (mut client, server) = duplex(1024);
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("there is room");
    drop(client);
    let error = tls.call(server).await.expect_err("that is not TLS").to_string();
    let events = events("handshake");
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].get("error"), Some(&*error), "{events:?}");
}

/// The first accept fails, and nobody else comes.
struct Failing(Option<io::Error>);

impl Listener for Failing {
    type Io = DuplexStream;
    type Address = ();

    fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<(DuplexStream, ())>> {
        self.0.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error)))
    }
}

#[tokio::test]
async fn a_failed_accept_is_an_event_with_its_error() {
    install();
    let no_descriptor = Failing(Some(io::Error::other("no descriptor is left")));
    let server = tokio::spawn(async { serve(no_descriptor, Router::new()).await });
    until("an accept fails", || !events("accept").is_empty()).await;
    assert_eq!(events("accept")[0].get("error"), Some("no descriptor is left"));
    server.abort();
}

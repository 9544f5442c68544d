//! A server that answers and closes before its client has finished the handshake.

use std::io::Write as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ServerConfig, ServerConnection};
use tower_linger::LingerLayer;
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::server::listen;

/// More than the client's receive buffer holds, less than the server's send buffer.
static RESPONSE: [u8; 500_000] = [b'a'; 500_000];

/// CONFORMANCE 16, RFC 8446 §4.4.4: response and `close_notify` leave with the server's first flight, so the
/// client's Finished arrives at a connection that is closing already. tokio-rustls waits for the Finished, so
/// this server drives rustls itself.
pub(crate) async fn a_response_before_the_clients_finished_arrives_whole() {
    let certs = Certs::make();
    for layer in [true, false] {
        let listener = listen().await;
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(64 << 10).expect("a socket");
        let tcp = socket.connect(listener.local_addr().expect("bound")).await.expect("loopback");
        let config = Arc::new(certs.client(&[Version::Tls13]));
        let mut connect =
            pin!(TlsConnector::from(config).connect("localhost".try_into().expect("a name"), tcp));
        // One poll: the client sends its first flight and reads nothing yet.
        let waits = std::future::poll_fn(|cx| Poll::Ready(connect.as_mut().poll(cx).is_pending())).await;
        assert!(waits, "it has no answer yet");

        let (server, _) = listener.accept().await.expect("loopback");
        SockRef::from(&server).set_send_buffer_size(1 << 20).expect("a socket");
        let mut config = certs.server(&[Version::Tls13], ClientAuth::None);
        config.send_half_rtt_data = true;
        if layer {
            answer_at_once(LingerLayer::default().wrap(server), config).await;
        } else {
            answer_at_once(server, config).await;
        }

        let mut received = Vec::new();
        let end = match connect.await {
            Ok(mut client) => client.read_to_end(&mut received).await,
            Err(error) => Err(error),
        };
        assert_eq!(end.is_ok() && received == RESPONSE, layer, "layer: {layer}: {} bytes", received.len());
    }
}

/// Reads the client's first flight, answers with everything, and drops the connection.
async fn answer_at_once(mut io: impl AsyncRead + AsyncWrite + Unpin, config: ServerConfig) {
    let mut session = ServerConnection::new(Arc::new(config)).expect("a server");
    session.set_buffer_limit(None);
    let mut hello = [0; 4096];
    while !session.wants_write() {
        let bytes = io.read(&mut hello).await.expect("loopback");
        session.read_tls(&mut &hello[..bytes]).expect("in memory");
        session.process_new_packets().expect("a ClientHello");
    }
    assert!(session.is_handshaking(), "the client's Finished is not here yet");
    session.writer().write_all(&RESPONSE).expect("in memory");
    session.send_close_notify();
    let mut flight = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut flight).expect("in memory");
    }
    assert!(flight.len() > RESPONSE.len(), "the response leaves before the client's Finished");
    io.write_all(&flight).await.expect("the send buffer takes it");
}

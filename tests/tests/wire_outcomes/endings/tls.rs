//! How TLS sessions end.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};

use super::scene::{Held, Scene, check, endings, exchange, read_all};

/// RFC 8446 §6.1, in both versions: which side said `close_notify`, and what became of it.
pub(crate) async fn each_end_of_a_session_is_told() {
    let list = endings! {
        Both both_say_close_notify(Version::Tls12) => ["normal by server"];
        Both both_say_close_notify(Version::Tls13) => ["normal by server"];
        Both nobody_says_close_notify(Version::Tls12) => [
            "normal by server; NoCloseNotify of client; NoCloseNotify of server"
        ];
        Both nobody_says_close_notify(Version::Tls13) => [
            "normal by server; NoCloseNotify of client; NoCloseNotify of server"
        ];
        Both close_notify_meets_a_reset(Version::Tls12) => [
            "reset by server (AnswersLateSegment, 0 unread*); server closed first; CloseNotifyReset by server"
        ];
        Both close_notify_meets_a_reset(Version::Tls13) => [
            "reset by server (AnswersLateSegment, 0 unread*); server closed first; CloseNotifyReset by server"
        ];
        Both cut_in_a_record(Version::Tls12) => [
            "normal by server; NoCloseNotify of client; NoCloseNotify of server; CutInRecord of server"
        ];
        Both cut_in_a_record(Version::Tls13) => [
            "normal by server; NoCloseNotify of client; NoCloseNotify of server; CutInRecord of server"
        ];
        // It is sent before anything is encrypted.
        Both no_certificate(Version::Tls12) => ["normal by *; Alert 116 of server*"];
        Both no_certificate(Version::Tls13) => ["normal by *; Alert of server*"];
    };
    check("tls", &list).await;
}

type Server = server::TlsStream<TcpStream>;
type Client = client::TlsStream<TcpStream>;

/// A session over which a request was answered.
async fn idle(scene: Scene, version: Version) -> (Server, Client) {
    let certs = Certs::make();
    let (tcp_server, tcp_client) = scene.connect().await;
    let accept = acceptor(certs.server(&[version], ClientAuth::None)).accept(tcp_server);
    let name = "localhost".try_into().expect("a name");
    let connect = TlsConnector::from(Arc::new(certs.client(&[version]))).connect(name, tcp_client);
    let (server, client) = tokio::join!(accept, connect);
    let (mut server, mut client) = (server.expect("loopback"), client.expect("loopback"));
    exchange(&mut server, &mut client).await;
    (server, client)
}

fn acceptor(config: ServerConfig) -> TlsAcceptor {
    TlsAcceptor::from(Arc::new(config))
}

async fn both_say_close_notify(scene: Scene, version: Version) {
    let (mut server, mut client) = idle(scene, version).await;
    server.shutdown().await.expect("loopback");
    assert_eq!(client.read(&mut [0; 1]).await.expect("close_notify"), 0);
    client.shutdown().await.expect("loopback");
    assert_eq!(server.read(&mut [0; 1]).await.expect("close_notify"), 0);
}

async fn nobody_says_close_notify(scene: Scene, version: Version) {
    let (server, client) = idle(scene, version).await;
    let (server, mut client) = (server.into_inner().0, client.into_inner().0);
    drop(server);
    assert_eq!(read_all(&mut client).await.expect("a FIN"), 0);
}

async fn close_notify_meets_a_reset(scene: Scene, version: Version) {
    let (mut server, mut client) = idle(scene, version).await;
    server.shutdown().await.expect("loopback");
    drop(server);
    assert_eq!(client.read(&mut [0; 1]).await.expect("close_notify"), 0);
    client.get_mut().1.send_close_notify();
    client.flush().await.expect("the kernel takes it");
    let tcp = client.into_inner().0;
    tower_linger_tests::until::until("the reset", || tcp.peer_addr().is_err()).await;
}

/// The header of a record of 1000 bytes, and 100 of them.
async fn cut_in_a_record(scene: Scene, version: Version) {
    let (server, mut client) = idle(scene, version).await;
    let mut server = server.into_inner().0;
    server.write_all(&[&[23, 3, 3, 3, 232][..], &[0; 100]].concat()).await.expect("loopback");
    drop(server);
    client.read(&mut [0; 1]).await.expect_err("cut");
}

async fn no_certificate(scene: Scene, version: Version) -> Held {
    let certs = Certs::make();
    let (tcp_server, tcp_client) = scene.connect().await;
    let accept = acceptor(certs.server(&[version], ClientAuth::Required)).accept(tcp_server).into_fallible();
    let name = "localhost".try_into().expect("a name");
    let connect = TlsConnector::from(Arc::new(certs.client(&[version]))).connect(name, tcp_client);
    let client = async {
        // In TLS 1.3 the client's handshake is over before the server's, and the alert comes afterwards.
        if let Ok(mut client) = connect.await {
            client.read(&mut [0; 1]).await.expect_err("an alert");
        }
    };
    let (refused, ()) = tokio::join!(
        async {
            let (_, mut tcp) = accept.await.expect_err("no certificate");
            tcp.shutdown().await.expect("loopback");
            tcp
        },
        client
    );
    let mut tcp = refused;
    let _ = read_all(&mut tcp).await;
    Box::new(tcp)
}

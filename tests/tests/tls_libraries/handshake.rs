//! What a client learns of a handshake that fails, and what the server learns of it.

use std::sync::Arc;

use tokio::net::TcpStream;
use tower::{Layer as _, Service as _, service_fn};
use tower_linger::{HandshakeError, LingerIo, LingerLayer, TlsAcceptError};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::{Client, End, Manner, alert_to, head};
use tower_linger_tests::server::{BareTls, BoxError, Running, accept_loop, listen};

use super::library::Library;
use super::site::{TRIES, UPLOAD_BYTES};

/// A server that drops each connection as soon as its handshake is done.
async fn layered<L: Library>(acceptor: L, linger: &LingerLayer) -> Running {
    let connections = linger.clone().try_tls(acceptor).expect("the default policy").layer(service_fn(
        async |io: LingerIo<L::Stream<TcpStream>>| {
            drop(io);
            Ok::<_, BoxError>(())
        },
    ));
    accept_loop(listen().await, connections)
}

async fn bare<L: Library>(acceptor: L) -> Running {
    let dropped = service_fn(async |io: L::Stream<TcpStream>| {
        drop(io);
        Ok::<_, BoxError>(())
    });
    accept_loop(listen().await, BareTls::new(acceptor, dropped))
}

/// What clients are told that have no version in common with the server, and keep sending.
pub(super) async fn no_common_version<L: Library>(certs: &Certs, version: Version) -> String {
    let other = Version::ALL.into_iter().find(|other| *other != version).expect("there are two");
    let more = vec![0; 8 << 20];
    let told = async |server: Running| {
        let mut told = Vec::new();
        for _ in 0..TRIES {
            told.push(alert_to(server.address, certs.client(&[other]), &more).await);
        }
        told
    };
    let acceptor = || L::acceptor(certs, version, ClientAuth::None).expect("without certificates");
    let linger = LingerLayer::default();
    let with = told(layered(acceptor(), &linger).await).await;
    linger.tracker().wait().await;
    let without = told(bare(acceptor()).await).await;
    compared::<L>(&with, &without)
}

/// What clients are told that have no certificate. In TLS 1.3 such a client has sent its request by then.
pub(super) async fn no_certificate<L: Library>(certs: &Certs, version: Version) -> String {
    let told = async |server: Running| {
        let mut told = Vec::new();
        for _ in 0..TRIES {
            let tls = Arc::new(certs.client(&[version]));
            let seen = match Client::tls(server.address, None, tls).await {
                Ok(client) => {
                    let (head, manner) = (head("PUT", "/", UPLOAD_BYTES), Manner::StopsAtFailedWrite);
                    client.exchange(&head, UPLOAD_BYTES, manner).await.end
                }
                Err(error) => End::of(&error),
            };
            told.push(match seen {
                End::Alert(alert) => Some(alert),
                End::CloseNotify => Some("CloseNotify".to_owned()),
                _ => None,
            });
        }
        told
    };
    let Some(acceptor) = L::acceptor(certs, version, ClientAuth::Required) else { return "–".to_owned() };
    let linger = LingerLayer::default();
    let with = told(layered(acceptor.clone(), &linger).await).await;
    linger.tracker().wait().await;
    let without = told(bare(acceptor).await).await;
    if version == Version::Tls12 {
        // The client waits for the server and sends nothing, so it is told without the layer as well.
        return summary(&with);
    }
    compared::<L>(&with, &without)
}

/// How a server names the failure that a client's alert tells it of.
pub(super) async fn clients_alert<L: Library>(certs: &Certs, version: Version) -> String {
    let acceptor = L::acceptor(certs, version, ClientAuth::None).expect("without certificates");
    let mut connections = LingerLayer::default().try_tls(acceptor).expect("the default policy").layer(
        service_fn(async |io: LingerIo<L::Stream<TcpStream>>| {
            drop(io);
            Ok::<_, BoxError>(())
        }),
    );
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    // It trusts another authority.
    let tls = Arc::new(Certs::make().client(&[version]));
    let client = tokio::spawn(Client::tls(address, None, tls));
    let (server, _) = listener.accept().await.expect("loopback");
    let reason = match connections.call(server).await {
        Err(TlsAcceptError::Handshake(HandshakeError::Failed(error))) => L::failure_reason(&error),
        other => panic!("{}, {version:?}: {other:?}", L::NAME),
    };
    client.await.expect("no panic").expect_err("it does not trust the server");
    reason.to_owned()
}

/// With the layer, at least as many are told the same.
fn compared<L: Library>(with: &[Option<String>], without: &[Option<String>]) -> String {
    let (with, of_bare) = (summary(with), without.iter().flatten().count());
    assert!(of_bare < TRIES, "{}: without the layer all are told, too: {without:?}", L::NAME);
    with
}

fn summary(told: &[Option<String>]) -> String {
    let mut alerts: Vec<_> = told.iter().flatten().map(String::as_str).collect();
    let count = alerts.len();
    alerts.sort_unstable();
    alerts.dedup();
    if alerts.is_empty() { "no alert".to_owned() } else { format!("{} {count} of {TRIES}", alerts.join("/")) }
}

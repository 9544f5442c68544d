//! What only some systems can do. It is Linux that shows it here, also where the code is the one for others.

use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use nix::libc;
use nix::sys::socket::getsockopt;
use nix::{getsockopt_impl, sockopt_impl};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tower_linger::{ClosePolicy, Listener as _, Outcome, Transport as _, close};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::server::{listen, reporting};
use tower_linger_tests::until::until;
use tower_linger_tests::wire::{Capture, Event, Part, Side};

use super::tcp::{IDLE, impatient, pair};

/// One call discards everything that has arrived, which is more than the buffer that other systems read into.
/// The unit test `discarding_writes_nothing` of `transport/sys/linux.rs` shows that no byte was copied.
pub(crate) async fn discards_more_than_a_buffer() -> bool {
    const BUFFER: usize = 64 << 10;
    let (client, mut server) = pair().await;
    // What our receive buffer and the client's send buffer take.
    let mut sent = 0;
    until("the buffers are full", || {
        let written = client.try_write(&[0; 16 << 10]);
        sent += written.as_ref().unwrap_or(&0);
        written.is_err()
    })
    .await;
    assert!(sent > 4 * BUFFER, "this shows nothing: {sent}");
    let limit = NonZeroUsize::new(1 << 20).expect("not zero");
    let discarded = poll_fn(|cx| server.poll_discard(cx, limit)).await.expect("loopback");
    discarded > BUFFER
}

/// The client reads nothing.
pub(crate) async fn knows_what_is_unacked() -> bool {
    let (client, server) = pair().await;
    let mut written = 0;
    while let Ok(bytes) = server.try_write(&[0; 16 << 10]) {
        written += bytes as u64;
    }
    let (linger, mut reports) = reporting(impatient());
    drop(linger.wrap(server));
    let report = reports.recv().await.expect("reported");
    drop(client);
    report.unacked.is_some_and(|unacked| 0 < unacked && unacked <= written)
}

pub(crate) async fn joins_alert_and_fin() -> bool {
    let certs = Certs::make();
    let acceptor = TlsAcceptor::from(Arc::new(certs.server(&[Version::Tls13], ClientAuth::None)));
    let connector = TlsConnector::from(Arc::new(certs.client(&[Version::Tls13])));
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let capture = Capture::start(address.port()).expect("captures");
    let client = TcpStream::connect(address).await.expect("loopback");
    let (server, _) = listener.accept().await.expect("loopback");
    let name = ServerName::try_from("localhost").expect("a name");
    let (client, server) = tokio::join!(connector.connect(name, client), acceptor.accept(server));
    let (mut client, server) = (client.expect("loopback"), server.expect("loopback"));
    let closing = tokio::spawn(close(server, &ClosePolicy::default()));
    client.read_to_end(&mut Vec::new()).await.expect("a close_notify");
    drop(client);
    assert!(closing.await.expect("no panic").sent_close_notify);
    let lines = capture.finish().expect("captures").lines();
    lines.iter().any(|line| line == "server: alert + FIN")
}

/// A second descriptor shows the low-water mark.
pub(crate) async fn gathers() -> bool {
    sockopt_impl!(ReceiveLowWater, GetOnly, libc::SOL_SOCKET, libc::SO_RCVLOWAT, i32);
    const FLOOD: usize = 8 << 20;
    let (mut client, server) = pair().await;
    let second = server.as_fd().try_clone_to_owned().expect("a second descriptor");
    let closing = tokio::spawn(close(server, &impatient()));
    client.write_all(&vec![0; FLOOD]).await.expect("it is drained");
    let mut was_raised = false;
    until("the flood is over", || {
        was_raised |= getsockopt(&second, ReceiveLowWater).expect("a socket has one") > 1;
        was_raised || closing.is_finished()
    })
    .await;
    drop(client);
    let report = closing.await.expect("no panic");
    assert_eq!(report.bytes_drained, FLOOD as u64);
    was_raised
}

/// The client stays, and everything is acknowledged.
pub(crate) async fn releases_early() -> bool {
    let policy = ClosePolicy::builder().early_release(2).drain_idle_timeout(3 * IDLE).build();
    let Ok(policy) = policy else { return false };
    let (client, server) = pair().await;
    let report = close(server, &policy).await;
    drop(client);
    report.outcome == Outcome::Acknowledged
}

/// A second descriptor shows what the kernel was told before the release.
pub(crate) async fn bounds_orphans() -> bool {
    let bound = Duration::from_secs(5);
    let policy = ClosePolicy::builder().orphan_timeout(bound).drain_idle_timeout(IDLE).build();
    let Ok(policy) = policy else { return false };
    let (client, server) = pair().await;
    let second = server.as_fd().try_clone_to_owned().expect("a second descriptor");
    assert_eq!(close(server, &policy).await.outcome, Outcome::DrainIdle);
    drop(client);
    SockRef::from(&second).tcp_user_timeout().expect("a TCP socket") == Some(bound)
}

/// Who is in the queue is accepted, while a SYN that comes later is not answered.
pub(crate) async fn refuses_quietly() -> bool {
    let mut listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let _queued = TcpStream::connect(address).await.expect("loopback");
    if !listener.set_refuses_new(true) {
        return false;
    }
    let capture = Capture::start(address.port()).expect("captures");
    let late = tokio::spawn(TcpStream::connect(address));
    let is_syn = |event: &Event| event.side == Side::Client && event.parts.contains(&Part::Syn);
    assert!(capture.wait_until(|seen| seen.events().iter().any(is_syn)), "the late client sends its SYN");
    TcpListener::accept(&listener).await.expect("it was in the queue");
    let is_refused = timeout(Duration::ZERO, TcpListener::accept(&listener)).await.is_err();
    late.abort();
    is_refused
}

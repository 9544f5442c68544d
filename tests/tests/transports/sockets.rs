//! Unusual sockets, on Linux.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::pin::pin;
use std::sync::Arc;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, TimestampingFlag, send, setsockopt, socketpair, sockopt,
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tower_linger::{ClosePolicy, Outcome, close};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};

use super::pair;

/// While nobody empties a socket's error queue, the kernel always calls the socket writable.
#[tokio::test(start_paused = true)]
async fn an_error_queue_does_not_make_an_early_release_spin() {
    let policy = ClosePolicy::builder().early_release(1_000).build().expect("makes sense");
    for stamps in [false, true] {
        let (client, server) = pair().await;
        if stamps {
            let flags =
                TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE;
            setsockopt(&server, sockopt::Timestamping, &flags).expect("Linux has it");
        }
        // More than the client's kernel takes, so the FIN is not acknowledged.
        while server.try_write(&[0; 8 << 10]).is_ok() {}
        if stamps {
            server.ready(Interest::ERROR).await.expect("the time stamps are in the queue");
        }
        let mut closing = pin!(close(server, &policy));
        let mut polls = 0;
        let report = poll_fn(|cx| {
            polls += 1;
            assert!(polls < 20, "with time stamps: {stamps}");
            closing.as_mut().poll(cx)
        })
        .await;
        assert_eq!(report.outcome, Outcome::DrainIdle, "with time stamps: {stamps}");
        drop(client);
    }
}

/// With `MSG_TRUNC`, a socket of packets returns a packet's whole length, even if that is more than was asked
/// for.
#[tokio::test]
async fn a_packet_longer_than_the_limit_is_counted_up_to_the_limit() {
    const LIMIT: u64 = 10;
    let builder = ClosePolicy::builder().drain_limit_bytes(LIMIT);
    for policy in [builder.without_drain(), builder] {
        let policy = policy.build().expect("makes sense");
        let (ours, _theirs) = packets();
        let io = UnixStream::from_std(ours.into()).expect("in a runtime");
        let report = close(io, &policy).await;
        assert!((1..=LIMIT).contains(&report.bytes_drained), "{report}");

        let (ours, _theirs) = packets();
        let io = TcpStream::from_std(ours.into()).expect("in a runtime");
        let report = close(io, &policy).await;
        assert!((1..=LIMIT).contains(&report.bytes_drained), "taken for TCP: {report}");
    }
}

/// A socket with two packets, and its peer.
fn packets() -> (OwnedFd, OwnedFd) {
    let flags = SockFlag::SOCK_NONBLOCK;
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).expect("Linux has it");
    for _ in 0..2 {
        send(theirs.as_raw_fd(), &[0; 1_000], MsgFlags::empty()).expect("there is room");
    }
    (ours, theirs)
}

/// A corked MPTCP connection would delay its FIN by 200 ms; a corked TCP connection sends it with the alert.
#[tokio::test]
async fn an_mptcp_connection_is_not_corked() {
    let certs = Certs::make();
    let acceptor = TlsAcceptor::from(Arc::new(certs.server(&Version::ALL, ClientAuth::None)));
    let connector = TlsConnector::from(Arc::new(certs.client(&Version::ALL)));
    for protocol in [Protocol::TCP, Protocol::MPTCP] {
        let (client, server) = match pair_by(protocol) {
            // A developer's kernel may lack MPTCP; CI's must not.
            Err(error)
                if error.raw_os_error() == Some(nix::libc::EPROTONOSUPPORT)
                    && std::env::var_os("CI").is_none() =>
            {
                eprintln!("not tried: this kernel has no MPTCP");
                continue;
            }
            pair => pair.expect("loopback"),
        };
        let descriptor = server.as_fd().try_clone_to_owned().expect("a second descriptor");
        assert_eq!(SockRef::from(&descriptor).protocol().expect("a socket"), Some(protocol));
        let name = ServerName::try_from("localhost").expect("a name");
        let (client, server) = tokio::join!(connector.connect(name, client), acceptor.accept(server));
        let (mut client, mut server) = (client.expect("loopback"), server.expect("loopback"));

        server.write_all(b"answer").await.expect("loopback");
        let closing = tokio::spawn(close(server, &ClosePolicy::default()));
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.expect("close_notify");
        assert_eq!(received, b"answer");
        let (mut client, _) = client.into_inner();
        assert_eq!(client.read(&mut [0; 1]).await.expect("FIN"), 0);
        drop(client);
        let report = closing.await.expect("no panic");
        assert_eq!((report.outcome, report.sent_close_notify), (PEER_CLOSED, true), "{protocol:?}");
        // The code for other systems does not cork.
        let corks = protocol == Protocol::TCP && cfg!(not(tower_linger_portable));
        assert_eq!(SockRef::from(&descriptor).tcp_cork().expect("a TCP socket"), corks, "{protocol:?}");
    }
}

const PEER_CLOSED: Outcome = Outcome::PeerClosed { close_notify: false };

/// The two ends of a connection, client first.
fn pair_by(protocol: Protocol) -> io::Result<(TcpStream, TcpStream)> {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, Some(protocol));
    let (listener, client) = (socket()?, socket()?);
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    listener.listen(1)?;
    client.connect(&listener.local_addr()?)?;
    let (server, _) = listener.accept()?;
    let stream = |socket: Socket| {
        socket.set_nonblocking(true)?;
        TcpStream::from_std(socket.into())
    };
    Ok((stream(client)?, stream(server)?))
}

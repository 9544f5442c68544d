//! What the network does to a connection that is being closed.

use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::process::Stdio;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::process::Command;
use tower_linger::{ClosePolicy, CloseReport, LingerLayer, Outcome, Phase, Plain, Release, close};
use tower_linger_tests::counters::Counters;
use tower_linger_tests::trace::Trace;
use tower_linger_tests::wire::{Capture, Part, Side};

use super::scene::{SERVER, connect, heal, on_the_way_to_the_client, patient, ss};

const SECOND: Duration = Duration::from_secs(1);
const RESPONSE: [u8; 10_000] = [b'a'; 10_000];

/// Makes the kernel give up after a second without acknowledgement (tcp(7), `TCP_USER_TIMEOUT`).
fn give_up_after_a_second(server: &TcpStream) {
    SockRef::from(server).set_tcp_user_timeout(Some(SECOND)).expect("Linux has it");
}

fn patient_policy() -> ClosePolicy {
    patient().build().expect("makes sense")
}

/// CONFORMANCE 32 and 34.
pub(super) async fn a_peers_fin_is_peer_closed_and_leaves_nothing_unacknowledged() {
    let trace = Trace::start();
    let (mut server, mut client) = connect().await;
    server.write_all(&RESPONSE).await.expect("loopback");
    let closing = tokio::spawn(async move { close(server, &ClosePolicy::default()).await });
    assert_eq!(client.read_to_end(&mut Vec::new()).await.expect("no reset"), RESPONSE.len());
    drop(client);
    let report = closing.await.expect("no panic");
    assert_eq!(report.outcome, Outcome::PeerClosed { close_notify: false });
    assert_eq!((report.unacked, report.failure), (Some(0), None));
    trace.assert("a_peers_fin_is_peer_closed_and_leaves_nothing_unacknowledged", &["normal by server"]);
}

/// CONFORMANCE 32: zero linger at the peer.
pub(super) async fn a_peers_zero_linger_is_peer_reset() {
    let trace = Trace::start();
    let (server, mut client) = connect().await;
    let closing = tokio::spawn(async move { close(server, &patient_policy()).await });
    assert_eq!(client.read(&mut [0; 1]).await.expect("a FIN first"), 0);
    client.set_zero_linger().expect("TCP");
    drop(client);
    let report = closing.await.expect("no panic");
    assert_eq!((report.outcome, report.ended_in), (Outcome::PeerReset, Phase::Drain));
    assert_eq!(report.failure.expect("kept").kind(), ErrorKind::ConnectionReset);
    trace.assert(
        "a_peers_zero_linger_is_peer_reset",
        &["reset by client (Abort, 0 unread); server closed first"],
    );
}

/// CONFORMANCE 32 and 33: a middlebox answers the FIN, or the response before the close, with a RST.
pub(super) async fn a_reset_forged_on_the_way_is_peer_reset_whoever_sees_it_first() {
    let trace = Trace::start();
    let (server, _client) = connect().await;
    on_the_way_to_the_client("reject with tcp reset");
    let report = close(server, &patient_policy()).await;
    assert_eq!((report.outcome, report.unacked), (Outcome::PeerReset, Some(0)));

    heal();
    let (mut server, _client) = connect().await;
    on_the_way_to_the_client("reject with tcp reset");
    server.write_all(&RESPONSE).await.expect("the kernel takes it");
    let report = close(server, &patient_policy()).await;
    assert_eq!((report.outcome, report.unacked), (Outcome::PeerReset, Some(RESPONSE.len() as u64)));

    // The service reads the reset, so the kernel does not report it to the close.
    heal();
    let (server, _client) = connect().await;
    let linger = LingerLayer::new(patient_policy());
    let mut server = linger.wrap(server);
    on_the_way_to_the_client("reject with tcp reset");
    server.write_all(&RESPONSE).await.expect("the kernel takes it");
    assert_eq!(server.read(&mut [0; 1]).await.expect_err("reset").kind(), ErrorKind::ConnectionReset);
    drop(server);
    linger.tracker().wait().await;
    assert_eq!(linger.tracker().summary().count(Outcome::PeerReset), 1);
    trace.assert(
        "a_reset_forged_on_the_way_is_peer_reset_whoever_sees_it_first",
        &["reset by client (*)*; server closed first*", "reset by client (*)*", "reset by client (*)*"],
    );
}

/// CONFORMANCE 32: each ICMP error, until the kernel's limit of retransmission.
pub(super) async fn icmp_unreachable_until_the_kernel_gives_up_is_unreachable() {
    let trace = Trace::start();
    let errors = [
        ("host-unreachable", Some(ErrorKind::HostUnreachable)),
        ("net-unreachable", Some(ErrorKind::NetworkUnreachable)),
        ("port-unreachable", Some(ErrorKind::ConnectionRefused)),
        // The standard library has no name for this one.
        ("prot-unreachable", None),
    ];
    let mut clients = Vec::new();
    for (error, kind) in errors {
        heal();
        let (mut server, client) = connect().await;
        // It stays open, so that it does not answer later.
        clients.push(client);
        give_up_after_a_second(&server);
        on_the_way_to_the_client(&format!("reject with icmp type {error}"));
        server.write_all(&RESPONSE).await.expect("the kernel takes it");
        let report = close(server, &patient_policy()).await;
        assert_eq!(report.outcome, Outcome::Unreachable, "{error}: {report}");
        assert_eq!(report.unacked, Some(RESPONSE.len() as u64), "{error}");
        let failure = report.failure.expect("kept");
        assert!(kind.is_none_or(|kind| failure.kind() == kind), "{error}: {failure:?}");
    }
    trace.assert(
        "icmp_unreachable_until_the_kernel_gives_up_is_unreachable",
        &[
            "icmp* (HostUnreachable about server)*",
            "icmp* (NetworkUnreachable about server)*",
            "icmp* (PortUnreachable about server)*",
            "icmp* (ProtocolUnreachable about server)*",
        ],
    );
}

/// CONFORMANCE 35: ICMP errors are soft while the connection lives (RFC 1122 §4.2.3.9).
pub(super) async fn icmp_unreachable_on_a_path_that_heals_is_forgotten() {
    let trace = Trace::start();
    let (mut server, mut client) = connect().await;
    let capture = Capture::start(SERVER.port()).expect("captures");
    on_the_way_to_the_client("reject with icmp type host-unreachable");
    server.write_all(&RESPONSE).await.expect("the kernel takes it");
    let closing = tokio::spawn(async move { close(server, &patient_policy()).await });
    let retransmitted = tokio::task::spawn_blocking(move || {
        capture.wait_until(|seen| seen.clone().with_acks().count(Side::Server, Part::Again) >= 2)
    });
    assert!(retransmitted.await.expect("no panic"), "the server tries again");
    heal();
    assert_eq!(client.read_to_end(&mut Vec::new()).await.expect("healed"), RESPONSE.len());
    drop(client);
    let report = closing.await.expect("no panic");
    assert_eq!(report.outcome, Outcome::PeerClosed { close_notify: false });
    assert_eq!((report.unacked, report.failure), (Some(0), None));
    trace.assert("icmp_unreachable_on_a_path_that_heals_is_forgotten", &["normal by server; IcmpHealed"]);
}

/// CONFORMANCE 32: retransmission until the kernel gives up.
pub(super) async fn silence_until_the_kernel_gives_up_is_kernel_timeout() {
    let trace = Trace::start();
    let (mut server, _client) = connect().await;
    give_up_after_a_second(&server);
    on_the_way_to_the_client("drop");
    server.write_all(&RESPONSE).await.expect("the kernel takes it");
    let report = close(server, &patient_policy()).await;
    assert_eq!((report.outcome, report.unacked), (Outcome::KernelTimeout, Some(RESPONSE.len() as u64)));
    trace.assert(
        "silence_until_the_kernel_gives_up_is_kernel_timeout",
        &["timeout by server (client silent: Retransmission)*"],
    );
}

/// CONFORMANCE 32: the kernel has no timer for `FIN_WAIT2` while a process holds the socket, but keepalive
/// works there.
pub(super) async fn an_unanswered_keepalive_is_kernel_timeout() {
    let trace = Trace::start();
    let (server, mut client) = connect().await;
    let keepalive = TcpKeepalive::new().with_time(SECOND).with_interval(SECOND).with_retries(1);
    SockRef::from(&server).set_tcp_keepalive(&keepalive).expect("Linux has it");
    let closing = tokio::spawn(async move { close(server, &patient_policy()).await });
    assert_eq!(client.read(&mut [0; 1]).await.expect("a FIN"), 0);
    on_the_way_to_the_client("drop");
    let report = closing.await.expect("no panic");
    assert_eq!((report.outcome, report.unacked), (Outcome::KernelTimeout, Some(0)));
    trace.assert(
        "an_unanswered_keepalive_is_kernel_timeout",
        &["timeout by server*(client silent: Keepalive); server closed first*"],
    );
}

/// CONFORMANCE 32: `ss -K`.
pub(super) async fn a_socket_destroyed_on_this_host_is_local_abort() {
    let trace = Trace::start();
    let (server, mut client) = connect().await;
    let closing = tokio::spawn(async move { close(server, &patient_policy()).await });
    assert_eq!(client.read(&mut [0; 1]).await.expect("a FIN"), 0);
    ss(&["-K", "sport", "=", ":8080"]);
    assert_eq!(closing.await.expect("no panic").outcome, Outcome::LocalAbort);
    trace.assert(
        "a_socket_destroyed_on_this_host_is_local_abort",
        &["reset by server (AfterFin, 0 unread); server closed first"],
    );
}

/// CONFORMANCE 25 and 34: the peer vanishes, and the kernel would retransmit for a quarter of an hour.
pub(super) async fn a_peer_that_vanishes_is_drain_idle_with_bytes_unacknowledged() {
    let trace = Trace::start();
    let (mut server, _client) = connect().await;
    on_the_way_to_the_client("drop");
    server.write_all(&RESPONSE).await.expect("the kernel takes it");
    let policy = ClosePolicy::builder().drain_idle_timeout(SECOND).build().expect("makes sense");
    let report = close(server, &policy).await;
    assert_eq!((report.outcome, report.unacked), (Outcome::DrainIdle, Some(RESPONSE.len() as u64)));
    trace.assert(
        "a_peer_that_vanishes_is_drain_idle_with_bytes_unacknowledged",
        &["timeout by server (client silent: Retransmission)*"],
    );
}

/// CONFORMANCE 25: a zero window, and bytes left above the kernel. They are lost, so the end must not look
/// whole.
pub(super) async fn a_peer_that_takes_nothing_is_flush_timeout_and_a_reset() {
    const BUFFER: usize = 32 << 20;
    let trace = Trace::start();
    let (server, mut client) = connect().await;
    let mut server = Plain(BufStream::with_capacity(1024, BUFFER, server));
    server.write_all(&vec![b'a'; BUFFER]).await.expect("the buffer takes it");
    let policy = ClosePolicy::builder().flush_idle_timeout(SECOND).build().expect("makes sense");
    let before = Counters::read();
    let report = close(server, &policy).await;
    assert_eq!((report.outcome, report.ended_in), (Outcome::FlushTimeout, Phase::Flush));
    // `Plain` hides the socket, so this release is an ordinary close, and the report says so.
    assert_eq!(report.release, Release::Close);
    assert_eq!(Counters::read().since(&before).out_rsts(), 0);
    let end = client.read_to_end(&mut Vec::new()).await;
    assert!(end.is_ok_and(|bytes| bytes < BUFFER), "what the buffer held is lost");
    trace.assert("a_peer_that_takes_nothing_is_flush_timeout_and_a_reset", &["*"]);
}

/// CONFORMANCE 22, plain: a failure cuts a response that ends with its connection.
pub(super) async fn an_aborted_response_ends_in_a_reset_and_not_in_a_fin() {
    let trace = Trace::start();
    let (server, mut client) = connect().await;
    let linger = LingerLayer::default();
    let capture = Capture::start(SERVER.port()).expect("captures");
    let mut server = linger.wrap(server);
    server.write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf of it").await.expect("loopback");
    server.abort();
    linger.tracker().wait().await;
    assert_eq!(linger.tracker().summary().count(Outcome::Aborted), 1);
    let end = client.read_to_end(&mut Vec::new()).await;
    assert_eq!(end.expect_err("no clean end").kind(), ErrorKind::ConnectionReset);
    let transcript = capture.finish().expect("captures");
    assert_eq!(
        (transcript.resets(Side::Server), transcript.count(Side::Server, Part::Fin)),
        (1, 0),
        "{transcript}"
    );
    trace.assert(
        "an_aborted_response_ends_in_a_reset_and_not_in_a_fin",
        &["reset by server (Abort, 0 unread)*"],
    );
}

/// A close that ends at a limit releases the socket by a plain close by default, by a reset if the policy
/// says so.
pub(super) async fn a_close_that_ends_at_a_limit_is_a_reset_where_the_policy_says_so() {
    let trace = Trace::start();
    for (release, resets) in [(Release::Close, 0), (Release::Abort, 1)] {
        let (server, mut client) = connect().await;
        let policy =
            ClosePolicy::builder().drain_idle_timeout(SECOND).at_limit(release).build().expect("makes sense");
        let before = Counters::read();
        let report: CloseReport = close(server, &policy).await;
        assert_eq!((report.outcome, report.release), (Outcome::DrainIdle, release));
        assert_eq!(Counters::read().since(&before).out_rsts(), resets);
        // The client reads the FIN, because that came before the reset.
        assert_eq!(client.read(&mut [0; 1]).await.expect("a FIN"), 0);
        drop(client);
        ss(&["-K", "sport", "=", ":8080"]);
    }
    trace.assert(
        "a_close_that_ends_at_a_limit_is_a_reset_where_the_policy_says_so",
        &["*", "reset by server*"],
    );
}

/// CONFORMANCE 4: `shutdown` acts on the connection, `close` on a descriptor only, and here a child process
/// has another descriptor of the connection.
pub(super) async fn a_descriptor_in_a_child_holds_the_fin_back_only_where_the_policy_says_so() {
    let trace = Trace::start();
    let left_open = ClosePolicy::builder().without_half_close().build().expect("makes sense");
    for (policy, outcome) in [(patient_policy(), PEER_CLOSED), (left_open, Outcome::LeftOpen)] {
        let (mut server, mut client) = connect().await;
        server.write_all(&RESPONSE).await.expect("loopback");
        let descriptor = server.as_fd().try_clone_to_owned().expect("a descriptor");
        let mut child = Command::new("sleep")
            .arg("60")
            .stdin(Stdio::from(descriptor))
            .kill_on_drop(true)
            .spawn()
            .expect("every system has it");
        let capture = Capture::start(SERVER.port()).expect("captures");
        let closing = tokio::spawn(async move { close(server, &policy).await });
        if outcome == Outcome::LeftOpen {
            let report = closing.await.expect("no panic");
            assert_eq!(report.outcome, Outcome::LeftOpen);
            let transcript = capture.finish().expect("captures");
            assert_eq!(transcript.count(Side::Server, Part::Fin), 0, "{transcript}");
            child.kill().await.expect("it is ours");
            assert_eq!(client.read_to_end(&mut Vec::new()).await.expect("a FIN"), RESPONSE.len());
        } else {
            assert_eq!(client.read_to_end(&mut Vec::new()).await.expect("a FIN"), RESPONSE.len());
            assert!(child.try_wait().expect("it is ours").is_none(), "the child still has its descriptor");
            drop(client);
            assert_eq!(closing.await.expect("no panic").outcome, outcome);
            child.kill().await.expect("it is ours");
        }
    }
    trace.assert(
        "a_descriptor_in_a_child_holds_the_fin_back_only_where_the_policy_says_so",
        &["normal by server", "normal by server"],
    );
}

const PEER_CLOSED: Outcome = Outcome::PeerClosed { close_notify: false };

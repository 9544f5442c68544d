//! A port whose last connection is in `TIME_WAIT`: it can be taken over, defended, and assassinated.

use std::net::{Ipv4Addr, SocketAddr};

use nix::libc;
use nix::sys::socket::{SetSockOpt as _, sockopt};
use nix::{setsockopt_impl, sockopt_impl};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tower_linger_tests::trace::Trace;
use tower_linger_tests::until::until;

use super::raw::{ACK, Watch};
use super::scene::{exchange, read_all};
use crate::scene::{SERVER, ss};

/// `TIME_WAIT` of the server, and the same port of the client again. Timestamps show that the SYN is new
/// (RFC 6191), and the server takes it.
pub(crate) async fn a_new_connection_takes_the_port_over() {
    let trace = Trace::start();
    let listener = TcpListener::bind(SERVER).await.expect("the port is free");
    closed_by_the_server(&listener, connect()).await;
    // The clock of timestamps must have gone on, which takes a millisecond.
    closed_by_the_server(&listener, connect()).await;
    trace.assert("time_wait_taken_over", &["normal by server", "normal by server"]);
}

/// The reconnecting customer: the initial sequence number is lower than the last connection's numbers, as it
/// is behind an address translator. The server challenges the SYN (RFC 9293 §3.10.7.4), and the client's reset
/// ends `TIME_WAIT`, so that the next SYN is taken. Linux sends that after some milliseconds.
pub(crate) async fn a_challenged_client_tries_again() {
    set("tcp_timestamps", "0");
    let trace = Trace::start();
    let listener = TcpListener::bind(SERVER).await.expect("the port is free");
    let last = closed_by_the_server(&listener, connect()).await;
    closed_by_the_server(&listener, connect_from(last.wrapping_sub(1_000_000))).await;
    trace.assert(
        "time_wait_challenged",
        &["normal by server*", "normal by server; PortInTimeWait: Challenge"],
    );
}

/// The same with a server that keeps `TIME_WAIT` whatever comes (RFC 1337): the client cannot reconnect.
pub(crate) async fn a_challenged_client_never_connects_where_time_wait_is_kept() {
    for (name, value) in [
        ("tcp_timestamps", "0"),
        ("tcp_rfc1337", "1"),
        ("tcp_syn_retries", "1"),
        ("tcp_syn_linear_timeouts", "0"),
    ] {
        set(name, value);
    }
    let trace = Trace::start();
    let listener = TcpListener::bind(SERVER).await.expect("the port is free");
    let last = closed_by_the_server(&listener, connect()).await;
    connect_from(last.wrapping_sub(1_000_000)).await.expect_err("no connection");
    trace.assert("time_wait_kept", &["normal by server*", "*; challenged; PortInTimeWait: Challenge*"]);
}

/// An old segment comes to `TIME_WAIT`, whose acknowledgement comes to a host that knows nothing of the
/// connection any more (RFC 1337 §2): its reset ends `TIME_WAIT` early.
pub(crate) async fn an_old_segment_ends_time_wait() {
    let trace = Trace::start();
    let watch = Watch::start(SERVER);
    let listener = TcpListener::bind(SERVER).await.expect("the port is free");
    closed_by_the_server(&listener, connect()).await;
    let mut old = watch.next().of_client();
    (old.seq, old.flags, old.payload) = (old.seq.wrapping_sub(20), ACK, b"an old piece");
    old.send();
    until("TIME_WAIT is over", || ss(&["-Htan", "state", "time-wait"]).is_empty()).await;
    trace.assert("time_wait_assassinated", &["normal by server; TimeWaitAssassination by client"]);
}

/// One exchange, and the server closes first, which leaves `TIME_WAIT` to it. Returns the next sequence number
/// of the client.
async fn closed_by_the_server(
    listener: &TcpListener,
    client: impl Future<Output = std::io::Result<TcpStream>>,
) -> u32 {
    let watch = Watch::start(SERVER);
    let (client, accepted) = tokio::join!(client, listener.accept());
    let (mut client, mut server) = (client.expect("loopback"), accepted.expect("loopback").0);
    exchange(&mut server, &mut client).await;
    drop(server);
    assert_eq!(read_all(&mut client).await.expect("a FIN"), 0);
    drop(client);
    watch.next().client_seq
}

fn socket() -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("TCP");
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000))).expect("the port can be used again");
    socket
}

async fn connect() -> std::io::Result<TcpStream> {
    socket().connect(SERVER).await
}

/// Connects with this initial sequence number. A socket that is being repaired can be given one (tcp(7),
/// `TCP_REPAIR`).
async fn connect_from(isn: u32) -> std::io::Result<TcpStream> {
    let socket = socket();
    sockopt::TcpRepair.set(&socket, &1)?;
    RepairQueue.set(&socket, &SEND_QUEUE)?;
    QueueSeq.set(&socket, &isn)?;
    sockopt::TcpRepair.set(&socket, &0)?;
    socket.connect(SERVER).await
}

fn set(name: &str, value: &str) {
    std::fs::write(format!("/proc/sys/net/ipv4/{name}"), value).expect("root");
}

sockopt_impl!(RepairQueue, SetOnly, libc::IPPROTO_TCP, libc::TCP_REPAIR_QUEUE, i32);
sockopt_impl!(QueueSeq, SetOnly, libc::IPPROTO_TCP, libc::TCP_QUEUE_SEQ, u32);

/// `TCP_SEND_QUEUE`.
const SEND_QUEUE: i32 = 2;

//! One connection, or a few, to a port of their own.

use std::any::Any;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;

use linger_wire::Side;
use linger_wire::trace::{Connection, Finding};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_linger_tests::trace::{Trace, mismatch, read, told};
use tower_linger_tests::tshark::differences;
use tower_linger_tests::until::until;

use crate::scene::nft;

/// The server's address, which no other scene uses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene {
    pub(super) server: SocketAddr,
}

/// What must stay open until the recording has ended.
pub(super) type Held = Box<dyn Any + Send>;

/// A way to end, and the lines that its connections must have: see [`told`].
pub(super) struct Ending {
    pub(super) name: &'static str,
    pub(super) run: fn(Scene) -> Pin<Box<dyn Future<Output = Held> + Send>>,
    pub(super) told: &'static [&'static str],
    pub(super) over: Over,
}

/// Over which protocol an ending is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Both,
    V4,
    V6,
}

/// Writes a list of [`Ending`]s: `Both run(arguments) => ["line"];`, where `run` is an async function that
/// takes a [`Scene`] first.
macro_rules! endings {
    ($($over:ident $run:ident ($($argument:expr),*) => [$($told:expr),* $(,)?];)+) => {
        [$($crate::endings::scene::Ending {
            name: concat!(stringify!($run), $(" ", stringify!($argument)),*),
            run: |scene| Box::pin(async move { Box::new($run(scene, $($argument),*).await) as _ }),
            told: &[$($told),*],
            over: $crate::endings::scene::Over::$over,
        }),+]
    };
}
pub(super) use endings;

/// Records all of these endings at the same time, and compares what is read from their packets with what
/// happened, and with what tshark says.
pub(super) async fn check(name: &str, endings: &[Ending]) {
    check_but(name, endings, &[]).await;
}

/// The same where tshark says something else, for a reason that is known.
pub(super) async fn check_but(name: &str, endings: &[Ending], but: &[&str]) {
    let trace = Trace::start();
    let mut running = Vec::new();
    for (number, ending) in (0..).zip(endings) {
        for (family, ip) in [(0, IpAddr::V4(Ipv4Addr::LOCALHOST)), (1, IpAddr::V6(Ipv6Addr::LOCALHOST))] {
            if matches!((ending.over, family), (Over::V4, 1) | (Over::V6, 0)) {
                continue;
            }
            let scene = Scene { server: SocketAddr::new(ip, FIRST_PORT + 2 * number + family) };
            running.push((ending, scene, tokio::spawn((ending.run)(scene))));
        }
    }
    let mut scenes = Vec::new();
    for (ending, scene, run) in running {
        let held = run.await.unwrap_or_else(|error| panic!("{}: {error}", ending.name));
        scenes.push((ending, scene, held));
    }
    let file = trace.file(name);
    let connections = read(&file);
    let (mut wrong, mut seen) = (String::new(), 0);
    for (ending, scene, _held) in &scenes {
        let of_scene = || connections.iter().filter(|one| one.server == scene.server);
        let found: Vec<String> = of_scene().map(told).collect();
        seen += found.len();
        let but_for_haste: Vec<String> = of_scene().map(told_but_for_haste).collect();
        let wrong_after_all = || mismatch(&but_for_haste, ending.told).is_some();
        if let Some(mismatch) = mismatch(&found, ending.told).filter(|_| wrong_after_all()) {
            let _ = writeln!(wrong, "{}, {}: {mismatch}", ending.name, scene.server);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert_eq!(seen, connections.len(), "connections of nobody");
    let wrong = mismatch(&differences(&file, &connections), but);
    assert!(wrong.is_none(), "{}", wrong.unwrap_or_default());
}

/// As [`told`]. On a busy machine a kernel may send its FIN again before the acknowledgement comes. Where
/// that meets a socket that is gone, a reset ends `TIME_WAIT`, which no scene can prevent.
fn told_but_for_haste(connection: &Connection) -> String {
    let mut connection = connection.clone();
    let [client, server] =
        [connection.client_sent, connection.server_sent].map(|sent| sent.retransmissions > 0);
    connection.findings.retain(|finding| match finding {
        Finding::TimeWaitAssassination { by: Side::Client } => !server,
        Finding::TimeWaitAssassination { by: Side::Server } => !client,
        _ => true,
    });
    told(&connection)
}

impl Scene {
    /// The two ends of a connection, server first.
    pub(super) async fn connect(self) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(self.server).await.expect("the port is free");
        let (client, accepted) = tokio::join!(TcpStream::connect(self.server), listener.accept());
        let (server, client) = (accepted.expect("loopback").0, client.expect("loopback"));
        client.set_nodelay(true).expect("TCP");
        server.set_nodelay(true).expect("TCP");
        (server, client)
    }

    /// The same after a request and its response.
    pub(super) async fn idle(self) -> (TcpStream, TcpStream) {
        let (mut server, mut client) = self.connect().await;
        exchange(&mut server, &mut client).await;
        (server, client)
    }

    /// Applies this verdict of nftables to the packets that arrive from the server.
    pub(super) fn to_client(self, verdict: &str) {
        self.rules(&[format!("tcp sport {} {verdict}", self.server.port())]);
    }

    /// Applies this verdict of nftables to the packets that arrive at the server.
    pub(super) fn to_server(self, verdict: &str) {
        self.rules(&[format!("tcp dport {} {verdict}", self.server.port())]);
    }

    /// The same in both directions.
    pub(super) fn both_ways(self, verdict: &str) {
        let port = self.server.port();
        self.rules(&[format!("tcp sport {port} {verdict}"), format!("tcp dport {port} {verdict}")]);
    }

    /// Lets every packet of this scene pass again.
    pub(super) fn heal(self) {
        self.rules(&[]);
    }

    fn rules(self, rules: &[String]) {
        let chain = format!("inet endings port{}", self.server.port());
        let mut text = format!(
            "add table inet endings\n\
             add chain {chain} {{ type filter hook input priority 0; }}\n\
             flush chain {chain}\n"
        );
        for rule in rules {
            let _ = writeln!(text, "add rule {chain} {rule}");
        }
        nft(&text);
    }

    /// Waits until the kernel holds this many bytes, at least, that this end has not read.
    pub(super) async fn unread(self, end: &TcpStream, bytes: usize) {
        let mut buffer = vec![0; bytes];
        until("the bytes arrive", || peek(end, &mut buffer).is_some_and(|arrived| arrived >= bytes)).await;
    }
}

fn peek(end: &TcpStream, buffer: &mut [u8]) -> Option<usize> {
    use nix::sys::socket::{MsgFlags, recv};
    use std::os::fd::AsRawFd as _;
    recv(end.as_raw_fd(), buffer, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT).ok()
}

/// One request and its response.
pub(super) async fn exchange(
    server: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin),
    client: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin),
) {
    client.write_all(REQUEST).await.expect("loopback");
    client.flush().await.expect("loopback");
    server.read_exact(&mut [0; REQUEST.len()]).await.expect("loopback");
    server.write_all(RESPONSE).await.expect("loopback");
    server.flush().await.expect("loopback");
    client.read_exact(&mut [0; RESPONSE.len()]).await.expect("loopback");
}

/// Reads to the end, whatever that is, and returns how it was.
pub(super) async fn read_all(end: &mut TcpStream) -> std::io::Result<usize> {
    end.read_to_end(&mut Vec::new()).await
}

/// 27 bytes.
pub(super) const REQUEST: &[u8; 27] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// 43 bytes.
pub(super) const RESPONSE: &[u8; 43] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const FIRST_PORT: u16 = 9000;

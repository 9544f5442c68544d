//! Clients whose connections stay in every phase at once: served in every way, and closing in every phase.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};
use tower_linger_tests::peer::Client;

use super::app::IDLE;
use super::kinds::{self, Kind, Stays};
use super::link;
use super::scene::{Doors, Server, State, Target};

/// All clients take little at a time.
const SMALL: Option<u32> = Some(4096);

/// How often a client that trickles sends a byte.
const TRICKLE: Duration = Duration::from_millis(100);

/// From where the clients come that acknowledge nothing.
const DEAF: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// Longer than a request takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// On a machine that is busy with something else, the first closes may be over when the last begin.
const ATTEMPTS: usize = 5;

#[derive(Default)]
pub(crate) struct Menagerie {
    /// Clients that do nothing more.
    kept: Vec<Client>,
    /// Keep-alive clients, which can ask once more.
    idle: Vec<Client>,
    trickles: JoinSet<()>,
    /// How many connections are served.
    served: u64,
    /// How many requests of each path are under way.
    running: BTreeMap<&'static str, u64>,
    /// How many closes are in each phase.
    phases: BTreeMap<&'static str, u64>,
}

impl Menagerie {
    /// Opens all of them, and waits until the server has them at the same time.
    pub(crate) async fn open(server: &mut Server) -> Self {
        for _ in 0..ATTEMPTS {
            let doors = server.doors();
            let mut all = Self::default();
            all.take(&doors, kinds::served()).await;
            let deaf = Deaf::connect(&doors).await;
            all.take(&doors, kinds::closing()).await;
            deaf.ask(&mut all).await;
            if server.comes_to(IDLE / 2, |state| all.is_in(state)).await {
                return all;
            }
            println!("not all at once: {:#?}", server.state().await);
            all.go(server).await;
            server.until("the next attempt can begin", |state| state.number("closing") == 0).await;
        }
        panic!("they are never there at the same time");
    }

    /// Whether the server has all of these connections, and maybe others.
    pub(crate) fn is_in(&self, state: &State) -> bool {
        state.number("served") >= self.served
            && self.running.iter().all(|(path, count)| state.running(path) >= *count)
            && self.phases.iter().all(|(phase, count)| state.in_phase(phase) >= *count)
    }

    /// Whether there is nothing else, and each way in which a connection can wait has one.
    pub(crate) fn is_all(&self, state: &State) -> bool {
        let phases = ["flush", "settle", "peer_first", "notify", "drain"];
        let paths = ["pending", "upload", "events", "large", "upgrade"];
        let is_exact = |count: u64, expected: Option<&u64>| count > 0 && Some(&count) == expected;
        state.number("served") == self.served
            && phases.iter().all(|phase| is_exact(state.in_phase(phase), self.phases.get(phase)))
            && paths.iter().all(|path| is_exact(state.running(path), self.running.get(path)))
    }

    /// How many of them are served.
    pub(crate) fn served(&self) -> u64 {
        self.served
    }

    /// How many connections these are.
    pub(crate) fn len(&self) -> u64 {
        self.served + self.phases.values().sum::<u64>()
    }

    /// The idle clients ask once more, on the same connections.
    pub(crate) async fn ask_again(&mut self) {
        for client in &mut self.idle {
            exchange(client, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "hello").await;
        }
    }

    /// All requests that wait are let go, and all clients leave: half of them in order, half by a reset.
    pub(crate) async fn go(mut self, server: &mut Server) {
        server.ask("let-go").await;
        link::hear();
        self.trickles.shutdown().await;
        for client in self.kept.iter().chain(&self.idle).step_by(2) {
            client.tcp().set_zero_linger().expect("TCP");
        }
    }

    /// Opens these at the same time.
    async fn take(&mut self, doors: &Doors, kinds: Vec<Kind>) {
        let mut opening = JoinSet::new();
        for kind in kinds {
            opening.spawn(open(doors.clone(), kind));
        }
        for (client, stays) in opening.join_all().await {
            self.keep(client, stays);
        }
    }

    fn keep(&mut self, client: Client, stays: Stays) {
        match stays {
            Stays::Served(_) | Stays::Idle => self.served += 1,
            Stays::Closing(phase) => *self.phases.entry(phase).or_default() += 1,
            Stays::Trickling => *self.phases.entry("drain").or_default() += 1,
        }
        if let Stays::Served(Some(path)) = stays {
            *self.running.entry(path).or_default() += 1;
        }
        match stays {
            Stays::Served(_) | Stays::Closing(_) => self.kept.push(client),
            Stays::Idle => self.idle.push(client),
            Stays::Trickling => drop(self.trickles.spawn(trickle(client))),
        }
    }
}

async fn open(doors: Doors, kind: Kind) -> (Client, Stays) {
    if kind.request.is_empty() {
        let client = Client::plain(doors.address(kind.target), SMALL).await.expect("it listens");
        return (client, kind.stays);
    }
    let mut client = doors.connect(kind.target, SMALL).await;
    exchange(&mut client, &kind.request, kind.answer).await;
    if kind.half_closes {
        client.shutdown().await.expect("loopback");
    }
    (client, kind.stays)
}

/// Clients that acknowledge nothing from their request on. The next step of the close waits for that.
struct Deaf {
    settles: Client,
    is_notified: Client,
}

impl Deaf {
    async fn connect(doors: &Doors) -> Self {
        let connect = async |target| {
            let socket = TcpSocket::new_v4().expect("there are descriptors");
            socket.bind((DEAF, 0).into()).expect("loopback has all of these addresses");
            let stream: TcpStream = socket.connect(doors.address(target)).await.expect("it listens");
            // A byte does not wait for an acknowledgement.
            stream.set_nodelay(true).expect("TCP");
            Client::over(stream, doors.tls(target)).await.expect("loopback")
        };
        let connected =
            Self { settles: connect(Target::Plain).await, is_notified: connect(Target::Raw).await };
        link::deafen(DEAF);
        connected
    }

    async fn ask(mut self, all: &mut Menagerie) {
        send(&mut self.settles, b"GET /cut HTTP/1.0\r\n\r\n").await;
        all.keep(self.settles, Stays::Closing("settle"));
        send(&mut self.is_notified, b"n").await;
        all.keep(self.is_notified, Stays::Closing("notify"));
    }
}

/// Sends a byte now and then, for as long as they are taken.
pub(crate) async fn trickle(mut client: Client) {
    let mut period = interval(TRICKLE);
    loop {
        period.tick().await;
        if client.write_all(b".").await.is_err() || client.flush().await.is_err() {
            return;
        }
    }
}

pub(crate) async fn send(client: &mut Client, bytes: &[u8]) {
    client.write_all(bytes).await.expect("it is taken");
    client.flush().await.expect("it is taken");
}

/// Sends a request, and reads until this text has arrived.
pub(crate) async fn exchange(client: &mut Client, request: &[u8], until: &str) {
    send(client, request).await;
    let mut seen = Vec::new();
    while !until.is_empty() && !seen.windows(until.len()).any(|window| window == until.as_bytes()) {
        let read = timeout(PATIENCE, client.read_buf(&mut seen)).await.expect("in time");
        let texts = [request, &seen].map(String::from_utf8_lossy);
        assert!(matches!(read, Ok(1..)), "{read:?}: {texts:?}");
    }
}

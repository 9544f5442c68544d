//! Hostile clients of six kinds, as many as a test or a bench wants. Each stays for as long as it can, and then
//! begins again.
//!
//! They are kernel sockets on loopback, in a network namespace of the caller's, which [`prepare_network`]
//! prepares.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

mod client;

pub use client::hello;

/// What a hostile client does. Exhaustive: a new kind has to be counted everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Begins an upload, gets the early refusal, and does nothing from then on.
    Silent,
    /// The same, and sends a byte now and then.
    Trickle,
    /// The same, and sends as much as the attack's rate allows.
    Flood,
    /// Asks for a large response and reads nothing of it, so that its window closes.
    ZeroWindow,
    /// Has an upload refused, and acknowledges nothing of the answer.
    NeverAcks,
    /// Every other one completes TCP's handshake and sends nothing; the others send a `ClientHello` and nothing
    /// more.
    HalfHandshake,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Silent, Self::Trickle, Self::Flood, Self::ZeroWindow, Self::NeverAcks, Self::HalfHandshake];

    /// Its name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Trickle => "trickle",
            Self::Flood => "flood",
            Self::ZeroWindow => "zero window",
            Self::NeverAcks => "never acknowledges",
            Self::HalfHandshake => "half a handshake",
        }
    }

    /// The addresses of its clients are in `127.X.0.0/16`. Each kind has a network of its own, so that a
    /// firewall can tell them apart.
    const fn network(self) -> u8 {
        match self {
            Self::Silent => 61,
            Self::Trickle => 62,
            Self::Flood => 63,
            Self::ZeroWindow => 64,
            Self::NeverAcks => 65,
            Self::HalfHandshake => 66,
        }
    }
}

/// Prepares the network namespace of the caller. Packets on loopback get Ethernet's size, on which the size of
/// send buffers depends. What a client of [`Kind::NeverAcks`] sends arrives only if it carries data or begins
/// the connection: the server gets its request, and nothing that acknowledges the answer.
///
/// # Panics
///
/// If `ip` or `nft` is missing, or the namespace is not the caller's.
pub fn prepare_network() {
    const RULES: &str = "\
        add table inet attack\n\
        add chain inet attack arriving { type filter hook input priority 0; }\n\
        add rule inet attack arriving ip saddr 127.65.0.0/16 tcp flags & syn == 0 ip length <= 80 drop\n";
    let ip = Command::new("ip").args(["link", "set", "lo", "mtu", "1500"]).status();
    assert!(ip.is_ok_and(|status| status.success()), "`ip` of iproute2 sets an MTU: `make needs`");
    let mut nft = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("nft does not start ({error}): `make needs` installs it"));
    let mut rules = nft.stdin.take().expect("piped");
    rules.write_all(RULES.as_bytes()).expect("it reads");
    drop(rules);
    assert!(nft.wait().expect("it ends").success(), "nft takes {RULES}");
}

/// A path of the server that refuses each upload before its end, and the one of its large response.
pub const REFUSED: &str = "/refused";
/// See [`REFUSED`].
pub const LARGE: &str = "/large";

/// An attack.
#[derive(Debug, Clone, Copy)]
pub struct Attack {
    /// Where the server speaks plain HTTP/1.
    pub plain: SocketAddr,
    /// Where it speaks TLS, on the same address.
    pub tls: SocketAddr,
    /// How many connections there are of each kind at a time.
    pub each: usize,
    /// In how much time they begin.
    pub ramp: Duration,
    /// How long a client stays that does not notice the end of its connection. It is also the least time between
    /// two connections of a client, whatever the server does.
    pub stay: Duration,
    /// The time between two bytes of a trickle.
    pub trickle: Duration,
    /// How many times a second any of the flooding clients writes, all of them together, and how many bytes.
    pub flood: (u32, usize),
}

/// A running attack. Dropping it ends each of its connections by a reset.
#[derive(Debug)]
pub struct Running {
    counts: Arc<[Counts; 6]>,
    clients: JoinSet<()>,
}

/// What became of the clients of one kind.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections that were made.
    pub made: AtomicU64,
    /// Connections that are there now, as far as the client knows.
    pub held: AtomicU64,
    /// Connections that failed before their client could do harm: refused, reset, or without an answer.
    pub failed: AtomicU64,
}

impl Attack {
    /// Begins it, on the runtime that this is called in.
    #[must_use]
    pub fn start(self) -> Running {
        let counts: Arc<[Counts; 6]> = Arc::default();
        let hello: Arc<[u8]> = hello().into();
        let chunk: Arc<[u8]> = vec![b'.'; self.flood.1].into();
        let mut clients = JoinSet::new();
        let began = Instant::now();
        let all = self.each * Kind::ALL.len();
        for number in 0..all {
            // The kinds take turns, so that each is there from the beginning.
            let kind = Kind::ALL[number % Kind::ALL.len()];
            let (hello, chunk) = (hello.clone(), chunk.clone());
            let client =
                client::Client { attack: self, kind, number: number / Kind::ALL.len(), hello, chunk };
            let at = began + self.ramp.mul_f64(fraction(number, all));
            clients.spawn(client_again_and_again(client, counts.clone(), at));
        }
        Running { counts, clients }
    }
}

impl Running {
    /// What became of the clients of this kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> &Counts {
        &self.counts[kind as usize]
    }

    /// How many connections there are now, as far as the clients know.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.counts.iter().map(|counts| counts.held.load(Relaxed)).sum()
    }

    /// Ends it, and waits until no client is left.
    pub async fn stop(mut self) {
        self.clients.shutdown().await;
    }
}

async fn client_again_and_again(client: client::Client, counts: Arc<[Counts; 6]>, mut at: Instant) {
    let counts = &counts[client.kind as usize];
    loop {
        sleep_until(at).await;
        at = Instant::now() + client.attack.stay;
        if client.one(counts).await.is_err() {
            counts.failed.fetch_add(1, Relaxed);
        }
    }
}

/// Counts a connection as held until it is dropped.
struct Held<'a>(&'a Counts);

impl<'a> Held<'a> {
    fn new(counts: &'a Counts) -> Self {
        counts.held.fetch_add(1, Relaxed);
        Self(counts)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Relaxed);
    }
}

#[expect(clippy::cast_precision_loss, reason = "thousands")]
fn fraction(part: usize, all: usize) -> f64 {
    part as f64 / all as f64
}

/// An address of the kind's network: 200 of them take turns, because each has only so many ports.
fn source(kind: Kind, number: usize) -> io::Result<SocketAddr> {
    let host = u8::try_from(number % 200).map_err(io::Error::other)? + 1;
    Ok((Ipv4Addr::new(127, kind.network(), 0, host), 0).into())
}

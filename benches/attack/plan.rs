//! What is done, and for how long; from the arguments.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tower_linger_benches::results::is_bench;
use tower_linger_tests::hostile::{Attack, Kind};

/// The servers of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Server {
    /// `tower_linger::serve`, with its defaults.
    Ours,
    /// nginx with `lingering_close always`.
    Nginx,
    /// hyper-util's server, with its defaults.
    Hyper,
}

impl Server {
    const ALL: [Self; 3] = [Self::Ours, Self::Nginx, Self::Hyper];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "tower_linger::serve",
            Self::Nginx => "nginx",
            Self::Hyper => "hyper",
        }
    }

    pub(crate) fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|server| server.name() == name).expect("a name from this program")
    }
}

/// `cargo bench -p tower-linger-benches --bench attack -- --rounds 1 --window 5` is a short form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    /// How long the good clients are measured, once without the attack and once under it.
    pub(crate) window: Duration,
    /// Hostile connections, of all kinds together.
    pub(crate) hostile: usize,
    without_hyper: bool,
    pub(crate) only: Option<Server>,
}

/// Where each server listens in its namespace.
pub(crate) const PLAIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
pub(crate) const TLS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);

/// Writes of the flooding clients, all of them together: 1 000 a second, of 64 KiB each.
pub(crate) const FLOOD: (u32, usize) = (1_000, 64 << 10);

impl Plan {
    pub(crate) fn from_args() -> Self {
        let number = |name: &str| {
            let mut args = std::env::args().skip_while(|arg| arg != name).skip(1);
            args.next().map(|arg| arg.parse::<u32>().unwrap_or_else(|_| panic!("{name} is {arg:?}")))
        };
        let only = std::env::args().skip_while(|arg| arg != "--only").nth(1);
        // Under `cargo test --benches`, only enough to show that it runs.
        let (rounds, window, hostile) = if is_bench() { (5, 20, 10_000) } else { (1, 1, 60) };
        Self {
            rounds: number("--rounds").unwrap_or(rounds),
            window: Duration::from_secs(number("--window").unwrap_or(window).into()),
            hostile: number("--hostile").unwrap_or(hostile) as usize,
            without_hyper: std::env::args().any(|arg| arg == "--without-hyper"),
            only: only.map(|name| Server::named(&name)),
        }
    }

    pub(crate) fn servers(&self) -> &'static [Server] {
        if self.without_hyper { &Server::ALL[..2] } else { &Server::ALL }
    }

    pub(crate) fn attack(&self) -> Attack {
        Attack {
            plain: PLAIN,
            tls: TLS,
            each: self.hostile.div_ceil(Kind::ALL.len()),
            ramp: Duration::from_millis(self.hostile as u64),
            stay: Duration::from_secs(6),
            trickle: Duration::from_secs(1),
            flood: FLOOD,
        }
    }

    /// How many a process needs.
    pub(crate) fn descriptors(&self) -> u64 {
        self.hostile as u64 * 3 / 2 + 1000
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, window, hostile, .. } = self;
        let (writes, bytes) = FLOOD;
        write!(f, "{rounds} rounds of {window:?} quiet and {window:?} attacked by {hostile} connections; ")?;
        write!(f, "the floods are {writes} writes of {} KiB a second together", bytes >> 10)
    }
}

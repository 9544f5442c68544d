//! The processes of the clients: hostile ones, and good ones. They share a core.

use std::io::BufRead as _;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::client::Resumption;
use tower_linger_benches::clients::trusting;
use tower_linger_tests::hostile::Kind;

use crate::plan::{PLAIN, Plan, TLS};

pub(crate) const CLIENTS_CORE: usize = 1;

/// Moves a process, or this one, to a core.
pub(crate) fn pin(process: Option<u32>, core: usize) {
    let process = process.map_or(Pid::this(), |id| Pid::from_raw(id.try_into().expect("a pid")));
    let mut cores = CpuSet::new();
    cores.set(core).expect("a core");
    sched_setaffinity(process, &cores).expect("ours, and there are two cores");
}

/// All threads of a process go before everything else on their core that has a lower priority. All processes of
/// a round have one, so that nothing else on this machine disturbs them.
pub(crate) fn prefer(process: u32, priority: u8) {
    let arguments = ["-a", "-f", "-p", &priority.to_string(), &process.to_string()];
    let set = Command::new("chrt").args(arguments).status();
    assert!(set.is_ok_and(|status| status.success()), "`chrt` of util-linux, as root");
}

/// The good clients go before the hostile ones, as if those were on other machines.
pub(crate) const HOSTILE_PRIORITY: u8 = 1;
pub(crate) const GOOD_PRIORITY: u8 = 2;

/// A process of one thread.
fn runtime() -> tokio::runtime::Runtime {
    pin(None, CLIENTS_CORE);
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// How many hostile connections there are, by kind, and how many were made and have failed.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Hostile {
    pub(crate) held: Vec<(String, u64)>,
    pub(crate) made: u64,
    pub(crate) failed: u64,
}

impl Hostile {
    pub(crate) fn all(&self) -> u64 {
        self.held.iter().map(|(_, held)| held).sum()
    }
}

/// Attacks until it is killed. Answers each line with what became of the clients.
pub(crate) fn attack(plan: Plan) {
    use std::sync::atomic::Ordering::Relaxed;
    runtime().block_on(async {
        let attack = plan.attack().start();
        println!("{PLAIN}");
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while lines.next_line().await.expect("a pipe").is_some() {
            let mut hostile = Hostile::default();
            for kind in Kind::ALL {
                let counts = attack.of(kind);
                hostile.held.push((kind.name().into(), counts.held.load(Relaxed)));
                hostile.made += counts.made.load(Relaxed);
                hostile.failed += counts.failed.load(Relaxed);
            }
            println!("{}", serde_json::to_string(&hostile).expect("numbers"));
        }
    });
}

/// What the good clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Class {
    NewPlain,
    NewTls,
    KeptPlain,
    KeptTls,
}

impl Class {
    pub(crate) const ALL: [Self; 4] = [Self::NewPlain, Self::NewTls, Self::KeptPlain, Self::KeptTls];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NewPlain => "new connection",
            Self::NewTls => "new connection, TLS",
            Self::KeptPlain => "kept connection",
            Self::KeptTls => "kept connection, TLS",
        }
    }

    /// Clients that take turns, and requests of all of them a second.
    fn clients(self) -> (u32, u32) {
        match self {
            Self::NewPlain => (1, 100),
            Self::NewTls => (1, 40),
            Self::KeptPlain | Self::KeptTls => (20, 200),
        }
    }
}

/// The times of one class in one window, in microseconds, and how many requests were not answered.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub(crate) struct Times {
    pub(crate) class: Class,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) answered: u64,
    pub(crate) failed: u64,
}

/// Measures a window for each line of standard input, and prints the times.
pub(crate) fn good(plan: Plan) {
    let runtime = runtime();
    println!("{PLAIN}");
    for line in std::io::stdin().lock().lines() {
        line.expect("a pipe");
        let times = runtime.block_on(window(plan.window));
        println!("{}", serde_json::to_string(&times).expect("numbers"));
    }
}

type Measured = (Class, Option<Duration>);

async fn window(length: Duration) -> Vec<Times> {
    let mut config = (*trusting()).clone();
    config.resumption = Resumption::disabled();
    let config = Arc::new(config);
    let (send, mut measured) = unbounded_channel();
    // Kept connections are made before it begins.
    let begin = Instant::now() + Duration::from_secs(1);
    for class in Class::ALL {
        let (clients, rate) = class.clients();
        for number in 0..clients {
            let every = Duration::from_secs(1) * clients / rate;
            // The classes take turns, so that they do not wait for each other.
            let first = begin + every * number / clients + PHASE * class as u32;
            let turns = Turns { class, first, every, end: begin + length };
            tokio::spawn(turns.take(config.clone(), send.clone()));
        }
    }
    drop(send);
    let empty = || (Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).expect("in order"), 0);
    let mut found = Class::ALL.map(|_| empty());
    while let Some((class, took)) = measured.recv().await {
        let (times, failed) = &mut found[class as usize];
        match took {
            Some(took) => times.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
            None => *failed += 1,
        }
    }
    let times = Class::ALL.into_iter().zip(found).map(|(class, (times, failed))| {
        #[expect(clippy::cast_precision_loss, reason = "microseconds")]
        let at = |quantile| times.value_at_quantile(quantile) as f64;
        Times { class, p50: at(0.5), p99: at(0.99), answered: times.len(), failed }
    });
    times.collect()
}

/// When one client asks.
struct Turns {
    class: Class,
    first: Instant,
    every: Duration,
    end: Instant,
}

impl Turns {
    /// A time counts from when the request was due, so that a slow answer also counts for those behind it.
    async fn take(self, config: Arc<ClientConfig>, send: UnboundedSender<Measured>) {
        let class = self.class;
        let kept: Option<Connection> = match class {
            Class::KeptPlain | Class::KeptTls => connect(class, config.clone()).await,
            Class::NewPlain | Class::NewTls => None,
        };
        if let Class::KeptPlain | Class::KeptTls = class {
            return self.on_one(kept, &send).await;
        }
        let mut turns = interval_at(self.first, self.every);
        turns.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            let due = turns.tick().await;
            if due >= self.end {
                return;
            }
            let (config, send) = (config.clone(), send.clone());
            tokio::spawn(async move {
                let asked = async {
                    let mut io = connect(class, config).await?;
                    let answered = ask(&mut io, "close").await?;
                    // It closes when the server has: a good client.
                    let _rest = io.read_to_end(&mut Vec::new()).await;
                    Some(answered)
                };
                let answered = timeout(PATIENCE, asked).await.ok().flatten();
                let _ = send.send((class, answered.map(|answered| answered - due)));
            });
        }
    }

    async fn on_one(self, mut kept: Option<Connection>, send: &UnboundedSender<Measured>) {
        let mut due = self.first;
        while due < self.end {
            sleep_until(due).await;
            let answered = match &mut kept {
                Some(io) => timeout(PATIENCE, ask(io, "keep-alive")).await.ok().flatten(),
                None => None,
            };
            if answered.is_none() {
                kept = None;
            }
            let _ = send.send((self.class, answered.map(|answered| answered - due)));
            due += self.every;
        }
    }
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}
type Connection = Box<dyn Io>;

async fn connect(class: Class, config: Arc<ClientConfig>) -> Option<Connection> {
    Some(match class {
        Class::NewPlain | Class::KeptPlain => Box::new(plain(PLAIN).await?),
        Class::NewTls | Class::KeptTls => {
            let name = "localhost".try_into().expect("a name");
            Box::new(TlsConnector::from(config).connect(name, plain(TLS).await?).await.ok()?)
        }
    })
}

async fn plain(address: SocketAddr) -> Option<TcpStream> {
    let io = TcpStream::connect(address).await.ok()?;
    io.set_nodelay(true).ok()?;
    Some(io)
}

/// Sends a request, and returns when its answer is complete.
async fn ask(io: &mut Connection, connection: &str) -> Option<Instant> {
    let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n\r\n");
    io.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello\n") {
        if io.read_buf(&mut answer).await.ok()? == 0 {
            return None;
        }
    }
    answer.starts_with(b"HTTP/1.1 200").then(Instant::now)
}

/// A quarter of the 5 ms that each class's times are multiples of.
const PHASE: Duration = Duration::from_micros(1250);

/// A request without an answer for this long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

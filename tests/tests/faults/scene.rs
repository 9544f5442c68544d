//! The server's process as a test sees it: where it listens, what it says of itself, and what has to hold
//! when a fault is over.

use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, interval, timeout};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tower_linger_tests::peer::Client;

use super::good;
use super::memory::anonymous_kib_of;
use super::menagerie::Menagerie;
use super::server::SERVER;

/// Longer than any bound of the server.
const PATIENCE: Duration = Duration::from_secs(20);

/// How much more memory the server may have after a fault than after the same connections without one.
const GROWTH_KIB: u64 = 2 << 10;

/// jemalloc gives freed memory back at once. glibc keeps what a thousand connections had, and which part of
/// it depends on the run.
const RETURNS_MEMORY: [(&str, &str); 2] =
    [("LD_PRELOAD", "libjemalloc.so.2"), ("MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")];

/// Which of the servers in the process. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// `tower_linger::serve`, plain.
    Plain,
    /// `tower_linger::serve` with TLS.
    Tls,
    /// A loop of one's own around hyper.
    Own,
    /// A loop of one's own with TLS and no HTTP.
    Raw,
}

pub(crate) struct Server {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    asked: ChildStdin,
    doors: Doors,
    /// Authorities of the certificate that it shows first, and of the other one.
    authorities: [CertificateDer<'static>; 2],
    /// What it held when it was at rest.
    rest: Option<State>,
}

/// How to connect to the server.
#[derive(Clone)]
pub(crate) struct Doors {
    ports: [u16; 4],
    trusting: Arc<ClientConfig>,
}

/// What the server says of itself.
#[derive(Debug, Clone)]
pub(crate) struct State(Value);

impl State {
    #[track_caller]
    pub(crate) fn number(&self, what: &str) -> u64 {
        self.0[what].as_u64().unwrap_or_else(|| panic!("{what} is not in {:#}", self.0))
    }

    /// How many requests of this path are under way.
    pub(crate) fn running(&self, path: &str) -> u64 {
        self.0["running"][path].as_u64().unwrap_or_default()
    }

    /// How many closes are in this phase.
    pub(crate) fn in_phase(&self, phase: &str) -> u64 {
        let of = |phase: &str| self.0["phases"][phase].as_i64().unwrap_or_default();
        let waiting = ["settle", "peer_first", "notify", "half_close", "drain"];
        let count = match phase {
            // A close begins there, and no event says so.
            "flush" => {
                self.number("closing").cast_signed() - waiting.iter().map(|phase| of(phase)).sum::<i64>()
            }
            phase => of(phase),
        };
        // The counts are not read at one moment.
        count.try_into().unwrap_or_default()
    }

    fn is_over(&self) -> bool {
        self.number("served") + self.number("closing") == 0
    }

    /// How many connections ended in this outcome.
    pub(crate) fn ended_as(&self, outcome: &str) -> u64 {
        let summaries = self.0["summaries"].as_array().expect("a list").iter();
        let words = summaries.flat_map(|summary| summary.as_str().expect("text").split([' ', ',']));
        let words: Vec<_> = words.collect();
        words
            .windows(2)
            .filter(|pair| pair[0] == outcome)
            .map(|pair| pair[1].parse::<u64>().expect("a count"))
            .sum()
    }
}

impl Server {
    /// Starts it, and fills its caches with a menagerie that goes again.
    pub(crate) async fn start(options: &[&str]) -> Self {
        Self::start_with(options, &RETURNS_MEMORY).await
    }

    /// The same with these environment variables.
    pub(crate) async fn start_with(options: &[&str], environment: &[(&str, &str)]) -> Self {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is a limit");
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("not above the hard limit");
        let mut child = Command::new(std::env::current_exe().expect("it runs"))
            .arg(SERVER)
            .args(options)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let asked = child.stdin.take().expect("piped");
        let mut said = BufReader::new(child.stdout.take().expect("piped")).lines();
        let hello = answer(&mut said).await;
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", child.id().expect("it runs")));
        for library in
            environment.iter().filter(|(name, _)| *name == "LD_PRELOAD").map(|(_, library)| library)
        {
            // The dynamic linker goes on without it.
            assert!(maps.as_ref().expect("procfs").contains(library), "{library}: `make needs` installs it");
        }
        let port = |place: usize| hello["ports"][place].as_u64().and_then(|port| port.try_into().ok());
        let ports = std::array::from_fn(|place| port(place).expect("a port"));
        let pem = |place: usize| hello["authorities"][place].as_str().expect("PEM").as_bytes();
        let authorities =
            std::array::from_fn(|place| CertificateDer::from_pem_slice(pem(place)).expect("PEM"));
        let doors = Doors { ports, trusting: trusting(&authorities) };
        let mut server = Self { child, said, asked, doors, authorities, rest: None };
        server.warm_up().await;
        server
    }

    /// The memory and descriptors at rest are what it has after this.
    async fn warm_up(&mut self) {
        good::serve_each(&self.doors()).await;
        let menagerie = Menagerie::open(self).await;
        self.until("these and no others are there", |state| menagerie.is_all(state)).await;
        menagerie.go(self).await;
        self.rests_as_now().await;
    }

    /// What it holds when all connections have gone is what it may hold later.
    pub(crate) async fn rests_as_now(&mut self) {
        // Tasks end a moment after their connections are counted as over.
        let rests = |state: &State| state.is_over() && state.number("tasks") == AT_REST;
        self.rest = Some(self.until("it rests", rests).await);
    }

    pub(crate) fn doors(&self) -> Doors {
        self.doors.clone()
    }

    pub(crate) fn id(&self) -> Pid {
        Pid::from_raw(self.child.id().expect("it runs").try_into().expect("a pid"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.id(), signal).expect("it runs");
    }

    /// A client that trusts only the authority of this certificate.
    pub(crate) fn trusting_only(&self, certificate: usize) -> Arc<ClientConfig> {
        trusting(&self.authorities[certificate..=certificate])
    }

    /// Gives it a command, and returns its answer.
    pub(crate) async fn ask(&mut self, command: &str) -> Value {
        self.asked.write_all(format!("{command}\n").as_bytes()).await.expect("it reads");
        answer(&mut self.said).await
    }

    pub(crate) async fn state(&mut self) -> State {
        let mut state = self.ask("state").await;
        // Not by the process itself, which may get no descriptor.
        let folder = format!("/proc/{}", self.id());
        let descriptors = std::fs::read_dir(format!("{folder}/fd")).expect("it runs").count();
        state["descriptors"] = descriptors.into();
        state["anonymous_kib"] = anonymous_kib_of(&folder).into();
        State(state)
    }

    /// Asks until this holds, and returns the state in which it did.
    pub(crate) async fn until(&mut self, what: &str, holds: impl Fn(&State) -> bool) -> State {
        let found = self.look(PATIENCE, holds).await;
        found.unwrap_or_else(|last| panic!("{what}: {last:#?}"))
    }

    /// Whether this holds at some time within this time.
    pub(crate) async fn comes_to(&mut self, within: Duration, holds: impl Fn(&State) -> bool) -> bool {
        self.look(within, holds).await.is_ok()
    }

    /// The first state in which this holds, or else the last one.
    async fn look(&mut self, within: Duration, holds: impl Fn(&State) -> bool) -> Result<State, State> {
        let (mut looks, deadline) = (interval(Duration::from_millis(5)), Instant::now() + within);
        loop {
            looks.tick().await;
            let state = self.state().await;
            if holds(&state) {
                return Ok(state);
            }
            if Instant::now() > deadline {
                return Err(state);
            }
        }
    }

    /// What has to hold when a fault is over and all clients have gone: nothing is left, and each connection
    /// that was accepted ended once. Returns what the server said.
    pub(crate) async fn assert_at_rest(&mut self, caused_panics: bool) -> State {
        let state = self.assert_settled(caused_panics).await;
        let rest = self.rest.clone().expect("it was warm");
        let held = |state: &State| (state.number("tasks"), state.number("descriptors"));
        let until = "tasks and descriptors are what they were";
        let after = self.until(until, |state| held(state) == held(&rest)).await;
        let grown = after.number("anonymous_kib").saturating_sub(rest.number("anonymous_kib"));
        assert!(grown <= GROWTH_KIB, "{grown} KiB more than {rest:#?}: {after:#?}");
        state
    }

    /// The part of [`assert_at_rest`](Self::assert_at_rest) that holds for a server that has ended, too.
    pub(crate) async fn assert_settled(&mut self, caused_panics: bool) -> State {
        let state = self.until("no connection is left", State::is_over).await;
        let (accepts, reports) = (state.number("accepts"), state.number("reports"));
        assert_eq!((reports, state.number("total")), (accepts, accepts), "{state:#?}");
        assert!(accepts > 0 && state.0["wrong"] == Value::Array(Vec::new()), "{state:#?}");
        assert_eq!(state.0["other_panics"], Value::Array(Vec::new()), "{state:#?}");
        assert_eq!(state.number("caused_panics") > 0, caused_panics, "{state:#?}");
        for phase in ["settle", "peer_first", "notify", "half_close", "drain", "flush"] {
            assert_eq!(state.in_phase(phase), 0, "{phase}: {state:#?}");
        }
        state
    }

    /// Ends the process, which has nothing left to do.
    pub(crate) async fn exit(mut self) -> ExitStatus {
        self.ask("exit").await;
        timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("it is ours")
    }
}

/// The tasks of the server without a connection. Each of the four has one that accepts, two that wait for its
/// signals, and its timer.
const AT_REST: u64 = 16;

async fn answer(said: &mut Lines<BufReader<ChildStdout>>) -> Value {
    let line = timeout(PATIENCE, said.next_line()).await.expect("it answers").expect("a pipe");
    serde_json::from_str(&line.expect("the server has not ended")).expect("JSON")
}

fn trusting(authorities: &[CertificateDer<'static>]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone()).expect("a certificate of our own making");
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("the provider has them");
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

impl Doors {
    pub(crate) fn address(&self, target: Target) -> SocketAddr {
        ([127, 0, 0, 1], self.ports[target as usize]).into()
    }

    /// The TLS configuration of a client that trusts both certificates.
    pub(crate) fn tls(&self, target: Target) -> Option<Arc<ClientConfig>> {
        matches!(target, Target::Tls | Target::Raw).then(|| self.trusting.clone())
    }

    pub(crate) async fn connect(&self, target: Target, receive_buffer: Option<u32>) -> Client {
        let connected = Client::connect(self.address(target), receive_buffer, self.tls(target)).await;
        connected.unwrap_or_else(|error| panic!("{target:?}: {error}"))
    }
}

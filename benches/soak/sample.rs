//! What the server's process holds at one moment.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use procfs::net::TcpState;
use procfs::process::Process;
use tower_linger_benches::process::Server;

/// One look at the server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    pub(crate) tls_port: u16,
    pub(crate) served: u64,
    pub(crate) closing: u64,
    /// Connections that have ended.
    pub(crate) ended: u64,
    /// How many of them were reported.
    pub(crate) reports: u64,
    pub(crate) tasks: u64,
    pub(crate) descriptors: u64,
    /// Memory that no file backs.
    pub(crate) memory_kib: u64,
    /// The server's ends of connections, by state.
    pub(crate) states: BTreeMap<String, u64>,
    pub(crate) summary: String,
}

impl Sample {
    pub(crate) fn in_state(&self, state: &str) -> u64 {
        self.states.get(state).copied().unwrap_or_default()
    }

    /// Connections that have ended, and were not reported, or not once.
    pub(crate) fn unaccounted(&self) -> u64 {
        self.ended.abs_diff(self.reports)
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ended, memory_kib, descriptors, tasks, served, closing, .. } = self;
        write!(
            f,
            "{ended} connections, {memory_kib} KiB, {descriptors} descriptors, {tasks} tasks, \
             {served} served, {closing} closing"
        )
    }
}

/// Asks the server, and the kernel about its process.
pub(crate) fn sample(server: &mut Server) -> Sample {
    let said = server.settle();
    let mut words = said.splitn(7, ' ');
    let mut next = || words.next().expect("a word").parse::<u64>().expect("a number");
    let tls_port = u16::try_from(next()).expect("a port");
    let counts: [u64; 5] = std::array::from_fn(|_| next());
    let process = Process::new(server.id().try_into().expect("a pid")).expect("it runs");
    let descriptors = process.fd_count().expect("ours") as u64;
    let memory_kib = process.status().expect("it runs").rssanon.expect("Linux has it");
    let mut states = BTreeMap::new();
    for socket in procfs::net::tcp().expect("procfs is there") {
        let is_server = [server.address.port(), tls_port].contains(&socket.local_address.port());
        if is_server && socket.state != TcpState::Listen {
            *states.entry(name(&socket.state)).or_default() += 1;
        }
    }
    let summary = words.next().expect("the summary").to_owned();
    Sample {
        tls_port,
        served: counts[0],
        closing: counts[1],
        ended: counts[2],
        reports: counts[3],
        tasks: counts[4],
        descriptors,
        memory_kib,
        states,
        summary,
    }
}

/// As netstat(8) calls it.
fn name(state: &TcpState) -> String {
    match state {
        TcpState::FinWait2 => "FIN_WAIT2".to_owned(),
        other => format!("{other:?}").to_uppercase(),
    }
}

/// Waits until no connection is left, and no task of one.
///
/// # Panics
///
/// If that takes a minute.
pub(crate) async fn settled(server: &mut Server) -> Sample {
    const LOOKS: usize = 600;
    let mut last = Sample::default();
    for _ in 0..LOOKS {
        let now = sample(server);
        if now.served + now.closing == 0 && now.tasks == TASKS {
            return now;
        }
        last = now;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it does not settle: {last:?}");
}

/// Of the server at rest: two accept loops, and the timer of its tracker.
const TASKS: u64 = 3;

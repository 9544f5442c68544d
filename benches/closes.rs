//! Which system calls and segments does a close cost? The same requests, each on a connection of its own
//! whose client announces it as the last, go to hyper alone, to hyper with the layer, and to the same with
//! `RequestLayer`; plain and over TLS. strace counts the server's calls, and the kernel counts the segments of
//! both sides. Needs strace, and a network namespace of its own.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, ExitCode, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tower_linger_benches::clients::{ask, tls, trusting};
use tower_linger_benches::namespace::enter;
use tower_linger_benches::process::{Server, serves};
use tower_linger_benches::results::{Bound, Results, Row, is_bench, is_gate};
use tower_linger_benches::servers::{Config, Stack, serve};
use tower_linger_tests::counters::Counters;

const CONNECTIONS: u32 = 1000;

/// What one connection costs.
struct Cost {
    calls: BTreeMap<String, f64>,
    segments: f64,
    resets: f64,
}

fn main() -> ExitCode {
    if let Some(status) = enter() {
        return status;
    }
    // With one thread, no call is spent on waking another.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if let Some(args) = serves() {
        runtime.block_on(serve("127.0.0.1", Config::from_args(&args)));
        return ExitCode::SUCCESS;
    }
    let mut found = Vec::new();
    for over in ["plain", "TLS"] {
        for (stack, name) in STACKS {
            found.extend(rows(&runtime.block_on(cost(stack, over == "TLS")), name, over));
        }
    }
    Results::new("closes", found).tell();
    ExitCode::SUCCESS
}

const STACKS: [(Stack, &str); 3] =
    [(Stack::Bare, "hyper alone"), (Stack::Layer, "layer"), (Stack::Requests, "layer and RequestLayer")];

fn rows(cost: &Cost, name: &str, over: &str) -> Vec<Row> {
    let all = cost.calls.values().sum::<f64>();
    // How often it waits depends on what else the machine does.
    let waits = cost.calls.get("epoll_wait").copied().unwrap_or_default();
    let mut rows = vec![
        Row::new(format!("system calls of a connection, {name}, {over}"), all, "calls"),
        Row::new(format!("system calls but for epoll_wait, {name}, {over}"), all - waits, "calls"),
    ];
    for (call, number) in cost.calls.iter().filter(|(_, number)| **number >= 0.05) {
        rows.push(Row::new(format!("of them {call}, {name}, {over}"), *number, "calls"));
    }
    rows.push(Row::new(format!("segments of a connection, {name}, {over}"), cost.segments, "segments"));
    let resets = Row::new(format!("resets, {name}, {over}"), cost.resets, "segments");
    rows.push(if name == "hyper alone" { resets } else { resets.bounded(Bound::AtMost(0.0)) });
    rows
}

async fn cost(stack: Stack, is_tls: bool) -> Cost {
    let mut server = Server::start(&[stack.name(), if is_tls { "tls" } else { "plain" }]);
    let process = server.id();
    let connections = if is_bench() {
        CONNECTIONS
    } else if is_gate() {
        CONNECTIONS / 5
    } else {
        10
    };
    let client = trusting();
    let mut ask_many = async |number: u32| {
        for _ in 0..number {
            if is_tls {
                let mut io = tls(server.address, client.clone()).await;
                assert!(ask(&mut io, "/").await.ends_with(b"hello\n"));
                // The client sends its close_notify, as curl does; hyper alone has closed by then.
                let _ = io.shutdown().await;
            } else {
                let mut io = TcpStream::connect(server.address).await.expect("it listens");
                assert!(ask(&mut io, "/").await.ends_with(b"hello\n"));
            }
        }
        server.settle();
    };
    ask_many(10).await;
    let traced = Strace::of(process);
    let before = Counters::read();
    ask_many(connections).await;
    let sent = Counters::read().since(&before);
    let number = f64::from(connections);
    let calls = traced.stop().into_iter().map(|(name, calls)| (name, calls / number)).collect();
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let each = |counter: &str| sent.get(counter) as f64 / number;
    Cost { calls, segments: each("TcpOutSegs"), resets: each("TcpOutRsts") }
}

/// A strace that counts the system calls of a process.
struct Strace {
    process: std::process::Child,
    counts: tempfile::NamedTempFile,
}

impl Strace {
    fn of(id: u32) -> Self {
        let counts = tempfile::NamedTempFile::new().expect("a temporary file");
        let process = Command::new("strace")
            .args(["-f", "-c", "-o"])
            .arg(counts.path())
            .args(["-p", &id.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("strace: `make needs` installs it");
        let traced = Self { process, counts };
        let is_traced = || {
            let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
            !status.contains("TracerPid:\t0\n")
        };
        for _ in 0..1_000_000 {
            if is_traced() {
                return traced;
            }
            std::thread::yield_now();
        }
        panic!("strace does not attach: it needs root, or a parent's right");
    }

    /// Stops counting. Returns how often each call was made.
    fn stop(mut self) -> BTreeMap<String, f64> {
        let pid = Pid::from_raw(self.process.id().try_into().expect("a pid"));
        kill(pid, Signal::SIGINT).expect("it runs");
        self.process.wait().expect("it is ours");
        let counts = fs::read_to_string(self.counts.path()).expect("strace writes it");
        // The columns are: % time, seconds, µs/call, calls, [errors,] name.
        let counted = counts.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            Some(((*fields.last()?).to_owned(), fields.get(3)?.parse().ok()?))
        });
        counted.filter(|(name, _)| name != "total").collect()
    }
}

//! The server: a process of its own, so that its descriptors, tasks and memory are its own, too. It obeys
//! lines on its standard input, and answers each of them with a line.

use std::io::BufRead as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_rustls::TlsAcceptor;
use tower_linger::{LingerLayer, RequestLayer, Shutdown, Tracker, serve};

use super::app::{App, policy};
use super::books::{BOOKS, Counted, ON_PURPOSE};
use super::certificates::Certificates;
use super::loops;
use super::recorder::Panics;

/// The argument that makes this program the server; its options follow.
pub(crate) const SERVER: &str = "--server-under-fault";

/// From SIGTERM to the end of the last connection.
const LIMIT: Duration = Duration::from_secs(2);

/// Descriptors that a server here needs at most.
const DESCRIPTORS: u64 = 8192;

/// Runs the server if this process is to be one.
pub(crate) fn main() -> Option<ExitCode> {
    let mut args = std::env::args().skip(1);
    (args.next()? == SERVER).then(|| run(&args.collect::<Vec<_>>()))
}

fn run(options: &[String]) -> ExitCode {
    let has = |option: &str| options.iter().any(|known| known == option);
    limit_descriptors(DESCRIPTORS);
    BOOKS.open(has("subscriber-panics"));
    if has("recorder-panics") {
        metrics::set_global_recorder(Panics).expect("it is the only one");
    }
    let mut process = Process::start(has("observer-panics"));
    println!("{}", process.hello());
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        println!("{}", process.obey(&line));
        if line == "exit" {
            return ExitCode::SUCCESS;
        }
    }
    ExitCode::FAILURE
}

/// Sets the soft limit, to the hard one at most.
fn limit_descriptors(soft: u64) {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is a limit");
    setrlimit(Resource::RLIMIT_NOFILE, soft.min(hard), hard).expect("not above the hard limit");
}

struct Process {
    runtime: Option<Runtime>,
    handle: Option<Handle>,
    app: App,
    certificates: Certificates,
    trackers: Vec<Tracker>,
    ports: Vec<u16>,
    ended: Arc<AtomicUsize>,
    /// What `/proc/self/fd` had before there was a runtime.
    descriptors_before: usize,
}

impl Process {
    fn start(observer_panics: bool) -> Self {
        // tokio keeps a pipe for signals for as long as the process lives.
        let first = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let signals = tokio::signal::unix::SignalKind::user_defined1();
        first.block_on(async { drop(tokio::signal::unix::signal(signals).expect("a signal")) });
        drop(first);
        let descriptors_before = descriptors();

        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let (app, certificates) = (App::default(), Certificates::make());
        let mut process = Self {
            handle: Some(runtime.handle().clone()),
            runtime: None,
            app,
            certificates,
            trackers: Vec::new(),
            ports: Vec::new(),
            ended: Arc::default(),
            descriptors_before,
        };
        let inside = runtime.enter();
        process.listen(observer_panics);
        drop(inside);
        process.runtime = Some(runtime);
        process
    }

    /// Starts the four servers: `serve`, `serve` with TLS, a loop of one's own with hyper, and one with TLS
    /// and a protocol of its own.
    fn listen(&mut self, observer_panics: bool) {
        let linger = LingerLayer::new(policy());
        let observed = linger.clone().on_close(move |_| {
            BOOKS.reported();
            assert!(!observer_panics, "an observer, {ON_PURPOSE}");
        });
        for is_tls in [false, true] {
            let (listener, shutdown) = self.next(None);
            let mut server = serve(Counted(listener), self.app.router()).linger(observed.clone());
            if is_tls {
                server = server.tls(self.certificates.config.clone());
            }
            let (server, ended) = (server.graceful(shutdown), self.ended.clone());
            tokio::spawn(async move {
                server.await;
                ended.fetch_add(1, Ordering::SeqCst);
            });
        }
        let (listener, shutdown) = self.next(None);
        let (app, ended) = (self.app.router().layer(RequestLayer), self.ended.clone());
        let own = linger.clone().with_tracker(self.trackers[2].clone());
        tokio::spawn(async move {
            loops::http(listener, own, app, shutdown).await;
            ended.fetch_add(1, Ordering::SeqCst);
        });
        // A small buffer, so that a client that acknowledges nothing holds the alert back.
        let (listener, shutdown) = self.next(Some(4608));
        let acceptor = TlsAcceptor::from(Arc::new(self.certificates.config.clone()));
        let (raw, ended) = (linger.with_tracker(self.trackers[3].clone()), self.ended.clone());
        tokio::spawn(async move {
            loops::raw(listener, raw, acceptor, shutdown).await;
            ended.fetch_add(1, Ordering::SeqCst);
        });
    }

    fn next(&mut self, send_buffer: Option<u32>) -> (TcpListener, Shutdown) {
        let socket = TcpSocket::new_v4().expect("there are descriptors");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("there is a free port");
        if let Some(bytes) = send_buffer {
            socket.set_send_buffer_size(bytes).expect("TCP");
        }
        let listener = socket.listen(4096).expect("nothing else listens there");
        self.ports.push(listener.local_addr().expect("bound").port());
        let tracker = Tracker::new();
        self.trackers.push(tracker.clone());
        (listener, Shutdown::new(tracker, LIMIT).on_signals().expect("signals"))
    }

    fn hello(&self) -> Value {
        json!({ "ports": self.ports, "authorities": self.certificates.authorities() })
    }

    fn obey(&mut self, command: &str) -> Value {
        let (command, argument) = command.split_once(' ').unwrap_or((command, ""));
        match command {
            "state" => return self.state(),
            "let-go" => self.app.let_go(),
            "limit" => limit_descriptors(argument.parse().expect("a number")),
            "reload" => self.certificates.reload(),
            "leak" => self.leak(),
            "shutdown-background" => self.runtime.take().expect("once").shutdown_background(),
            "shutdown-timeout" => {
                let longest = Duration::from_millis(argument.parse().expect("milliseconds"));
                self.runtime.take().expect("once").shutdown_timeout(longest);
            }
            "exit" => {}
            _ => return json!(format!("what is {command:?}?")),
        }
        json!("done")
    }

    /// The tasks that live. When a runtime has ended and its last task is gone, nothing here keeps it.
    fn tasks(&mut self) -> usize {
        let tasks = self.handle.as_ref().map_or(0, |handle| handle.metrics().num_alive_tasks());
        if self.runtime.is_none() && tasks == 0 {
            self.handle = None;
        }
        tasks
    }

    fn state(&mut self) -> Value {
        let trackers = self.trackers.clone();
        let sum = |count: fn(&Tracker) -> usize| trackers.iter().map(count).sum::<usize>();
        let summaries: Vec<_> = self.trackers.iter().map(|tracker| tracker.summary().to_string()).collect();
        let trackers = json!({
            "served": sum(Tracker::served),
            "closing": sum(Tracker::closing),
            "total": self.trackers.iter().map(|tracker| tracker.summary().total()).sum::<u64>(),
            "summaries": summaries,
            "running": self.app.running(),
            "tasks": self.tasks(),
            "descriptors_before": self.descriptors_before,
            "ended": self.ended.load(Ordering::SeqCst),
            "wall_clock": SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        });
        // The books come last: what the trackers have counted was reported before.
        let (Value::Object(mut all), Value::Object(books)) = (trackers, BOOKS.tell()) else {
            unreachable!("two objects")
        };
        all.extend(books);
        Value::Object(all)
    }

    /// Does what this suite looks for, so that it can be seen to find it: one connection is never dropped.
    fn leak(&self) {
        let tracker = self.trackers[2].clone();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = std::net::TcpStream::connect(listener.local_addr().expect("bound"));
        let (accepted, _) = listener.accept().expect("loopback");
        accepted.set_nonblocking(true).expect("a socket");
        let _inside = self.handle.as_ref().expect("it runs").enter();
        let io = tokio::net::TcpStream::from_std(accepted).expect("a runtime");
        BOOKS.accepted();
        std::mem::forget(LingerLayer::default().with_tracker(tracker).wrap(io));
        drop(client);
    }
}

/// The descriptors of this process, without the one that counts them.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("procfs is there").count() - 1
}

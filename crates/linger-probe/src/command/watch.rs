//! `linger-probe watch`: how the connections of this host end, live and passively.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{ArgGroup, Args};
use linger_probe::read::Kind;
use linger_wire::live::{Filter, Socket};
use nix::net::if_::if_nametoindex;

use super::output::OutputArgs;
use super::{CommandError, interrupted, size};
use crate::watch::metrics::{self, Meter};
use crate::watch::process::listening_ports;
use crate::watch::rings::Rings;
use crate::watch::save::{Saver, Wanted};
use crate::watch::{Second, Watched, Watcher};

mod told;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).multiple(true).args(["port", "process", "all"])))]
pub(crate) struct WatchArgs {
    /// Watches connections from and to this TCP port. Repeatable.
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..), help_heading = "What is watched")]
    port: Vec<u16>,
    /// Watches the ports that this process listens on now.
    #[arg(
        long,
        value_name = "PID",
        value_parser = clap::value_parser!(i32).range(1..),
        help_heading = "What is watched"
    )]
    process: Option<i32>,
    /// Watches all TCP connections of this host, those that it opens included.
    #[arg(long, conflicts_with_all = ["port", "process"], help_heading = "What is watched")]
    all: bool,
    /// Watches this network interface only. A host that forwards packets sees them on each interface, and
    /// would take them for packets that were sent again.
    #[arg(short, long, value_name = "NAME", help_heading = "What is watched")]
    interface: Option<String>,
    /// How long to watch, in seconds. By default until Ctrl-C or SIGTERM.
    #[arg(short, long, value_parser = duration, help_heading = "What is watched")]
    duration: Option<Duration>,
    /// How many bytes of each packet are read: the headers, and the heads of TLS records in short segments.
    /// More shows more alerts behind data, and costs more.
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(128..=65_535),
        help_heading = "Capture"
    )]
    snaplen: u32,
    /// How much memory the kernel may use for packets that wait to be read.
    #[arg(long, value_name = "SIZE", default_value = "32MiB", value_parser = queue, help_heading = "Capture")]
    queue: u64,
    /// Serves metrics for Prometheus at this address, such as 127.0.0.1:9464.
    #[arg(long, value_name = "ADDRESS", help_heading = "Output")]
    metrics: Option<SocketAddr>,
    #[command(flatten)]
    save: SaveArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Which connections are saved, and where.
#[derive(Debug, Args)]
struct SaveArgs {
    /// Saves the packets of each connection that ends so. Repeatable.
    #[arg(long, value_name = "KIND", requires = "save", value_parser = kind, help_heading = "Saving packets")]
    on: Vec<Kind>,
    /// The folder for one pcapng file per connection, named by time, kind and client. Only its owner can read
    /// a file, because packets may hold passwords.
    #[arg(long, value_name = "FOLDER", requires = "on", help_heading = "Saving packets")]
    save: Option<PathBuf>,
    /// How many files are written at most.
    #[arg(
        long,
        value_name = "FILES",
        default_value_t = 1000,
        requires = "save",
        help_heading = "Saving packets"
    )]
    save_limit: u64,
    /// How much memory may hold packets of connections whose end is not known yet. Of each connection, the
    /// first 8 and the last 56 packets are kept. If memory is short, those that look like a normal close are
    /// forgotten first, and then the oldest.
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "128MiB",
        value_parser = size,
        requires = "save",
        help_heading = "Saving packets"
    )]
    save_memory: u64,
}

/// Returns whether no connection lost something.
pub(crate) async fn main(args: &WatchArgs) -> Result<bool, CommandError> {
    let ports = args.ports().map_err(CommandError)?;
    args.output.prepare()?;
    let saving = args.save.start()?;
    let socket = args.open(&ports)?;
    let meter = match args.metrics {
        Some(address) => {
            metrics::serve(address).map_err(CommandError)?;
            Some(Meter::new(&ports))
        }
        None => None,
    };
    let name = name(&ports, args.interface.as_deref());
    let started = format!("{name}: watching{}", args.queue_words(&socket));
    let watcher = Watcher::new(&ports, name, saving, meter);
    let line = if args.output.is_text() { told::to_stdout } else { told::to_stderr };
    let mut interrupted = pin!(interrupted());
    // Polled once, so that a signal is not missed from the first line on.
    tokio::select! {
        biased;
        () = &mut interrupted => return Err(CommandError("interrupted before it began".to_owned())),
        () = std::future::ready(()) => eprintln!("{started}"),
    }
    told::tell(run(watcher, socket, args.duration, line, interrupted).await?, &args.output)
}

/// Watches on a thread of its own, until a signal or the end of the duration.
async fn run(
    watcher: Watcher,
    socket: Socket,
    duration: Option<Duration>,
    line: fn(&Second) -> io::Result<()>,
    interrupted: impl Future<Output = ()>,
) -> Result<Watched, CommandError> {
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, mut result) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("watch".to_owned());
    thread.spawn({
        let stop = Arc::clone(&stop);
        move || drop(sender.send(watcher.run(socket, &stop, duration, line)))
    })?;
    let result = tokio::select! {
        result = &mut result => result,
        () = interrupted => {
            stop.store(true, Ordering::Relaxed);
            result.await
        }
    };
    let failed = |why: &dyn std::fmt::Display| CommandError(format!("the capture ended: {why}"));
    result.map_err(|_| failed(&"its thread panicked"))?.map_err(|error| failed(&error))
}

impl WatchArgs {
    /// The watched ports in order. None means all.
    fn ports(&self) -> Result<Vec<u16>, String> {
        let mut ports: BTreeSet<u16> = self.port.iter().copied().collect();
        if let Some(pid) = self.process {
            ports.extend(listening_ports(pid)?);
        }
        Ok(ports.into_iter().collect())
    }

    fn open(&self, ports: &[u16]) -> Result<Socket, CommandError> {
        let interface = match &self.interface {
            Some(name) => Some(
                if_nametoindex(name.as_str())
                    .map_err(|error| CommandError(format!("--interface {name}: {}", error.desc())))?,
            ),
            None => None,
        };
        let queue_bytes = usize::try_from(self.queue).unwrap_or(usize::MAX);
        let filter = Filter { ports: ports.to_vec(), interface, bytes: self.snaplen, queue_bytes };
        Socket::open(&filter).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                let program = std::env::current_exe().unwrap_or_else(|_| "linger-probe".into());
                CommandError(format!(
                    "watch needs root or CAP_NET_RAW: `sudo setcap cap_net_raw,cap_net_admin+ep {}`",
                    program.display()
                ))
            }
            _ => CommandError(format!("cannot capture packets: {error}")),
        })
    }

    /// Says if the queue is smaller than wanted.
    fn queue_words(&self, socket: &Socket) -> String {
        match socket.queue_bytes() {
            Ok(bytes) if (bytes as u64) < self.queue => format!(
                ", with a queue of {} KiB only, so packets may be dropped: run it with CAP_NET_ADMIN \
                 or with a larger sysctl net.core.rmem_max",
                bytes / 1024
            ),
            _ => String::new(),
        }
    }
}

impl SaveArgs {
    fn start(&self) -> Result<Option<(Rings, Saver)>, CommandError> {
        let Some(folder) = &self.save else { return Ok(None) };
        let kinds = self.on.iter().copied().collect();
        let wanted = Wanted { kinds, folder: folder.clone(), most_files: self.save_limit };
        wanted.prepare().map_err(CommandError)?;
        let rings = Rings::new(usize::try_from(self.save_memory).unwrap_or(usize::MAX));
        Ok(Some((rings, Saver::start(wanted)?)))
    }
}

/// What is watched, as the report names it.
fn name(ports: &[u16], interface: Option<&str>) -> String {
    let on = interface.map(|name| format!(" on {name}")).unwrap_or_default();
    let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
    match ports.as_slice() {
        [] => format!("all TCP connections{on}"),
        [port] => format!("port {port}{on}"),
        ports => format!("ports {}{on}", ports.join(", ")),
    }
}

fn kind(text: &str) -> Result<Kind, String> {
    let known = || Kind::ALL.map(Kind::key).join(", ");
    Kind::of_key(text).ok_or_else(|| format!("no such kind: use {}", known()))
}

/// Reads seconds: more than 0, at most 31 days.
fn duration(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= MOST_SECONDS => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("seconds, more than 0 and at most {MOST_SECONDS}")),
    }
}

fn queue(text: &str) -> Result<u64, String> {
    match size(text)? {
        bytes @ ..=MOST_QUEUE => Ok(bytes),
        _ => Err("at most 1GiB".to_owned()),
    }
}

const MOST_SECONDS: f64 = 2_678_400.0;
const MOST_QUEUE: u64 = 1 << 30;

//! The metrics of `watch`, for Prometheus. All values of their labels are from bounded lists.

use std::collections::HashMap;
use std::net::SocketAddr;

use linger_probe::read::Kind;
use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::PrometheusBuilder;

use super::kernel::Snapshot;

/// Connections that are open, by what the packets show.
const OPEN: &str = "linger_probe_open_connections";
/// Connections that ended, by `kind` and `port`.
const ENDS: &str = "linger_probe_ends_total";
/// Connections that lost something, by `port`.
const LOSSES: &str = "linger_probe_losses_total";
/// Packets that were read.
const PACKETS: &str = "linger_probe_packets_total";
/// Packets that the queue had no room for.
const DROPPED: &str = "linger_probe_dropped_packets_total";
/// Files that `--save` began.
const SAVED: &str = "linger_probe_saved_traces_total";
/// What the kernel's counters of the network namespace grew by, by `counter`.
const KERNEL: &str = "linger_probe_kernel_total";

/// Serves metrics at this address, on the runtime.
pub(crate) fn serve(address: SocketAddr) -> Result<(), String> {
    let refused = |error| format!("--metrics {address}: {error}");
    // The builder's own error does not say why.
    drop(std::net::TcpListener::bind(address).map_err(|error| refused(error.to_string()))?);
    let built = PrometheusBuilder::new().with_http_listener(address).install();
    built.map_err(|error| refused(error.to_string()))
}

/// Counts for Prometheus.
pub(crate) struct Meter {
    ports: HashMap<u16, Port>,
    others: Option<Port>,
    open: Gauge,
    packets: Counter,
    dropped: Counter,
    saved: Counter,
}

/// The counters of a server's port.
struct Port {
    ends: [Counter; Kind::ALL.len()],
    losses: Counter,
}

impl Port {
    fn new(label: &str) -> Self {
        Self {
            ends: Kind::ALL.map(|kind| counter!(ENDS, "kind" => kind.key(), "port" => label.to_owned())),
            losses: counter!(LOSSES, "port" => label.to_owned()),
        }
    }
}

impl Meter {
    /// The ports have their series from the beginning, so that their first end is an increase.
    pub(crate) fn new(ports: &[u16]) -> Self {
        describe_gauge!(OPEN, Unit::Count, "Connections that are open");
        describe_counter!(ENDS, Unit::Count, "Connections that ended, by kind of end and port of the server");
        describe_counter!(LOSSES, Unit::Count, "Connections that lost something, by port of the server");
        describe_counter!(PACKETS, Unit::Count, "Packets that were read");
        describe_counter!(DROPPED, Unit::Count, "Packets that were dropped because the queue was full");
        describe_counter!(SAVED, Unit::Count, "Connections whose packets were saved");
        describe_counter!(KERNEL, Unit::Count, "Growth of the kernel's counters of the network namespace");
        Self {
            ports: ports.iter().map(|port| (*port, Port::new(&port.to_string()))).collect(),
            others: None,
            open: gauge!(OPEN),
            packets: counter!(PACKETS),
            dropped: counter!(DROPPED),
            saved: counter!(SAVED),
        }
    }

    /// Counts an end.
    pub(crate) fn ended(&mut self, port: u16, kind: Kind, lost: bool) {
        let is_known = self.ports.contains_key(&port) || self.ports.len() < MOST_PORTS;
        let port = if is_known {
            self.ports.entry(port).or_insert_with(|| Port::new(&port.to_string()))
        } else {
            self.others.get_or_insert_with(|| Port::new("other"))
        };
        port.ends[kind.index()].increment(1);
        if lost {
            port.losses.increment(1);
        }
    }

    /// Sets the totals.
    pub(crate) fn set(&self, open: usize, packets: u64, dropped: u64, saved: u64) {
        // A gauge is a float.
        self.open.set(u32::try_from(open).unwrap_or(u32::MAX));
        self.packets.absolute(packets);
        self.dropped.absolute(dropped);
        self.saved.absolute(saved);
    }

    /// Sets the kernel's counters.
    pub(crate) fn kernel(now: &Snapshot, begin: &Snapshot) {
        for (found, growth) in now.since(begin) {
            counter!(KERNEL, "counter" => found.name).absolute(growth);
        }
    }
}

/// How many ports have series of their own. The others share one, `other`.
const MOST_PORTS: usize = 100;

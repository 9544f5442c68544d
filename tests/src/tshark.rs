//! What tshark says of the connections of a capture file, as a second opinion.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;

use linger_wire::Side;
use linger_wire::trace::{Connection, Opening};

/// What tshark says of one TCP stream.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stream {
    ends: [End; 2],
    packets: u64,
    /// Bits: SYN, SYN-ACK, ACK, data, FIN, RST (`tcp.completeness`).
    completeness: u32,
}

/// What one end of it sent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct End {
    address: SocketAddr,
    resets: u64,
    has_fin: bool,
    has_syn: bool,
    /// The end of its data, counted from its SYN or its first segment.
    reach: u64,
    /// The same at its FIN: what follows counts the FIN, too.
    fin_at: Option<u64>,
    retransmissions: u64,
    keepalives: u64,
    window_probes: u64,
    zero_windows: u64,
    lost: u64,
    alerts: Vec<u8>,
}

/// Where tshark and [`Connection`]s say different things about the same file. Both must find the same
/// connections; only fields are compared about which tshark has a word.
///
/// # Panics
/// If tshark cannot be run, or cannot read the file.
#[must_use]
pub fn differences(file: &[u8], connections: &[Connection]) -> Vec<String> {
    let streams = streams(file);
    if streams.len() != connections.len() {
        return vec![format!("tshark has {} streams, not {} connections", streams.len(), connections.len())];
    }
    let mut differences = Vec::new();
    for (stream, connection) in streams.iter().zip(connections) {
        stream.compare(connection, |what, tshark, ours| {
            if tshark != ours {
                let Connection { number, client, server, .. } = connection;
                let line = format!("{number}, {client} to {server}: {what}: tshark {tshark}, we {ours}");
                differences.push(line);
            }
        });
    }
    differences
}

impl Stream {
    /// Calls `same` with the name of each field, and what both say of it.
    fn compare(&self, connection: &Connection, mut same: impl FnMut(&str, u64, u64)) {
        let found: BTreeSet<SocketAddr> = self.ends.iter().map(|end| end.address).collect();
        same("addresses", 1, (found == BTreeSet::from([connection.client, connection.server])).into());
        same("packets", self.packets, connection.packets);
        // Without a SYN, tshark has no word about completeness.
        if self.completeness & 1 != 0 {
            let is_complete = connection.opening == Opening::Complete;
            same("handshake", (self.completeness & 7 == 7).into(), is_complete.into());
            let sides = [Side::Client, Side::Server].map(|side| connection.sent(side));
            let data = sides.iter().any(|sent| sent.bytes > 0);
            same("data", (self.completeness & 8 != 0).into(), data.into());
            let fin = sides.iter().any(|sent| sent.fin_at.is_some());
            same("a FIN", (self.completeness & 16 != 0).into(), fin.into());
            let reset = sides.iter().any(|sent| sent.resets > 0);
            same("a RST", (self.completeness & 32 != 0).into(), reset.into());
        }
        for side in [Side::Client, Side::Server] {
            let sent = connection.sent(side);
            let address = if side == Side::Client { connection.client } else { connection.server };
            let Some(end) = self.ends.iter().find(|end| end.address == address) else { continue };
            let mut same = |what: &str, tshark, ours| same(&format!("{what} of the {side}"), tshark, ours);
            same("resets", end.resets, sent.resets);
            same("FIN", end.has_fin.into(), sent.fin_at.is_some().into());
            if end.has_syn {
                same("bytes", end.fin_at.unwrap_or(end.reach), sent.bytes);
            }
            same("retransmissions", end.retransmissions, sent.retransmissions);
            // Linux sends both in the same form; tshark calls the probes of a window of zero keepalives.
            same("probes", end.keepalives + end.window_probes, sent.keepalives + sent.window_probes);
            same("a zero window", (end.zero_windows > 0).into(), (!sent.zero_window.is_zero()).into());
            same("lost segments", (end.lost > 0).into(), (sent.missing > 0).into());
            let tls = connection.tls.as_ref();
            let last = tls.and_then(|tls| match side {
                Side::Client => tls.client.last_alert,
                Side::Server => tls.server.last_alert,
            });
            if let Some(&alert) = end.alerts.last() {
                same("last alert", alert.into(), last.map_or(u64::MAX, u64::from));
            }
        }
    }
}

/// In the order of their first packets.
fn streams(file: &[u8]) -> Vec<Stream> {
    let text = run(file);
    let mut streams: Vec<Stream> = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [stream, v4, v6, v4_to, v6_to, from, to, flags, seq, length, completeness, rest @ ..] =
            &fields[..]
        else {
            panic!("tshark's line: {line}")
        };
        let ip = |v4: &str, v6: &str| {
            if v4.is_empty() { v6.parse() } else { v4.parse().map(std::net::IpAddr::V4) }
        };
        let address = |v4, v6, port: &str| {
            SocketAddr::new(ip(v4, v6).expect("an address"), port.parse().expect("a port"))
        };
        let number: usize = stream.parse().expect("the number of a stream");
        // An ICMP error quotes a segment of the stream, so that it has two senders.
        if [v4, v6].iter().any(|addresses| addresses.contains(',')) {
            streams[number].packets += 1;
            continue;
        }
        let (source, destination) = (address(v4, v6, from), address(v4_to, v6_to, to));
        if number == streams.len() {
            let ends = [source, destination].map(End::new);
            streams.push(Stream { ends, packets: 0, completeness: 0 });
        }
        let stream = &mut streams[number];
        stream.packets += 1;
        stream.completeness = completeness.parse().unwrap_or_default();
        let end = stream.ends.iter_mut().find(|end| end.address == source).expect("one of the two");
        let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).expect("flags");
        end.add(flags, seq.parse().expect("a number"), length.parse().expect("a length"), rest);
    }
    streams
}

impl End {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            resets: 0,
            has_fin: false,
            has_syn: false,
            reach: 0,
            fin_at: None,
            retransmissions: 0,
            keepalives: 0,
            window_probes: 0,
            zero_windows: 0,
            lost: 0,
            alerts: Vec::new(),
        }
    }

    fn add(&mut self, flags: u32, seq: u64, length: u64, analysis: &[&str]) {
        let [retransmission, fast, spurious, keepalive, probe, zero_window, lost, alerts] = analysis else {
            panic!("tshark's analysis: {analysis:?}")
        };
        let is_reset = flags & RST != 0;
        self.resets += u64::from(is_reset);
        self.has_fin |= flags & FIN != 0;
        self.has_syn |= flags & SYN != 0;
        let is_keepalive = !keepalive.is_empty();
        // Relative numbers count from the SYN. A keepalive probe may carry a byte that is none.
        if !is_reset && !is_keepalive {
            let syn = u64::from(flags & SYN != 0);
            let end = (seq + syn + length).saturating_sub(1);
            self.reach = self.reach.max(end);
            if flags & FIN != 0 {
                self.fin_at = Some(end);
            }
        }
        let again = [retransmission, fast, spurious].iter().any(|field| !field.is_empty());
        self.retransmissions += u64::from(again && !is_keepalive);
        self.keepalives += u64::from(is_keepalive);
        self.window_probes += u64::from(!probe.is_empty());
        self.zero_windows += u64::from(!zero_window.is_empty());
        self.lost += u64::from(!lost.is_empty());
        self.alerts.extend(alerts.split(',').filter_map(|alert| alert.parse::<u8>().ok()));
    }
}

fn run(file: &[u8]) -> String {
    let mut capture = tempfile::NamedTempFile::new().expect("a temporary file");
    capture.write_all(file).expect("room for it");
    let output = Command::new("tshark")
        // Read twice, so that each line has what the whole stream shows.
        .args(["-n", "-2", "-T", "fields", "-Y", "tcp"])
        .args(FIELDS.iter().flat_map(|field| ["-e", field]))
        .arg("-r")
        .arg(capture.path())
        .output()
        .unwrap_or_else(|error| panic!("tshark does not start ({error}): `make needs` installs it"));
    assert!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("numbers")
}

const FIELDS: [&str; 19] = [
    "tcp.stream",
    "ip.src",
    "ipv6.src",
    "ip.dst",
    "ipv6.dst",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.flags",
    "tcp.seq",
    "tcp.len",
    "tcp.completeness",
    "tcp.analysis.retransmission",
    "tcp.analysis.fast_retransmission",
    "tcp.analysis.spurious_retransmission",
    "tcp.analysis.keep_alive",
    "tcp.analysis.zero_window_probe",
    "tcp.analysis.zero_window",
    "tcp.analysis.lost_segment",
    "tls.alert_message.desc",
];
const FIN: u32 = 1;
const SYN: u32 = 2;
const RST: u32 = 4;

//! A small language for traces.
//!
//! A line is a time in seconds, a side (`C` or `S`), what it sends, and what is unusual about it:
//!
//! - `syn`, `synack`, `ack`, `data N`, `fin`, `rst` (acknowledges nothing), `rstack`, `icmp KIND` (an error
//!   about this side's last segment)
//! - `seq=N`, `ack=N`: relative to the first sequence number of that side, as Wireshark counts. Without them,
//!   a segment continues its side's stream and acknowledges everything that the other side sent.
//! - `record=KIND` or `record=KIND:N`: the data is a TLS record of this type, whole or of N bytes. An alert
//!   of two bytes is `handshake_failure`
//! - `win=N`, `ttl=N`, `id=N`, `cut=N` (so many bytes were captured), `text=…` (the data; `_` is a space),
//!   `more` (without PSH), `plain` (without timestamps), `fresh` (another first sequence number), `port=N`
//!   (the client's)

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::decode::{Flags, IcmpError, IcmpKind, Options, Packet, Payload, Tcp};
use crate::trace::{Analyser, Connection, End, Settings};
use crate::transcript::Side;

/// A connection's handshake, to begin a script with.
pub(super) const OPEN: &str = "0.000 C syn\n0.001 S synack\n0.002 C ack\n";
/// A request and its response.
pub(super) const EXCHANGE: &str = "0.000 C syn\n0.001 S synack\n0.002 C ack\n0.003 C data 100\n\
     0.004 S ack\n0.005 S data 200\n0.006 C ack\n";

/// The connections of a script that continues `before`.
pub(super) fn connections(before: &str, script: &str) -> Vec<Connection> {
    connections_with(&Settings { ladder_events: 100, ..Settings::default() }, before, script)
}

pub(super) fn connections_with(settings: &Settings, before: &str, script: &str) -> Vec<Connection> {
    let run = |v6| {
        let mut analyser = Analyser::new(settings.clone());
        // One run packs what closed normally, the other does not.
        analyser.limits.examples = if v6 { 0 } else { 64 };
        let mut state = State { v6, ..State::default() };
        for line in before.lines().chain(script.lines()).filter(|line| !line.trim().is_empty()) {
            state.push(&mut analyser, line);
        }
        analyser.finish();
        let ended = std::iter::from_fn(|| analyser.next_ended()).collect::<Vec<_>>();
        assert_eq!(analyser.held(), 0);
        ended
    };
    let (v4, v6) = (run(false), run(true));
    let facts = |connections: &[Connection]| {
        let facts = connections.iter().map(|one| {
            let End { way, by, at, ref reset, silence, .. } = one.end;
            let sent = (one.client_sent, one.server_sent);
            (way, by, at, reset.clone(), silence, one.findings.clone(), one.doubts.clone(), one.packets, sent)
        });
        facts.collect::<Vec<_>>()
    };
    // IPv6 has no identification.
    if !script.contains(" id=") {
        assert_eq!(facts(&v4), facts(&v6), "IPv4 and IPv6 differ");
    }
    v4
}

/// The only connection of a script that continues `before`.
pub(super) fn connection(before: &str, script: &str) -> Connection {
    let [connection] = connections(before, script).try_into().expect("one connection");
    connection
}

#[derive(Default)]
struct State {
    v6: bool,
    sides: HashMap<(u16, bool), Numbers>,
    packets: u16,
}

#[derive(Clone, Copy)]
struct Numbers {
    first: u32,
    /// After everything sent, and before the last segment; relative.
    next: u32,
    last: u32,
}

impl State {
    fn push(&mut self, analyser: &mut Analyser, line: &str) {
        let mut words = line.split_whitespace();
        let at = Duration::from_secs_f64(words.next().expect("a word").parse().expect("a number"));
        let client = match words.next().expect("a word") {
            "C" => true,
            "S" => false,
            other => panic!("{other} is no side"),
        };
        let kind = words.next().expect("a word");
        let rest: Vec<&str> = words.collect();
        let given = |name: &str| rest.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        let number = |name: &str| given(name).map(|value| value.parse::<u32>().expect("a number"));
        let has = |name: &str| rest.contains(&name);
        let port = number("port").map_or(50_000, |port| u16::try_from(port).expect("a small number"));
        let fresh = if has("fresh") { 1 << 20 } else { 0 };
        let first = if client { u32::MAX - 30 } else { u32::MAX - 60 };
        let begin = Numbers { first: first.wrapping_add(fresh), next: 0, last: 0 };
        let other = self.sides.get(&(port, !client)).copied();
        let own = self.sides.entry((port, client)).or_insert(begin);
        if fresh > 0 {
            *own = begin;
        }

        let source = (self.v6, client);
        let (from, to) = (ip(source), ip((self.v6, !client)));
        let (from_port, to_port) = if client { (port, 443) } else { (443, port) };
        self.packets += 1;
        let packet = |payload| Packet {
            at,
            source: from,
            destination: to,
            ttl: number("ttl").map_or(64, |ttl| u8::try_from(ttl).expect("a small number")),
            id: (!self.v6).then_some(
                number("id").map_or(self.packets, |id| u16::try_from(id).expect("a small number")),
            ),
            payload,
        };
        if kind == "icmp" {
            let seq = number("seq").unwrap_or(own.last);
            let error = IcmpError {
                kind: icmp(rest[0]),
                source: (from, from_port),
                destination: (to, to_port),
                seq: Some(own.first.wrapping_add(seq)),
            };
            let _ = analyser.push(&packet(Payload::Icmp(error)));
            return;
        }

        let text = given("text").map(|text| text.replace('_', " ")).unwrap_or_default();
        let length = match kind {
            "data" => rest[0].parse().expect("a number"),
            _ => 0,
        };
        let mut data = vec![b'x'; length];
        data[..text.len()].copy_from_slice(text.as_bytes());
        if let Some(record) = given("record") {
            let (kind, size) = record.split_once(':').unwrap_or((record, ""));
            let size = size.parse().unwrap_or(u16::try_from(length - 5).expect("a record"));
            data[..3].copy_from_slice(&[kind.parse().expect("a type"), 3, 3]);
            data[3..5].copy_from_slice(&size.to_be_bytes());
            if kind == "21" && size == 2 {
                data[5..].copy_from_slice(&[2, 40]);
            }
        }
        data.truncate(number("cut").map_or(length, |cut| cut as usize));
        let flags = Flags {
            syn: matches!(kind, "syn" | "synack"),
            fin: kind == "fin",
            rst: matches!(kind, "rst" | "rstack"),
            psh: kind == "data" && !has("more"),
        };
        let seq = number("seq").unwrap_or(if flags.syn { 0 } else { own.next });
        let length = u32::try_from(length).expect("a small number");
        own.last = seq;
        own.next = own.next.max(seq + length + u32::from(flags.syn || flags.fin));
        let seq = own.first.wrapping_add(seq);
        let acknowledged = number("ack").unwrap_or(other.map_or(0, |other| other.next));
        let ack = other.map(|other| other.first.wrapping_add(acknowledged));
        let tcp = Tcp {
            source_port: from_port,
            destination_port: to_port,
            seq,
            ack: ack.filter(|_| !matches!(kind, "syn" | "rst")),
            flags,
            window: number("win").map_or(501, |window| u16::try_from(window).expect("a small number")),
            options: Options {
                mss: flags.syn.then_some(1460),
                window_scale: flags.syn.then_some(7),
                timestamps: (kind != "rst" && !has("plain")).then_some((u32::from(self.packets), 1)),
                sack: false,
            },
            payload: &data,
            length,
        };
        let _ = analyser.push(&packet(Payload::Tcp(tcp)));
    }
}

fn ip((v6, client): (bool, bool)) -> IpAddr {
    let last = if client { 9 } else { 1 };
    if v6 {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last).into()
    } else {
        Ipv4Addr::new(10, 0, 0, last.to_le_bytes()[0]).into()
    }
}

fn icmp(name: &str) -> IcmpKind {
    match name {
        "host" => IcmpKind::HostUnreachable,
        "big" => IcmpKind::PacketTooBig,
        other => panic!("{other} is no ICMP error"),
    }
}

pub(super) const CLIENT: Option<Side> = Some(Side::Client);
pub(super) const SERVER: Option<Side> = Some(Side::Server);

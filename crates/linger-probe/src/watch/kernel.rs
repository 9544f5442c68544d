//! The kernel's own counters of how connections ended.

use std::collections::HashMap;
use std::fs;

/// A counter of the network namespace, and what it counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counter {
    /// Its name, as `nstat` prints it without the group.
    pub(crate) name: &'static str,
    /// What it counts, in a clause.
    pub(crate) meaning: &'static str,
}

/// The counters that say something about ends
/// (<https://docs.kernel.org/networking/snmp_counter.html>, `net/ipv4/tcp*.c`).
pub(crate) const COUNTERS: [Counter; 17] = [
    counter("TCPAbortOnClose", "reset because the application closed with unread data (RFC 2525 §2.17)"),
    counter("TCPAbortOnData", "reset because data came after the application had closed, or by zero linger"),
    counter("TCPAbortOnLinger", "left without a reset because the wait after a close (TCP_LINGER2) is off"),
    counter("TCPAbortOnTimeout", "given up: retransmissions or probes were not answered"),
    counter("TCPAbortOnMemory", "given up after a close: too many orphans (tcp_max_orphans), or no memory"),
    counter("TCPAbortFailed", "resets that could not be sent for want of memory"),
    counter("OutRsts", "segments sent with RST, whatever the cause"),
    counter("EstabResets", "connections that were reset by either side"),
    counter("AttemptFails", "connections that failed before they were established"),
    counter("TCPTimeouts", "retransmission timers that ran out"),
    counter("RetransSegs", "segments sent again"),
    counter("ListenOverflows", "connections refused or delayed because the accept queue was full"),
    counter("ListenDrops", "SYNs and connections dropped by a listener, those of ListenOverflows included"),
    counter("TCPTimeWaitOverflow", "TIME_WAITs left out because there were too many (tcp_max_tw_buckets)"),
    counter("TCPChallengeACK", "challenge ACKs sent for a SYN or RST that did not fit (RFC 5961)"),
    counter("TCPRcvQDrop", "segments dropped because the receive queue was full"),
    counter("TCPBacklogDrop", "segments dropped because the socket's backlog was full"),
];

const fn counter(name: &'static str, meaning: &'static str) -> Counter {
    Counter { name, meaning }
}

/// A snapshot of the counters. `None` for one that this kernel lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot([Option<u64>; COUNTERS.len()]);

impl Snapshot {
    /// Reads the counters of this process's network namespace. Without procfs there are none.
    pub(crate) fn read() -> Self {
        let mut found = HashMap::new();
        for (file, group) in [("/proc/net/snmp", "Tcp:"), ("/proc/net/netstat", "TcpExt:")] {
            parse(&fs::read_to_string(file).unwrap_or_default(), group, &mut found);
        }
        Self(COUNTERS.map(|counter| found.get(counter.name).copied()))
    }

    /// By how much each counter has grown since an earlier snapshot.
    pub(crate) fn since(&self, before: &Self) -> impl Iterator<Item = (Counter, u64)> {
        let pairs = self.0.iter().zip(&before.0);
        COUNTERS.into_iter().zip(pairs).filter_map(|(counter, pair)| match pair {
            (Some(now), Some(before)) => Some((counter, now.wrapping_sub(*before))),
            _ => None,
        })
    }
}

/// Reads a group: a line of names, then a line of values.
fn parse(text: &str, group: &str, found: &mut HashMap<String, u64>) {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(group));
    if let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        for (name, value) in names.split_whitespace().zip(values.split_whitespace()) {
            // `MaxConn` may be -1.
            if let Ok(value) = value.parse() {
                found.insert(name.to_owned(), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_has_the_counters() {
        let now = Snapshot::read();
        let missing: Vec<_> = COUNTERS
            .iter()
            .zip(&now.0)
            .filter(|(_, value)| value.is_none())
            .map(|(found, _)| found)
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
        assert_eq!(now.since(&now).map(|(_, more)| more).sum::<u64>(), 0);
    }

    #[test]
    fn values_go_to_their_names() {
        let mut found = HashMap::new();
        let text = "Ip: A\nIp: 9\nTcp: MaxConn OutRsts\nTcp: -1 7\n";
        parse(text, "Tcp:", &mut found);
        assert_eq!(found, HashMap::from([("OutRsts".to_owned(), 7)]));
    }
}

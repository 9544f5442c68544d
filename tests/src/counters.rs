//! The kernel's network counters of the current network namespace, as `nstat` names them.
//!
//! Read them before and after: [`Counters::since`] gives the difference.
//!
//! ```no_run
//! # use tower_linger_tests::counters::Counters;
//! let before = Counters::read();
//! // … connections come and go …
//! let changed = Counters::read().since(&before);
//! assert_eq!(changed.get("TcpOutRsts"), 0, "{changed}");
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::fs;

/// A snapshot of the counters, or the difference of two.
///
/// `Debug` and `Display` show the counters that are not zero, one per line.
#[derive(Clone, PartialEq, Eq)]
pub struct Counters(BTreeMap<String, i64>);

impl Counters {
    /// Reads the counters of the calling process's network namespace.
    ///
    /// `/proc/net` shows the namespace of the process's first thread, which is the one that
    /// [`netns`](linger_wire::netns) moves.
    ///
    /// # Panics
    /// If procfs is not mounted or has an unknown format.
    #[must_use]
    pub fn read() -> Self {
        let mut counters = BTreeMap::new();
        for file in ["/proc/net/snmp", "/proc/net/netstat"] {
            let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
            parse(&text, &mut counters)
                .unwrap_or_else(|line| panic!("{file}: this line does not fit the format: {line:?}"));
        }
        Self(counters)
    }

    /// How much each counter has grown since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let difference =
            |(name, now): (&String, &i64)| (name.clone(), now - before.0.get(name).copied().unwrap_or(0));
        Self(self.0.iter().map(difference).collect())
    }

    /// The counter with this name, such as `TcpOutRsts` or `TcpExtTCPAbortOnClose`.
    ///
    /// # Panics
    /// If this kernel has no such counter, so that a misspelt name cannot pass as a zero.
    #[must_use]
    #[track_caller]
    pub fn get(&self, name: &str) -> i64 {
        *self.0.get(name).unwrap_or_else(|| panic!("this kernel has no counter named {name}"))
    }

    /// Segments sent with RST, whatever the cause.
    #[must_use]
    pub fn out_rsts(&self) -> i64 {
        self.get("TcpOutRsts")
    }

    /// Connections reset because they were closed with unread data.
    #[must_use]
    pub fn aborts_on_close(&self) -> i64 {
        self.get("TcpExtTCPAbortOnClose")
    }

    /// Connections reset because data came after they were closed.
    #[must_use]
    pub fn aborts_on_data(&self) -> i64 {
        self.get("TcpExtTCPAbortOnData")
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, value) in self.0.iter().filter(|(_, value)| **value != 0) {
            write!(f, "{separator}{name} {value}")?;
            separator = "\n";
        }
        Ok(())
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().filter(|(_, value)| **value != 0)).finish()
    }
}

/// Adds the counters of one file: pairs of lines, `Tcp: NAME NAME` and then `Tcp: VALUE VALUE`.
///
/// The values are signed, because `TcpMaxConn` is -1 for "no limit" and gauges such as `TcpCurrEstab` go
/// down.
///
/// # Errors
/// Returns the line that does not fit this format.
fn parse<'a>(text: &'a str, counters: &mut BTreeMap<String, i64>) -> Result<(), &'a str> {
    let mut lines = text.lines();
    while let Some(names) = lines.next() {
        let values = lines.next().ok_or(names)?;
        let (group, names) = names.split_once(": ").ok_or(names)?;
        let numbers = values.strip_prefix(group).and_then(|rest| rest.strip_prefix(": ")).ok_or(values)?;
        let (mut names, mut numbers) = (names.split_whitespace(), numbers.split_whitespace());
        loop {
            match (names.next(), numbers.next()) {
                (Some(name), Some(number)) => {
                    counters.insert(format!("{group}{name}"), number.parse().map_err(|_| values)?);
                }
                (None, None) => break,
                _ => return Err(values),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Counters, &str> {
        let mut counters = BTreeMap::new();
        parse(text, &mut counters).map(|()| Counters(counters))
    }

    #[test]
    fn pairs_names_with_values() {
        let counters =
            parsed("Tcp: MaxConn OutRsts\nTcp: -1 7\nTcpExt: TCPAbortOnClose\nTcpExt: 2\n").expect("fits");
        assert_eq!(counters.get("TcpMaxConn"), -1);
        assert_eq!(counters.out_rsts(), 7);
        assert_eq!(counters.aborts_on_close(), 2);
    }

    #[test]
    fn shows_what_changed() {
        let before = parsed("Tcp: InSegs OutRsts\nTcp: 1 7\n").expect("fits");
        let after = parsed("Tcp: InSegs OutRsts\nTcp: 1 9\n").expect("fits");
        assert_eq!(after.since(&before).to_string(), "TcpOutRsts 2");
    }

    #[test]
    fn refuses_lines_that_do_not_pair_up() {
        assert_eq!(parsed("Tcp: A B\nTcp: 1\n"), Err("Tcp: 1"));
        assert_eq!(parsed("Tcp: A\nUdp: 1\n"), Err("Udp: 1"));
        assert_eq!(parsed("Tcp: A\n"), Err("Tcp: A"));
    }
}

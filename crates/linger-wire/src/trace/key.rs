//! What identifies a connection: both addresses and ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Both ends of a connection, the same for packets of either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    low: (u64, u64),
    high: (u64, u64),
    ports: (u16, u16),
    v6: bool,
}

impl Key {
    /// The key of a packet, and whether its source is the key's lower end.
    pub(super) fn of(source: (IpAddr, u16), destination: (IpAddr, u16)) -> (Self, bool) {
        let (from, v6) = bits(source.0);
        let (to, _) = bits(destination.0);
        let from_low = (from, source.1) <= (to, destination.1);
        let ((low, low_port), (high, high_port)) = if from_low {
            ((from, source.1), (to, destination.1))
        } else {
            ((to, destination.1), (from, source.1))
        };
        (Self { low, high, ports: (low_port, high_port), v6 }, from_low)
    }

    /// One of its ends.
    pub(super) fn end(&self, low: bool) -> SocketAddr {
        let ((first, second), port) = if low { (self.low, self.ports.0) } else { (self.high, self.ports.1) };
        let ip = if self.v6 {
            Ipv6Addr::from(u128::from(first) << 64 | u128::from(second)).into()
        } else {
            Ipv4Addr::from(u32::try_from(second).unwrap_or(0)).into()
        };
        SocketAddr::new(ip, port)
    }
}

fn bits(ip: IpAddr) -> ((u64, u64), bool) {
    match ip {
        IpAddr::V4(ip) => ((0, u32::from(ip).into()), false),
        IpAddr::V6(ip) => {
            let bytes = ip.octets();
            let half = |at: usize| bytes[at..at + 8].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            ((half(0), half(8)), true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_have_one_key() {
        for (a, b) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2"), ("10.0.0.1", "10.0.0.1")] {
            let (a, b) = ((a.parse().expect("an address"), 50_000), (b.parse().expect("an address"), 443));
            let ((there, from_low), (back, back_low)) = (Key::of(a, b), Key::of(b, a));
            assert_eq!(there, back);
            assert_ne!(from_low, back_low);
            assert_eq!(there.end(from_low), SocketAddr::from(a));
            assert_eq!(there.end(back_low), SocketAddr::from(b));
        }
    }
}

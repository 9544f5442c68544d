//! The PROXY protocol's header, which tells a server the addresses of the connection that a proxy accepted
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).

use std::net::{IpAddr, SocketAddr};

/// A version of the PROXY protocol. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// One line of text (§2.1).
    V1,
    /// Binary (§2.2).
    V2,
}

impl ProxyProtocol {
    /// The header of a TCP connection between these two addresses. A Unix socket has none.
    pub(crate) fn header(self, addresses: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
        let addresses = addresses
            .map(|(from, to)| (from.ip().to_canonical(), to.ip().to_canonical(), from.port(), to.port()));
        match self {
            Self::V1 => line(addresses).into_bytes(),
            Self::V2 => binary(addresses),
        }
    }
}

type Addresses = Option<(IpAddr, IpAddr, u16, u16)>;

fn line(addresses: Addresses) -> String {
    match addresses {
        Some((IpAddr::V4(from), IpAddr::V4(to), from_port, to_port)) => {
            format!("PROXY TCP4 {from} {to} {from_port} {to_port}\r\n")
        }
        Some((IpAddr::V6(from), IpAddr::V6(to), from_port, to_port)) => {
            format!("PROXY TCP6 {from} {to} {from_port} {to_port}\r\n")
        }
        _ => "PROXY UNKNOWN\r\n".to_owned(),
    }
}

fn binary(addresses: Addresses) -> Vec<u8> {
    let (family, ips, ports) = match addresses {
        Some((IpAddr::V4(from), IpAddr::V4(to), from_port, to_port)) => {
            (TCP_OVER_IPV4, [from.octets(), to.octets()].concat(), Some((from_port, to_port)))
        }
        Some((IpAddr::V6(from), IpAddr::V6(to), from_port, to_port)) => {
            (TCP_OVER_IPV6, [from.octets(), to.octets()].concat(), Some((from_port, to_port)))
        }
        _ => (UNSPECIFIED, Vec::new(), None),
    };
    let ports = ports.map(|(from, to)| [from.to_be_bytes(), to.to_be_bytes()].concat()).unwrap_or_default();
    // At most 36 bytes.
    let length = u16::try_from(ips.len() + ports.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&SIGNATURE[..], &[VERSION_AND_PROXY, family], &length, &ips, &ports].concat()
}

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, command PROXY.
const VERSION_AND_PROXY: u8 = 0x21;
const UNSPECIFIED: u8 = 0x00;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: ProxyProtocol, from: &str, to: &str) -> Vec<u8> {
        version.header(Some((from.parse().expect("an address"), to.parse().expect("an address"))))
    }

    #[test]
    fn version_1_is_a_line() {
        let line = |from, to| String::from_utf8(header(ProxyProtocol::V1, from, to)).expect("ASCII");
        assert_eq!(
            line("192.168.0.1:56324", "192.168.0.11:443"),
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"
        );
        assert_eq!(
            line("[2001:db8::1]:65535", "[2001:db8::2]:1"),
            "PROXY TCP6 2001:db8::1 2001:db8::2 65535 1\r\n"
        );
        assert_eq!(line("[::ffff:10.0.0.1]:1", "10.0.0.2:2"), "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n");
        assert_eq!(ProxyProtocol::V1.header(None), b"PROXY UNKNOWN\r\n");
    }

    #[test]
    fn version_2_is_binary() {
        let signature = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A];
        let expected = |rest: &[u8]| [&signature[..], rest].concat();
        assert_eq!(
            header(ProxyProtocol::V2, "127.0.0.1:258", "10.0.0.2:443"),
            expected(&[0x21, 0x11, 0, 12, 127, 0, 0, 1, 10, 0, 0, 2, 1, 2, 1, 187])
        );
        let mut six = vec![0x21, 0x21, 0, 36];
        for last in [1, 2] {
            six.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        }
        six.extend([1, 2, 1, 187]);
        assert_eq!(header(ProxyProtocol::V2, "[2001:db8::1]:258", "[2001:db8::2]:443"), expected(&six));
        assert_eq!(ProxyProtocol::V2.header(None), expected(&[0x21, 0, 0, 0]));
    }
}

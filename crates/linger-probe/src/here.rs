//! Tells which addresses are on this machine.

use std::net::IpAddr;

/// Whether a connection to this address stays on this machine: it is loopback, or that of an interface.
pub(crate) fn is_here(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    // Connecting to the unspecified address reaches this machine.
    ip.is_loopback() || ip.is_unspecified() || is_own(ip)
}

#[cfg(unix)]
fn is_own(ip: IpAddr) -> bool {
    // If the system does not list its interfaces, only loopback counts.
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return false };
    interfaces.filter_map(|interface| interface.address).any(|address| {
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        let v6 = address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip()));
        v4.or(v6) == Some(ip)
    })
}

#[cfg(not(unix))]
fn is_own(_: IpAddr) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_here_and_others_are_not() {
        for own in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"] {
            assert!(is_here(own.parse().expect("an address")), "{own}");
        }
        // Documentation addresses (RFC 5737, RFC 3849), which no machine has.
        for other in ["203.0.113.77", "2001:db8:ffff::77"] {
            assert!(!is_here(other.parse().expect("an address")), "{other}");
        }
    }
}

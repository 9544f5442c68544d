//! How to reach a server other than by the host and port of its URL.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use crate::proxy_protocol::ProxyProtocol;

/// Replaces the URL's host and port, and adds a header to each connection. By default it does neither.
#[derive(Debug, Clone, Default)]
pub struct Route {
    /// Addresses that replace those of the resolver. The first entry that fits is used.
    pub resolve: Vec<Resolve>,
    /// The server's Unix socket. Requests still have the URL's authority.
    pub unix_socket: Option<PathBuf>,
    /// The PROXY protocol's header that begins each connection.
    pub proxy_protocol: Option<ProxyProtocol>,
}

/// The addresses of a host and port, as curl's `--resolve` writes them: `HOST:PORT:ADDRESS[,ADDRESS]…`. `*`
/// stands for every host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolve {
    host: String,
    port: u16,
    /// At least one.
    addresses: Vec<IpAddr>,
}

impl Resolve {
    /// The addresses, if this entry is for this host and port.
    pub(crate) fn addresses(&self, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        let fits = (self.host == "*" || self.host.eq_ignore_ascii_case(host)) && self.port == port;
        fits.then(|| self.addresses.iter().map(|&address| (address, port).into()).collect())
    }
}

impl FromStr for Resolve {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || "HOST:PORT:ADDRESS, such as example.com:443:127.0.0.1".to_owned();
        // The host may be an IPv6 address in brackets, as in a URL.
        let (host, rest) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once("]:").ok_or_else(usage)?,
            None => text.split_once(':').ok_or_else(usage)?,
        };
        let (port, addresses) = rest.split_once(':').ok_or_else(usage)?;
        let port = port.parse().map_err(|_| usage())?;
        let address = |text: &str| {
            let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
            bare.parse().map_err(|_| format!("{bare:?} is not an IP address: {}", usage()))
        };
        let addresses = addresses.split(',').map(address).collect::<Result<_, _>>()?;
        if host.is_empty() {
            return Err(usage());
        }
        Ok(Self { host: host.to_owned(), port, addresses })
    }
}

/// How a target is reached. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Via {
    /// By TCP, at its address.
    #[default]
    Tcp,
    /// By this Unix socket. The target's address is not used.
    Unix(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_curl_takes_is_taken() {
        let cases = [
            ("example.com:443:127.0.0.1", "EXAMPLE.com", 443, Some(&["127.0.0.1:443"][..])),
            ("example.com:443:127.0.0.1", "example.com", 80, None),
            ("example.com:443:127.0.0.1", "www.example.com", 443, None),
            ("*:80:10.0.0.1,[::1],::2", "any", 80, Some(&["10.0.0.1:80", "[::1]:80", "[::2]:80"][..])),
            ("[::5]:80:::1", "::5", 80, Some(&["[::1]:80"][..])),
        ];
        for (text, host, port, expected) in cases {
            let found = text.parse::<Resolve>().expect(text).addresses(host, port);
            let expected =
                expected.map(|all| all.iter().map(|one| one.parse().expect("an address")).collect());
            assert_eq!(found, expected, "{text}");
        }
        for text in [
            "",
            "a",
            "a:1",
            "a:1:",
            "a:b:127.0.0.1",
            "a:65536:127.0.0.1",
            ":1:127.0.0.1",
            "a:1:b",
            "[::1:80:::1",
        ] {
            assert!(text.parse::<Resolve>().is_err(), "{text}");
        }
    }
}

//! The way to a server, where it is not the one that its URL says.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use crate::proxy_protocol::ProxyProtocol;

/// What is taken instead of the URL's name and port, and said before anything else. By default: neither.
#[derive(Debug, Clone, Default)]
pub struct Route {
    /// Addresses for names, instead of the resolver's. The first that fits is taken.
    pub resolve: Vec<Resolve>,
    /// The server's Unix socket. The URL's authority is said to the server all the same.
    pub unix_socket: Option<PathBuf>,
    /// The header that begins each connection.
    pub proxy_protocol: Option<ProxyProtocol>,
}

/// `HOST:PORT:ADDRESS[,ADDRESS]…`, as curl has it: the addresses of one host and port. `*` is each host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolve {
    host: String,
    port: u16,
    /// At least one.
    addresses: Vec<IpAddr>,
}

impl Resolve {
    /// Where a host and port are, if this is about them.
    pub(crate) fn addresses(&self, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        let fits = (self.host == "*" || self.host.eq_ignore_ascii_case(host)) && self.port == port;
        fits.then(|| self.addresses.iter().map(|&address| (address, port).into()).collect())
    }
}

impl FromStr for Resolve {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || "HOST:PORT:ADDRESS, such as example.com:443:127.0.0.1".to_owned();
        // A host may be an IPv6 address, in brackets as in a URL.
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

/// By what a target is reached. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Via {
    /// Its address.
    #[default]
    Tcp,
    /// This Unix socket. Its address means nothing then.
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

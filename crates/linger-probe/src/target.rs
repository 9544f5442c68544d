//! What is probed, and how the probe behaves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::authorization::Authorization;
use crate::proxy_protocol::ProxyProtocol;
use crate::route::{Route, Via};
use crate::shown::shown;

/// One server, with its name resolved and its TLS configuration read.
#[derive(Debug, Clone)]
pub struct Target {
    /// A short name for reports.
    pub name: String,
    /// The URL, without user and password.
    pub url: String,
    /// The address where it listens.
    pub address: SocketAddr,
    /// The host's other addresses, to try if no server listens at the first.
    pub others: Vec<SocketAddr>,
    /// The value of the `Host` header.
    pub authority: String,
    /// The path and query of each request.
    pub path: String,
    /// The TLS settings, if the URL is `https`.
    pub tls: Option<Tls>,
    /// The URL's user and password, sent with each request.
    pub authorization: Option<Authorization>,
    /// How it is reached.
    pub via: Via,
    /// The PROXY protocol's header that begins each connection.
    pub proxy_protocol: Option<ProxyProtocol>,
}

impl Target {
    /// The server at an address, called by it, and asked for `/`.
    #[must_use]
    pub fn at(address: SocketAddr, tls: Option<Tls>) -> Self {
        let authority = address.to_string();
        let scheme = if tls.is_some() { "https" } else { "http" };
        Self {
            name: authority.clone(),
            url: format!("{scheme}://{authority}/"),
            address,
            others: Vec::new(),
            authority,
            path: "/".to_owned(),
            tls,
            authorization: None,
            via: Via::Tcp,
            proxy_protocol: None,
        }
    }

    /// Where it listens, as part of a sentence.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.via {
            Via::Tcp => self.address.to_string(),
            Via::Unix(path) => shown(&path.display().to_string()),
        }
    }

    /// The additional header fields of each request, as `Name: value`. An `Authorization` of the options
    /// replaces the URL's.
    pub(crate) fn header_fields<'a>(&'a self, options: &'a Options) -> impl Iterator<Item = &'a str> {
        let is_authorization = |field: &String| {
            field.split_once(':').is_some_and(|(name, _)| name.eq_ignore_ascii_case("authorization"))
        };
        let own = self.authorization.as_ref().filter(|_| !options.headers.iter().any(is_authorization));
        options.headers.iter().map(String::as_str).chain(own.map(Authorization::field))
    }
}

/// What a TLS connection to a target needs.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The name that its certificate must have.
    pub name: ServerName<'static>,
    /// The client configuration, without ALPN: scenarios add their own.
    pub config: Arc<ClientConfig>,
}

/// How the client behaves in all scenarios.
#[derive(Debug, Clone)]
pub struct Options {
    /// The method of uploads.
    pub method: String,
    /// Header fields added to each request, as `Name: value`.
    pub headers: Vec<String>,
    /// The size of large uploads.
    pub upload_bytes: u64,
    /// A path whose response is larger than the socket buffers.
    pub large_path: Option<String>,
    /// A path that accepts a WebSocket.
    pub websocket_path: Option<String>,
    /// How often each scenario is tried.
    pub repetitions: u32,
    /// How long to wait, each, for a connection, for a response, and for the end after it.
    pub timeout: Duration,
    /// How long a whole check of a server may take.
    pub deadline: Duration,
    /// How long to wait for the server to end an idle connection.
    pub idle_timeout: Duration,
    /// How long a server may keep its socket for a client that has the whole response and does not close.
    pub release_timeout: Duration,
    /// How the servers are reached.
    pub route: Route,
    /// Whether ladders are taken from packets. That needs Linux and the right to open packet sockets.
    pub wire: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            method: "PUT".to_owned(),
            headers: Vec::new(),
            upload_bytes: 32 << 20,
            large_path: None,
            websocket_path: None,
            repetitions: 5,
            timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(120),
            // Not 5 s, after which Apache, Node and uvicorn end an idle connection.
            idle_timeout: Duration::from_secs(8),
            // A little more than nginx's lingering_time of 30 s.
            release_timeout: Duration::from_secs(35),
            route: Route::default(),
            wire: false,
        }
    }
}

//! What is probed, and how the probe behaves there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::authorization::Authorization;
use crate::proxy_protocol::ProxyProtocol;
use crate::route::{Route, Via};
use crate::shown::shown;

/// One server, its name resolved and its TLS configuration read.
#[derive(Debug, Clone)]
pub struct Target {
    /// How to call it, short.
    pub name: String,
    /// As it was given.
    pub url: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its name's other addresses, should nobody listen at the first.
    pub others: Vec<SocketAddr>,
    /// For the `Host` header.
    pub authority: String,
    /// The path and query of each request.
    pub path: String,
    /// For `https`.
    pub tls: Option<Tls>,
    /// What its URL had of a user and a password, for each request.
    pub authorization: Option<Authorization>,
    /// How it is reached.
    pub via: Via,
    /// What each connection begins with.
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

    /// Where it listens, for a sentence.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.via {
            Via::Tcp => self.address.to_string(),
            Via::Unix(path) => shown(&path.display().to_string()),
        }
    }

    /// The header fields of each request, as `Name: value`. An `Authorization` of the options takes the URL's
    /// place.
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
    /// Without ALPN: a scenario adds its own.
    pub config: Arc<ClientConfig>,
}

/// How a client behaves, whatever the scenario.
#[derive(Debug, Clone)]
pub struct Options {
    /// Of the uploads.
    pub method: String,
    /// Added to each request, as `Name: value`.
    pub headers: Vec<String>,
    /// Size of the large uploads.
    pub upload_bytes: u64,
    /// A path whose response is larger than the sockets' buffers.
    pub large_path: Option<String>,
    /// A path that accepts a WebSocket.
    pub websocket_path: Option<String>,
    /// How often each scenario is tried.
    pub repetitions: u32,
    /// For connecting, for a response, and for the end after it, each.
    pub timeout: Duration,
    /// For a whole check of a server.
    pub deadline: Duration,
    /// How long to wait for the server to end an idle connection.
    pub idle_timeout: Duration,
    /// How long a server may keep its socket open for a client that has everything and does not close.
    pub release_timeout: Duration,
    /// The way to the servers.
    pub route: Route,
    /// Whether ladders are taken from packets, where the system lets it (Linux, with the right to open packet
    /// sockets).
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
            // Not 5 s, which is where Apache, Node and uvicorn end one.
            idle_timeout: Duration::from_secs(8),
            // nginx's total, and some.
            release_timeout: Duration::from_secs(35),
            route: Route::default(),
            wire: false,
        }
    }
}

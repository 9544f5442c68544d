//! All frameworks. To add one, add its file in `servers` and an entry here.

use std::error::Error;

use crate::place::Place;
use crate::servers::{actix_web, jsonrpsee, ntex, pingora, poem, rocket, salvo, warp};

/// Serves until the process ends.
pub type Serve = fn(Place) -> Result<(), Box<dyn Error>>;

/// A framework, and what the table says of it in words.
pub struct Framework {
    /// The crate's name.
    pub name: &'static str,
    pub bare: Serve,
    /// Whether it serves TLS without the hook.
    pub has_tls: bool,
    pub hooked: Option<Serve>,
    pub hook: &'static str,
    /// What the hook does not cover.
    pub uncovered: &'static str,
}

pub const ALL: &[Framework] = &[
    Framework {
        name: "poem",
        bare: poem::bare,
        has_tls: true,
        hooked: Some(poem::hooked),
        hook: "`poem::LingerListener`, `TlsLingerListener`; `RequestLayer` as the outermost middleware",
        uncovered: "poem's own TLS listeners: it does TLS itself",
    },
    Framework {
        name: "salvo",
        bare: salvo::bare,
        has_tls: true,
        hooked: Some(salvo::hooked),
        hook: "`salvo::LingerListener`, `TlsLingerListener`; `RequestLayer` as the first hoop",
        uncovered: "salvo's own TLS listeners: it does TLS itself; QUIC",
    },
    Framework {
        name: "warp",
        bare: warp::bare,
        has_tls: false,
        hooked: Some(warp::hooked),
        hook: "`serve(listener, warp::service(filter))`",
        uncovered: "`warp::serve`, and the address that `warp::addr::remote` yields",
    },
    Framework {
        name: "jsonrpsee",
        bare: jsonrpsee::bare,
        has_tls: true,
        hooked: Some(jsonrpsee::hooked),
        hook: "`serve` with the service that `to_service_builder` makes",
        uncovered: "`Server::start`, and the id that it gives each connection",
    },
    Framework {
        name: "actix-web",
        bare: actix_web::bare,
        has_tls: true,
        hooked: Some(actix_web::hooked),
        hook: "`LingerLayer::wrap` in a service in front of its HTTP service",
        uncovered: "`HttpServer`; the closes of a worker that stops",
    },
    Framework {
        name: "ntex",
        bare: ntex::bare,
        has_tls: true,
        hooked: Some(ntex::hooked),
        hook: "`LingerLayer::wrap` in a transport (`IoStream`), for its runtime on tokio",
        uncovered: "`HttpServer` and its worker threads; runtimes other than tokio",
    },
    Framework {
        name: "pingora",
        bare: pingora::bare,
        has_tls: true,
        hooked: Some(pingora::hooked),
        hook: "`LingerLayer::wrap` in an app of connections (`ServerApp`) around its app of requests",
        uncovered: "resets, the drain below TLS, the alert of a failed handshake",
    },
    Framework {
        name: "rocket",
        bare: rocket::bare,
        has_tls: true,
        hooked: None,
        hook: "none",
        uncovered: "anything",
    },
];

/// The one of this name.
pub fn find(name: &str) -> Result<&'static Framework, Box<dyn Error>> {
    ALL.iter().find(|framework| framework.name == name).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|framework| framework.name).collect();
        format!("no framework `{name}`; there are {}", names.join(", ")).into()
    })
}

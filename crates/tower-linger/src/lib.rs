#![cfg_attr(docsrs, feature(doc_cfg))]
//! Ends server connections so that the client always gets the last response, or the last TLS alert, instead
//! of a reset.
//!
//! The [`guide`] leads from the failure to the fix, stack by stack, and to every setting.
//!
//! # The problem
//!
//! A server that closes a TCP socket while bytes from the client are unread, or still arriving, makes its
//! kernel send a RST, and the client loses what it was about to read: the `413` to its upload, the tail of a
//! large response, the alert that says which certificate is missing. RFC 9112 §9.6 describes the cure: close
//! the write side, go on reading, then close. hyper, axum, axum-server and tonic do not do that, because
//! without bounds a client could hold their sockets open. Here every wait has a bound.
//!
//! # The shortest example
//!
//! [`serve()`] (feature `serve`) is a whole server in one call. For `axum::serve`, with feature `axum`, see
//! [`axum`](mod@axum). For an accept loop of your own:
//!
//! ```no_run
//! use tokio::net::{TcpListener, TcpStream};
//! use tower::{Layer, Service, service_fn};
//! use tower_linger::{LingerIo, LingerLayer};
//!
//! async fn serve(io: LingerIo<TcpStream>) -> std::io::Result<()> {
//!     // Serves one connection: hyper's `serve_connection`, for example.
//! #   drop(io);
//!     Ok(())
//! }
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let mut connections = LingerLayer::default().layer(service_fn(serve));
//!     let listener = TcpListener::bind("127.0.0.1:3000").await?;
//!     loop {
//!         let (stream, _) = listener.accept().await?;
//!         tokio::spawn(connections.call(stream)); // ends when the socket is released
//!     }
//! }
//! ```
//!
//! # The flow
//!
//! accept → wrap → serve → hand back → close phases → outcome
//!
//! [`LingerLayer`] wraps an accepted connection in a [`LingerIo`] and lends it to the service. When the
//! service drops it, for whatever reason, the connection comes back. It is then flushed, notified
//! (`close_notify`), half-closed (FIN), drained and released, each step within the bounds of the
//! [`ClosePolicy`]. One [`CloseReport`] says how it went: to [`on_close`](LingerLayer::on_close), to
//! `tracing`, and in metrics.
//!
//! A connection that is dropped **busy** has failed: a request is unanswered, or a response is incomplete.
//! Such a connection must not look complete to its client. It ends without `close_notify`. Where only the end
//! of the connection marks the end of the response, it ends by a RST, once everything was acknowledged. What
//! was sent before arrives. [`LingerIo`] says what counts as busy; `RequestLayer`, a layer of requests, sees
//! it for every hook.
//!
//! At most half of the process's descriptors linger at once. For one more, the oldest is released. A
//! [`Tracker`] can be given another limit.
//!
//! | hook | for | who waits for the close |
//! |---|---|---|
//! | [`LingerLayer`] | an accept loop of your own | the service's future |
//! | [`LingerLayer::tls`] | the same over TLS; failed handshakes linger too | the service's future |
//! | [`axum::LingerListener`], [`axum::TlsLingerListener`] | `axum::serve` | the [`Tracker`] |
//! | the adapters for axum-server, poem and salvo (features of these names) | these servers | the [`Tracker`] |
//! | [`LingerLayer::wrap`] | any other loop that a framework owns | the [`Tracker`] |
//! | [`LingerLayer::close`] | a connection served without the layer | its caller and the [`Tracker`] |
//! | [`close()`] | a single connection, without a layer | its caller |
//!
//! # Compared with graceful shutdown
//!
//! A graceful-shutdown watcher, axum's or hyper-util's, ends *requests*: it stops accepting and lets
//! responses finish. This crate ends *connections*, at any time, and at a shutdown after their requests. The
//! [`Tracker`] knows each connection from its accept to its release, upgraded ones too. It waits for them,
//! and cuts what is still served at its deadline. Use both: [`Shutdown`] puts them under one deadline.
//!
//! # Metrics
//!
//! With feature `metrics`: gauges of served and lingering connections, counters of closes by outcome, phase
//! and reason, and histograms of their times and bytes. The module `metrics` lists the names and units.
//!
//! # Spans and events
//!
//! With feature `tracing`, target `tower_linger`. A log has everything at `DEBUG`, but for the phases.
//!
//! | what | level | fields |
//! |---|---|---|
//! | span `close`: one close, from its beginning to its end | `DEBUG` | see below |
//! | event `closed`: a finished close | `DEBUG` | `outcome`, `ended_in`, `bytes_drained`, `sent_close_notify`, `flush_us`, `drain_us`, `total_us` (microseconds) and, where there was one, `failure` |
//! | event `phase`: a close goes on to its next phase | `TRACE` | `from`, `to` |
//! | event `handshake`: a TLS handshake has failed | `DEBUG` | `error` |
//! | event `accept`: a [`serve()`] could not accept, and waits for a moment | `WARN` | `error` |
//!
//! The events of a close are inside its span. Where OpenTelemetry's [semantic conventions] have a name for a
//! field, the span uses it. What does not apply is absent:
//!
//! | field of `close` | what it is |
//! |---|---|
//! | `listener` | the name given by [`LingerLayer::named`] |
//! | `network.transport` | `tcp` or `unix` |
//! | `network.peer.address`, `network.peer.port`, `network.local.address`, `network.local.port` | the ends of a TCP connection |
//! | `outcome`, `ended_in`, `bytes_drained` | as in the event; set at the end |
//! | `bytes_unacked` | what the peer had not acknowledged at the end, where that was asked for ([`CloseReport::unacked`]) |
//! | `error.type`, `otel.status_code` | where there was a failure: its name ([`Failure::as_str`]), and `ERROR` |
//! | `left_out` | how many closes before this one had no span |
//!
//! In a flood, a layer makes at most 100 spans in a second, counted from its first close. That is what
//! OpenTelemetry's batch processor exports in one go by default: 512 in 5 s. The closes that have no span are
//! counted, and the next span says how many they were. Events are never left out. Where no subscriber wants
//! the span, the socket is not asked for its addresses, and nothing is counted.
//!
//! [semantic conventions]: https://opentelemetry.io/docs/specs/semconv/registry/attributes/network/
//!
//! # Features
//!
//! None is on by default, and none changes what the others do.
//!
//! | feature | brings |
//! |---|---|
//! | `axum` | the adapters for `axum::serve` |
//! | `axum-server` | the adapters for axum-server |
//! | `http` | [`RequestLayer`]: `Connection: close` on early responses, and which connections are busy |
//! | `hyper` | [`HyperErrors`], which tells failed responses from ended connections |
//! | `metrics` | gauges, counters and histograms of connections and closes: the module `metrics` |
//! | `native-tls` | TLS by the system's library: [`Transport`] for `tokio_native_tls::TlsStream`, [`AcceptTls`] for its acceptor |
//! | `openssl` | TLS by OpenSSL: [`Transport`] for `tokio_openssl::SslStream`, [`AcceptTls`] for `openssl::ssl::SslAcceptor` |
//! | `poem` | the adapters for poem, and [`RequestLayer`] as its middleware; brings `http` |
//! | `rustls` | TLS by rustls: [`Transport`] for `tokio_rustls::server::TlsStream`, [`AcceptTls`] for its acceptor |
//! | `s2n` | TLS by s2n-tls: [`Transport`] for `s2n_tls_tokio::TlsStream`, [`AcceptTls`] for its acceptor |
//! | `salvo` | the adapters for salvo, and [`RequestLayer`] as its hoop; brings `http` |
//! | `serde` | [`ClosePolicy`] and `Limits` [from configuration](ClosePolicy#configuration-from-outside): files, environment variables |
//! | `serve` | [`serve()`], a whole server for axum and any other service of requests |
//! | `tonic` | tonic's `Connected` for [`LingerIo`] |
//! | `tracing` | the spans and events |
//! | `full` | all of them |
//!
//! # Minimum Rust version
//!
//! 1.85, which is what tokio asks for. The feature `tonic` needs what tonic asks for (1.88 for its 0.14.9),
//! and `salvo` what salvo asks for (1.94 for its 1.0).

mod adapter;
mod classify;
mod clock;
mod close;
pub mod guide;
#[cfg(feature = "http")]
mod http;
#[cfg(all(test, tower_linger_shuttle))]
mod interleavings;
mod layer;
#[cfg(feature = "metrics")]
pub mod metrics;
mod serve;
#[cfg(feature = "serve")]
mod server;
mod service;
mod sync;
mod tls;
mod tracker;
mod transport;

#[cfg(feature = "http")]
pub use self::http::{
    Notice, NoticeFuture, NoticeLayer, RequestBody, RequestFuture, RequestLayer, Requests, ResponseBody,
    Watched, WatchedFuture,
};
#[allow(unreachable_pub, unused_imports, reason = "each adapter needs its feature")]
pub use adapter::*;
#[cfg(feature = "hyper")]
pub use classify::HyperErrors;
pub use classify::{AlwaysGraceful, BySight, Classify, Ending};
pub use close::driver::{Close, close};
pub use layer::{ClassifyLayer, LingerLayer};
#[cfg(feature = "serde")]
pub use linger_proto::settings::SettingsError;
pub use linger_proto::{
    ClosePolicy, ClosePolicyBuilder, CloseReport, ConfigError, Failure, Notified, Outcome, Phase, Release,
};
pub use serve::close_handle::CloseHandle;
pub use serve::io::LingerIo;
#[cfg(any(feature = "axum", feature = "serve"))]
pub use serve::peer::Peer;
#[cfg(feature = "serve")]
pub use server::{ExclusiveListener, Limits, LimitsBuilder, Listener, Serve, SharedListener, Workers, serve};
pub use service::{Linger, LingerFuture};
#[cfg(any(feature = "poem", feature = "salvo"))]
pub use tls::TlsLingerIo;
pub use tls::{
    AcceptTls, AwaitsCloseNotify, HandshakeError, TlsAccept, TlsAcceptError, TlsAcceptFuture, TlsAcceptLayer,
};
pub use tracker::shutdown::{Shutdown, ShutdownHandle};
pub use tracker::summary::Summary;
pub use tracker::tracker::Tracker;
pub use transport::{Plain, PlainSocket, SocketRef, Transport, session};

#![cfg_attr(docsrs, feature(doc_cfg))]
//! tower-linger ends server connections so that the client always gets the last response.

#[cfg(feature = "axum")]
pub mod axum;
mod driver;
#[cfg(feature = "rustls")]
mod handshake;
mod io;
mod layer;
mod observe;
mod release;
mod service;
mod stream;
mod tracker;
mod transport;

pub use driver::{Close, close};
#[cfg(feature = "rustls")]
pub use handshake::{HandshakeError, TlsAccept, TlsAcceptError, TlsAcceptFuture, TlsAcceptLayer};
pub use io::LingerIo;
pub use layer::LingerLayer;
pub use linger_proto::{
    ClosePolicy, ClosePolicyBuilder, CloseReport, ConfigError, Failure, Notified, Outcome, Phase, Release,
};
pub use service::{Linger, LingerFuture};
pub use tracker::Tracker;
pub use transport::{Plain, SocketRef, Transport};

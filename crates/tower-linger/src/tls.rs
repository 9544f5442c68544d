//! Connections over TLS: the layer that does the handshake and then serves and closes each connection.

mod accept;
mod error;
pub(crate) mod handshake;
mod layer;

pub use accept::{TlsAccept, TlsAcceptFuture};
pub use error::{HandshakeError, TlsAcceptError};
pub use layer::TlsAcceptLayer;

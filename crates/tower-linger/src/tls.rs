//! Connections over TLS: the layer that does the handshake and then serves and closes each connection.

mod accept;
mod error;
pub(crate) mod handshake;
mod layer;
#[cfg(any(feature = "poem", feature = "salvo"))]
mod lazy;

pub use accept::{TlsAccept, TlsAcceptFuture};
pub use error::{HandshakeError, TlsAcceptError};
pub use layer::TlsAcceptLayer;
#[cfg(any(feature = "poem", feature = "salvo"))]
pub use lazy::TlsLingerIo;

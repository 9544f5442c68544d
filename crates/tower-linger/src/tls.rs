//! Connections over TLS: the layer that does the handshake and then serves and closes each connection.

mod accept;
mod error;
pub(crate) mod handshake;
mod layer;
#[cfg(any(feature = "poem", feature = "salvo"))]
mod lazy;
mod library;
#[cfg(feature = "native-tls")]
mod native_tls;
#[cfg(feature = "openssl")]
mod openssl;
#[cfg(feature = "rustls")]
mod rustls;
#[cfg(feature = "s2n")]
mod s2n;

pub use accept::{TlsAccept, TlsAcceptFuture};
pub use error::{HandshakeError, TlsAcceptError};
pub use layer::TlsAcceptLayer;
#[cfg(any(feature = "poem", feature = "salvo"))]
pub use lazy::TlsLingerIo;
pub use library::{AcceptTls, AwaitsCloseNotify};

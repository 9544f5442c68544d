//! The system's library, by native-tls.

use std::error::Error as _;
use std::io;

use linger_proto::{ClosePolicy, ConfigError};
use tokio_native_tls::native_tls::Error;
use tokio_native_tls::{TlsAcceptor, TlsStream};

use super::library::AcceptTls;
use crate::transport::Transport;
use crate::transport::session::{BoxedHandshake, Lent, lend};

impl AcceptTls for TlsAcceptor {
    type Stream<T: Transport> = TlsStream<Lent<T>>;
    type Handshake<T: Transport> = BoxedHandshake<TlsStream<Lent<T>>, T>;

    fn accept<T: Transport>(&self, io: T) -> Self::Handshake<T> {
        let acceptor = self.clone();
        lend(io, |lent| async move { acceptor.accept(lent).await }, io_error)
    }

    /// Only OpenSSL is known to read a session after its own `close_notify`.
    fn check(policy: &ClosePolicy) -> Result<(), ConfigError> {
        match policy.await_close_notify() {
            Some(_) if cfg!(any(windows, target_vendor = "apple")) => Err(ConfigError::UnsupportedBy {
                field: "await_close_notify",
                library: "native-tls on this system",
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(not(any(windows, target_vendor = "apple")))]
impl super::library::AwaitsCloseNotify for TlsAcceptor {}

/// The socket's own error, if that is inside.
fn io_error(error: Error) -> io::Error {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(socket) = inner.downcast_ref::<io::Error>() {
            return socket.raw_os_error().map_or_else(|| socket.kind().into(), io::Error::from_raw_os_error);
        }
        source = inner.source();
    }
    io::Error::other(error)
}

//! s2n-tls.

use std::io;

use linger_proto::{ClosePolicy, ConfigError};
use s2n_tls::error::Error;
use s2n_tls_tokio::{TlsAcceptor, TlsStream};

use super::library::AcceptTls;
use crate::transport::Transport;
use crate::transport::session::{BoxedHandshake, Lent, lend};

/// s2n-tls answers some failures only after 10 s to 30 s, so that their timing shows nothing. Then the
/// handshake's timeout ends it first, unless that is longer, or `set_max_blinding_delay` shorter.
impl AcceptTls for TlsAcceptor {
    type Stream<T: Transport> = TlsStream<Lent<T>>;
    type Handshake<T: Transport> = BoxedHandshake<TlsStream<Lent<T>>, T>;

    fn accept<T: Transport>(&self, io: T) -> Self::Handshake<T> {
        let acceptor = self.clone();
        lend(
            io,
            |lent| async move { TlsAcceptor::accept(&acceptor, lent).await },
            |error: Error| io::Error::from(error),
        )
    }

    /// With TLS 1.2 it cannot await the client's `close_notify`, and which version a client will use is not
    /// known before.
    fn check(policy: &ClosePolicy) -> Result<(), ConfigError> {
        match policy.await_close_notify() {
            Some(_) => Err(ConfigError::UnsupportedBy {
                field: "await_close_notify",
                library: "s2n-tls with TLS 1.2",
            }),
            None => Ok(()),
        }
    }
}

//! s2n-tls.

use std::io;

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
}

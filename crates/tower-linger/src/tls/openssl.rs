//! OpenSSL.

use std::io;
use std::pin::Pin;

use openssl::ssl::{Error, Ssl, SslAcceptor};
use tokio_openssl::SslStream;

use super::library::{AcceptTls, AwaitsCloseNotify};
use crate::transport::Transport;
use crate::transport::session::{BoxedHandshake, Lent, lend};

impl AcceptTls for SslAcceptor {
    type Stream<T: Transport> = SslStream<Lent<T>>;
    type Handshake<T: Transport> = BoxedHandshake<SslStream<Lent<T>>, T>;

    fn accept<T: Transport>(&self, io: T) -> Self::Handshake<T> {
        let ssl = Ssl::new(self.context());
        let accept = |lent| async {
            let mut stream = SslStream::new(ssl?, lent)?;
            Pin::new(&mut stream).accept().await?;
            Ok(stream)
        };
        lend(io, accept, |error: Error| error.into_io_error().unwrap_or_else(io::Error::other))
    }
}

impl AwaitsCloseNotify for SslAcceptor {}

//! What a TLS library must offer to do the handshakes.

use std::future::Future;
use std::io;

use linger_proto::{ClosePolicy, ConfigError, Failure};
use tokio::net::TcpStream;

use crate::transport::Transport;
use crate::transport::session::SessionEnd;

/// The acceptor of a TLS library: does the server's part of a handshake. Where the library drops the
/// connection of a handshake that fails, [`lend`](crate::session::lend) has it back.
///
/// Implemented for `tokio_rustls::TlsAcceptor` (feature `rustls`), `openssl::ssl::SslAcceptor` (`openssl`),
/// `tokio_native_tls::TlsAcceptor` (`native-tls`) and `s2n_tls_tokio::TlsAcceptor` (`s2n`).
pub trait AcceptTls: Clone + Send + Sync + 'static {
    /// A connection over TLS.
    type Stream<T: Transport>: Transport;

    /// The handshake. Dropping it closes the connection. A handshake that fails has written its alert, and
    /// gives the connection back, so that the client can still read that alert; `None` if the library has not
    /// given it back.
    type Handshake<T: Transport>: Future<Output = Result<Self::Stream<T>, (io::Error, Option<T>)>>
        + Send
        + 'static;

    /// Begins the handshake.
    fn accept<T: Transport>(&self, io: T) -> Self::Handshake<T>;

    /// Whether the library can do what this policy asks for. The default is that it can do everything.
    ///
    /// # Errors
    ///
    /// [`ConfigError::UnsupportedBy`] names the setting.
    fn check(policy: &ClosePolicy) -> Result<(), ConfigError> {
        let _ = policy;
        Ok(())
    }

    /// A name for the reason of a failed handshake, from a short list, for metrics. The default tells the
    /// peer's alert, other failures of TLS and those of the socket apart.
    #[must_use]
    fn failure_reason(error: &io::Error) -> &'static str {
        match Self::Stream::<TcpStream>::session_end(error) {
            Some(SessionEnd::AlertReceived) => "alert_received",
            Some(SessionEnd::AlertSent) => "tls",
            Some(SessionEnd::Truncated) | None => Failure::from(error).as_str(),
        }
    }
}

/// A library that can do whatever a policy asks for: its sessions can be read after their own `close_notify`,
/// so that the peer's can be awaited.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot do everything that a policy may ask for",
    note = "`try_tls` checks whether it can do what this policy asks for"
)]
pub trait AwaitsCloseNotify: AcceptTls {}

//! Why a connection over TLS was not served to its end.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use super::library::AcceptTls;

/// Why a TLS handshake did not succeed.
#[derive(Debug)]
#[non_exhaustive]
pub enum HandshakeError {
    /// It failed. Where TLS itself was the reason, the library's error is inside.
    Failed(io::Error),
    /// It took longer than this.
    TimedOut(Duration),
    /// The server's shutdown deadline came first.
    Cut,
}

impl HandshakeError {
    /// A name for the reason, from a fixed list, for metrics: the table in `metrics.rs` has them all.
    pub(crate) fn reason<A: AcceptTls>(&self) -> &'static str {
        match self {
            Self::TimedOut(_) => "timed_out",
            Self::Cut => "shutdown_cut",
            Self::Failed(error) => A::failure_reason(error),
        }
    }
}

#[cfg(any(feature = "axum-server", feature = "poem", feature = "salvo"))]
impl HandshakeError {
    /// For a framework whose connections fail with an I/O error.
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Failed(error) => error,
            Self::TimedOut(_) => io::ErrorKind::TimedOut.into(),
            Self::Cut => io::ErrorKind::ConnectionAborted.into(),
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "TLS handshake failed: {error}"),
            Self::TimedOut(timeout) => write!(f, "TLS handshake took longer than {timeout:?}"),
            Self::Cut => f.write_str("TLS handshake cut by the server's shutdown deadline"),
        }
    }
}

impl Error for HandshakeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            Self::TimedOut(_) | Self::Cut => None,
        }
    }
}

/// Why a [`TlsAccept`](crate::TlsAccept) failed: its handshake, or the service behind it, whose error is
/// unchanged.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsAcceptError<E> {
    /// The handshake.
    Handshake(HandshakeError),
    /// The service behind it.
    Service(E),
}

impl<E: fmt::Display> fmt::Display for TlsAcceptError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(error) => error.fmt(f),
            Self::Service(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for TlsAcceptError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Handshake(error) => error.source(),
            Self::Service(error) => error.source(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_certificate() -> HandshakeError {
        HandshakeError::Failed(io::Error::other("no certificate"))
    }

    #[test]
    fn each_error_says_what_failed_and_has_its_cause() {
        let cases = [
            (no_certificate(), "TLS handshake failed: no certificate", Some("no certificate")),
            (
                HandshakeError::TimedOut(Duration::from_millis(1500)),
                "TLS handshake took longer than 1.5s",
                None,
            ),
            (HandshakeError::Cut, "TLS handshake cut by the server's shutdown deadline", None),
        ];
        for (error, text, cause) in cases {
            assert_eq!(error.to_string(), text);
            assert_eq!(error.source().map(ToString::to_string).as_deref(), cause);
            let error = TlsAcceptError::<io::Error>::Handshake(error);
            assert_eq!(error.to_string(), text);
            assert_eq!(error.source().map(ToString::to_string).as_deref(), cause);
        }
        // What a service fails with stays as it is.
        let error = TlsAcceptError::Service(no_certificate());
        assert_eq!(error.to_string(), no_certificate().to_string());
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("no certificate"));
    }

    #[cfg(any(feature = "axum-server", feature = "poem", feature = "salvo"))]
    #[test]
    fn each_error_has_a_kind_of_io_for_frameworks() {
        let kind = |error: HandshakeError| error.into_io().kind();
        assert_eq!(kind(HandshakeError::TimedOut(Duration::ZERO)), io::ErrorKind::TimedOut);
        assert_eq!(kind(HandshakeError::Cut), io::ErrorKind::ConnectionAborted);
        assert_eq!(no_certificate().into_io().to_string(), "no certificate");
    }
}

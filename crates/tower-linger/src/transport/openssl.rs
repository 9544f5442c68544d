//! TLS by OpenSSL (tokio-openssl), over any transport.

use std::io;
use std::task::{Context, Poll};

use linger_proto::Notified;
use openssl::error::ErrorStack;
use openssl::ssl::{self, ErrorCode};
use tokio_openssl::SslStream;

use super::session::{self, Below, Session, SessionEnd};
use super::transport::{SocketRef, Transport};

/// `SSL_R_UNEXPECTED_EOF_WHILE_READING`, since OpenSSL 3.
const UNEXPECTED_EOF: i32 = 294;
/// `SSL_AD_REASON_OFFSET`: from here on a reason is the number of an alert that the peer has sent.
const FIRST_ALERT: i32 = 1000;

impl<T: Transport> Session for SslStream<T> {
    type Below = T;

    fn below(&self) -> &T {
        self.get_ref()
    }

    fn below_mut(&mut self) -> &mut T {
        self.get_mut()
    }
}

impl<T: Transport> Transport for SslStream<T> {
    type Raw = Below<Self>;

    /// Calls `SSL_shutdown` once, and then shuts down the stream below. Where the policy waits for the peer's
    /// `close_notify`, reads take the place of the second `SSL_shutdown`, which would fail at data that the
    /// peer has sent before.
    fn poll_notify(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Notified>> {
        session::poll_notify(self, cx)
    }

    fn poll_half_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_half_close(cx)
    }

    fn session_end(error: &io::Error) -> Option<SessionEnd> {
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(error) => session_end(error),
            None => SessionEnd::by_kind(error),
        }
    }

    fn met_fin(&self) -> bool {
        self.below().met_fin()
    }

    fn into_raw(self) -> Below<Self> {
        Below::new(self)
    }

    fn socket(&self) -> Option<SocketRef<'_>> {
        self.get_ref().socket()
    }
}

fn session_end(error: &ssl::Error) -> Option<SessionEnd> {
    if error.code() == ErrorCode::SYSCALL && error.io_error().is_none() {
        // How OpenSSL 1.1 reports a FIN without a close_notify.
        return Some(SessionEnd::Truncated);
    }
    let reasons = || error.ssl_error().into_iter().flat_map(ErrorStack::errors);
    if reasons().any(|error| error.reason_code() == UNEXPECTED_EOF) {
        Some(SessionEnd::Truncated)
    } else if reasons().any(|error| error.reason_code() >= FIRST_ALERT) {
        Some(SessionEnd::AlertReceived)
    } else {
        reasons().next().map(|_| SessionEnd::AlertSent)
    }
}

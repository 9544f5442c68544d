//! For a [`Transport`] with a security session, of a library that this crate does not know.
//!
//! A session adds an end of its own to that of the connection: TLS sends `close_notify` (RFC 8446 §6.1). A
//! transport sends it by [`poll_notify`](Transport::poll_notify), together with the FIN if [`cork`] was
//! called before. The drain needs the stream below: where the library cannot give that back, [`Below`]
//! reaches it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use linger_proto::Notified;

pub use super::below::{Below, Session};
pub use super::lent::{BoxedHandshake, Lent, lend};
pub use super::session_end::SessionEnd;
use super::socket;
use super::transport::Transport;

/// Corks the socket, where the system can do that: what is written next waits for the FIN, and leaves with it
/// in one segment. Call it right before the closure alert is written, and shut down the socket then.
pub fn cork(stream: &impl Transport) {
    socket::cork(stream);
}

/// Writes a closure alert to the socket itself, and then the FIN, without waiting. This is for a stream whose
/// runtime has ended (`tokio::runtime::is_rt_shutdown_err`), because tokio refuses its reads and writes.
///
/// # Errors
///
/// Those of the socket; `NotConnected` if the stream has none, and `WriteZero` if the socket did not take all
/// of the alert.
pub fn last_words(stream: &impl Transport, alert: &[u8]) -> io::Result<Notified> {
    if socket::last_words(stream, alert)? {
        Ok(Notified::CloseNotifyAndFin)
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}

/// Sends the closure alert by the session's own `poll_shutdown`, and then the FIN, in the same segment
/// where the system can do that. This is [`Transport::poll_notify`] for a library whose `poll_shutdown`
/// sends the alert, with a FIN or without.
///
/// # Errors
///
/// Those of writing to the socket. A session that is over already gets its FIN without an alert.
pub fn poll_notify<S: Session + Transport>(
    session: &mut S,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Notified>> {
    cork(session);
    match ready!(Pin::new(&mut *session).poll_shutdown(cx)) {
        Ok(()) => ready!(session.below_mut().poll_half_close(cx))?,
        // The session is over already, or it cannot write any more. The FIN follows without an alert.
        Err(error) if S::session_end(&error).is_some() || tokio::runtime::is_rt_shutdown_err(&error) => {
            return Poll::Ready(Ok(Notified::Nothing));
        }
        Err(error) => return Poll::Ready(Err(error)),
    }
    Poll::Ready(Ok(Notified::CloseNotifyAndFin))
}

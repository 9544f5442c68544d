//! What the error of a security session says about its peer.

use std::io;

/// Whether this error is the peer's fatal alert. Each transport with a session has a line here.
pub(crate) fn is_received_alert(error: &io::Error) -> bool {
    let Some(inner) = error.get_ref() else { return false };
    #[cfg(feature = "rustls")]
    if let Some(tokio_rustls::rustls::Error::AlertReceived(_)) = inner.downcast_ref() {
        return true;
    }
    let _ = inner;
    false
}

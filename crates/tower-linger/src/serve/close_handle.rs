//! What whoever handles a request wants for its connection's close.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use linger_proto::ClosePolicy;

/// A handler's word on how its connection is to be closed, when it is. Clones speak for the same connection; the last word
/// counts.
///
/// It comes from [`LingerIo::close_handle`](crate::LingerIo::close_handle) before the HTTP engine takes the connection, or
/// from axum as part of `ConnectInfo<axum::Peer>`; as an extension of its requests, every handler and middleware can find it.
///
/// ```
/// use std::time::Duration;
/// use tower_linger::{ClosePolicy, LingerLayer};
///
/// # fn with(io: tokio::io::DuplexStream) -> Result<(), tower_linger::ConfigError> {
/// let io = LingerLayer::default().wrap(io);
/// let handle = io.close_handle();
/// // An abuser gets a second to read its 429.
/// handle.set_policy(ClosePolicy::builder().drain_idle_timeout(Duration::from_secs(1)).build()?);
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct CloseHandle {
    wish: Arc<Mutex<Wish>>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Wish {
    #[default]
    None,
    Policy(ClosePolicy),
    Abort,
}

impl CloseHandle {
    /// Closes this connection by another policy than its layer's.
    pub fn set_policy(&self, policy: ClosePolicy) {
        self.set(Wish::Policy(policy));
    }

    /// Aborts this connection when its service lets go of it: a RST, instead of an end that looks clean.
    pub fn abort(&self) {
        self.set(Wish::Abort);
    }

    fn set(&self, wish: Wish) {
        *self.wish.lock().unwrap_or_else(PoisonError::into_inner) = wish;
    }

    pub(crate) fn wish(&self) -> Wish {
        *self.wish.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CloseHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloseHandle").field("wish", &self.wish()).finish()
    }
}

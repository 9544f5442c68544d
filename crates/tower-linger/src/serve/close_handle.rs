//! How a request handler overrides the close of its connection.

use std::fmt;
use std::sync::Arc;

use linger_proto::ClosePolicy;

use crate::serve::connection::{Connection, Override};

/// Lets a request handler override how its connection closes; the last call wins. Clones are for the same
/// connection.
///
/// Get it from [`LingerIo::close_handle`](crate::LingerIo::close_handle) before the HTTP engine takes the
/// connection, or from axum's `ConnectInfo<axum::Peer>`. Put it into the extensions of the connection's
/// requests, so that handlers and middleware can find it.
///
/// A call counts until the engine shuts the connection down, which hyper does when it has written a response
/// and does not keep the connection. It has no effect once the FIN is sent.
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
#[derive(Clone)]
pub struct CloseHandle {
    connection: Arc<Connection>,
}

impl CloseHandle {
    pub(crate) fn new(connection: Arc<Connection>) -> Self {
        Self { connection }
    }

    /// Closes this connection by another policy than its layer's. It replaces the whole policy; to change
    /// parts of it, start from [`LingerLayer::policy`](crate::LingerLayer::policy) and its `to_builder`.
    pub fn set_policy(&self, policy: ClosePolicy) {
        self.connection.set_override(Override::Policy(Arc::new(policy)));
    }

    /// Ends this connection as failed when its service drops it, even if its responses are complete: by a
    /// RST, without `close_notify`. What was sent before still arrives, because the RST waits until
    /// everything is acknowledged and the peer is quiet.
    pub fn abort(&self) {
        self.connection.set_override(Override::Abort);
    }

    /// Resets this connection as soon as its service drops it. The peer may lose what it has not read yet.
    pub fn reset(&self) {
        self.connection.set_override(Override::Reset);
    }
}

impl fmt::Debug for CloseHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloseHandle").field("wanted", &self.connection.wanted()).finish()
    }
}

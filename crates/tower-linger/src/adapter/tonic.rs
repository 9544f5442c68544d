//! For tonic's `serve_with_incoming` (feature `tonic`): what a handler is told of its connection passes
//! through.
//!
//! tonic owns the accept loop and drops its connections itself. Map its incoming stream through
//! [`LingerLayer::wrap`](crate::LingerLayer::wrap), and await the layer's [`Tracker`](crate::Tracker) after
//! the server: see the `tonic` example.
//!
//! This needs tonic 0.14.9 or later, and so Rust 1.88. Before it, with `max_connection_age` set, a
//! connection's task could panic after it had sent its GOAWAY: the calls that were still going on were lost.

use tonic::transport::server::Connected;

use crate::serve::io::LingerIo;
use crate::transport::Transport;

impl<T: Transport + Connected> Connected for LingerIo<T> {
    type ConnectInfo = T::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.get_ref().connect_info()
    }
}

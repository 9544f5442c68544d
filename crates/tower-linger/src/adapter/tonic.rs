//! tonic's `Connected` for the wrapped connection (feature `tonic`), so that handlers get the connect info of
//! the connection inside.
//!
//! tonic owns the accept loop and drops its connections itself. Map the stream that `serve_with_incoming` is
//! given through [`LingerLayer::wrap`](crate::LingerLayer::wrap), and await the layer's
//! [`Tracker`](crate::Tracker) after the server: see the `tonic` example.
//!
//! This needs tonic 0.14.9 or later, and so Rust 1.88. Before that, if `max_connection_age` was set, a
//! connection's task could panic after its GOAWAY, and the calls that were still running were lost.

use tonic::transport::server::Connected;

use crate::serve::io::LingerIo;
use crate::transport::Transport;

impl<T: Transport + Connected> Connected for LingerIo<T> {
    type ConnectInfo = T::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.get_ref().connect_info()
    }
}

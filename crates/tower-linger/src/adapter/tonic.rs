//! For tonic's `serve_with_incoming` (feature `tonic`): what a handler is told of its connection passes through.
//!
//! tonic owns the accept loop and drops its connections itself. Map its incoming stream through
//! [`LingerLayer::wrap`](crate::LingerLayer::wrap), and await the layer's [`Tracker`](crate::Tracker) after the server:
//! see the `tonic` example.

use tonic::transport::server::Connected;

use crate::serve::io::LingerIo;
use crate::transport::Transport;

impl<T: Transport + Connected> Connected for LingerIo<T> {
    type ConnectInfo = T::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.get_ref().connect_info()
    }
}

//! What a connection must offer to be closed properly, and the transports that do.

mod alert;
mod discard;
mod plain;
mod socket;
mod sys;
mod tcp;
#[cfg(feature = "rustls")]
mod tls;
#[expect(clippy::module_inception, reason = "the room's trait")]
mod transport;
#[cfg(unix)]
mod unix;

pub(crate) use alert::is_received_alert;
pub use plain::{Plain, PlainSocket};
#[cfg(feature = "serve")]
pub(crate) use socket::drop_new_handshakes;
pub(crate) use socket::{
    Ends, abort, bound_orphan, discard_arrived, discard_now, ends, last_received, peer, set_low_water,
    unacked,
};
pub(crate) use sys::descriptor_limit;
pub(crate) use transport::poll_half_close;
pub use transport::{SocketRef, Transport};

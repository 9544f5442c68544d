//! What a connection must offer to be closed properly, and the transports that do.

mod below;
mod discard;
mod lent;
#[cfg(feature = "native-tls")]
mod native_tls;
#[cfg(feature = "openssl")]
mod openssl;
mod plain;
#[cfg(feature = "rustls")]
mod rustls;
#[cfg(feature = "s2n")]
mod s2n;
pub mod session;
mod session_end;
mod socket;
mod sys;
mod tcp;
#[expect(clippy::module_inception, reason = "the room's trait")]
mod transport;
#[cfg(unix)]
mod unix;

pub use plain::{Plain, PlainSocket};
#[cfg(feature = "serve")]
pub(crate) use socket::drop_new_handshakes;
pub(crate) use socket::{
    Ends, abort, bound_orphan, discard_arrived, discard_now, ends, last_received, peer, set_low_water,
    unacked,
};
pub(crate) use sys::descriptor_limit;
pub use transport::{SocketRef, Transport};

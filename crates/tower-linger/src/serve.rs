//! A connection while it is served.

pub(crate) mod close_handle;
pub(crate) mod connection;
#[cfg(feature = "http")]
pub(crate) mod exchanges;
pub(crate) mod framing;
pub(crate) mod hand_back;
pub(crate) mod io;
pub(crate) mod observed;
pub(crate) mod served;
pub(crate) mod stall;

//! A connection while it is served: from its accept until its service drops it.

#[cfg(feature = "http")]
pub(crate) mod by_task;
pub(crate) mod close_handle;
pub(crate) mod connection;
#[cfg(feature = "http")]
pub(crate) mod exchanges;
pub(crate) mod framing;
mod half_close;
pub(crate) mod hand_back;
pub(crate) mod io;
mod loan;
pub(crate) mod observed;
#[cfg(any(feature = "axum", feature = "serve"))]
pub(crate) mod peer;
pub(crate) mod served;
pub(crate) mod stall;
mod way_back;

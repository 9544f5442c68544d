//! A connection while it is served.

pub(crate) mod close_handle;
#[allow(dead_code, reason = "the request layer (feature `http`) and the connection's IO each use a part")]
pub(crate) mod exchanges;
pub(crate) mod hand_back;
pub(crate) mod io;
pub(crate) mod observed;

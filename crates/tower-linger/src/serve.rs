//! A connection while it is served.

pub(crate) mod close_handle;
pub(crate) mod hand_back;
pub(crate) mod io;
pub(crate) mod observed;

//! A whole HTTP server (feature `serve`): it accepts, does TLS, serves HTTP/1 and HTTP/2, and ends. It is an
//! ordinary use of the layer.

mod accept;
mod activity;
mod connection;
mod exchange;
mod limits;
mod listener;
mod serve;
mod workers;

pub use limits::{Limits, LimitsBuilder};
pub use listener::{ExclusiveListener, Listener, SharedListener};
pub use serve::{Serve, serve};
pub use workers::Workers;

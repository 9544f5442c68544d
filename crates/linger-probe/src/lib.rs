//! Judges how an HTTP server ends its connections.
//!
//! A [`scenario`] is data: what a client does, and what must come of it. The [`battery`] has all of them, [`check`] runs them
//! against a [`target`] that [`find`] knows and [`discover`] has looked at, [`load`] does it many times at once, and the [`model`] of what was found is what every [`report`] format is made from.

pub mod baseline;
pub mod battery;
pub mod check;
mod connection;
pub mod discover;
pub mod error;
pub mod find;
mod http2;
mod judge;
pub mod load;
pub mod model;
mod received;
pub mod remedy;
pub mod report;
mod response;
mod run;
pub mod scenario;
mod source;
pub mod target;
mod trace;
pub mod trust;
mod websocket;
#[cfg(target_os = "linux")]
pub mod wire;

//! What the tests and the benches share: servers, clients that behave like real ones, certificates, a
//! scripted transport, and, on Linux, kernel counters and packet captures.

pub mod certs;
#[cfg(target_os = "linux")]
pub mod counters;
#[cfg(target_os = "linux")]
pub mod hostile;
pub mod library_client;
#[cfg(unix)]
pub mod nginx;
pub mod peer;
#[cfg(target_os = "linux")]
mod resets;
pub mod scripted;
pub mod server;
#[cfg(target_os = "linux")]
pub mod slow_link;
#[cfg(target_os = "linux")]
pub mod sockets;
pub mod systems;
#[cfg(target_os = "linux")]
pub mod trace;
#[cfg(target_os = "linux")]
pub mod tshark;
pub mod until;
#[cfg(target_os = "linux")]
pub mod wire;

#[cfg(target_os = "linux")]
pub use linger_wire::wire_tests;

/// The README's code compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

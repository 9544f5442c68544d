//! Hooks for loops that a framework owns; re-exported at the crate's root.

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "axum-server")]
pub mod axum_server;
#[cfg(feature = "tonic")]
mod tonic;

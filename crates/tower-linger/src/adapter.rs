//! Hooks for accept loops that a framework owns. What is public here is re-exported at the crate's root.

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "axum-server")]
pub mod axum_server;
#[cfg(feature = "poem")]
pub mod poem;
#[cfg(feature = "salvo")]
pub mod salvo;
#[cfg(feature = "tonic")]
mod tonic;

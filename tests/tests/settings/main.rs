//! Each setting of a policy has its effect with a real hyper and a real `axum::serve` on real sockets.

#![cfg(target_os = "linux")]

mod drain;
mod flush;
mod held_back;
mod scene;
mod serving;
mod swap;

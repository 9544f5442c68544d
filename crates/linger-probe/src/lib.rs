//! Judges how an HTTP server ends its connections.
//!
//! A [`scenario`] is data: what a client does, and what must come of it. The [`battery`] has all of them,
//! [`check`] runs them against a [`target`] that [`find`] knows and [`discover`] has looked at, [`load`] does
//! it many times at once, [`restart`] ends it under a light load, and the [`model`] of what was found is what
//! every report format is made from.
//!
//! # Features
//! `cli` (default) adds the command `linger-probe`, and `report`, the formats that it prints. Without it the
//! model is still written as JSON: [`model::Report::to_json`].

pub mod authorization;
pub mod baseline;
pub mod battery;
pub mod check;
mod connection;
mod dial;
pub mod discover;
pub mod error;
pub mod find;
pub mod guess;
mod here;
mod http2;
mod judge;
#[cfg(target_os = "linux")]
mod ladder;
pub mod load;
pub mod model;
pub mod proxy_protocol;
mod received;
pub mod remedy;
#[cfg(feature = "cli")]
pub mod report;
mod response;
pub mod restart;
pub mod route;
mod run;
pub mod scenario;
pub mod shown;
mod source;
pub mod target;
mod tls_words;
mod trace;
pub mod trust;
mod websocket;

#![cfg_attr(docsrs, feature(doc_cfg))]
//! Judges how an HTTP server ends its connections.
//!
//! A [`scenario`] is data: it says what a client does, and what must become of it. The [`battery`] is the
//! list of all scenarios. [`find`] resolves the URL of a [`target`], [`discover`] looks at what its server
//! can do, and [`check`] runs the scenarios against it. [`load`] loads a server with many clients at once,
//! and [`restart`] ends it under a light load. The [`model`] is what they found; every report format is made
//! from it. [`read`] judges how the connections in a packet capture ended.
//!
//! # Features
//! `cli` (default) adds the command `linger-probe`. `report`, which is part of it, is the module `report`
//! alone, with the formats that the command prints. Without it, [`model::Report::to_json`] still writes a
//! report as JSON.

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
mod quantity;
pub mod read;
mod received;
pub mod remedy;
#[cfg(feature = "report")]
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

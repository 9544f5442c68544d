//! Peers, networks and schedules that are not real, for tests and fuzz targets.
//!
//! [`driver`] runs connections of the real crate over a transport in memory, on a paused clock. Whatever
//! happens in such a run comes from [`Choices`]: a seed, a fuzzer's bytes, or the record of an earlier run.
//! [`seeds`] plays many of them.

#![allow(clippy::similar_names, clippy::struct_excessive_bools, reason = "records of what was seen")]

pub mod choices;
pub mod driver;
pub mod seeds;

pub use choices::Choices;

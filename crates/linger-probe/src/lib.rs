//! Judges how an HTTP server ends its connections.
//!
//! What is here so far: the model of what a run found, every format that it is shown in, and the client's connection that a
//! scenario drives. The battery of scenarios comes next.

#[allow(dead_code, reason = "the scenarios that drive it come next")]
mod connection;
pub mod model;
pub mod report;
#[allow(dead_code, reason = "the scenarios that read it come next")]
mod response;
pub mod target;
#[allow(dead_code, reason = "the scenarios that keep it come next")]
mod trace;

//! What a recorder gets of the connections of a real server, against what the tracker counted. The recorder
//! is the one for Prometheus, installed once for the process; each test has listeners with names of its own.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

mod lifecycle;
#[allow(dead_code, reason = "another test uses the rest")]
#[path = "../served/mix.rs"]
mod mix;
mod outcomes;
mod overtaken;
mod recorders;
mod scrape;
#[cfg(target_os = "linux")]
mod unacked;

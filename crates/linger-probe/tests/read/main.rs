//! Readings of traces: kinds, verdicts and sums of connections that are made by hand, their formats, and the
//! command on real recordings.

#[path = "../made/mod.rs"]
mod made;
#[path = "../probe/mod.rs"]
mod probe;

mod command;
mod formats;
mod packets;
mod page;
mod sums;
mod verdicts;

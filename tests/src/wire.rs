//! What is on the wire: the probe's capture, and a watch for resets.

pub use linger_probe::wire::{Capture, Event, Part, Side, Transcript, WAIT_BOUND};

pub use crate::resets::ResetWatch;

//! Packet captures, and a watch for resets.

pub use linger_wire::{Capture, Event, Part, Side, Transcript, WAIT_BOUND};

pub use crate::resets::ResetWatch;

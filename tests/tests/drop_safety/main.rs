//! CONFORMANCE 38: whatever is dropped at whatever moment, the connection is dropped once and its outcome is
//! reported once.

mod dropping;
mod half_close;
mod outcomes;

use tower_linger::Phase;

/// The phases in which a close can be made to wait.
const PHASES: [Phase; 4] = [Phase::Flush, Phase::Notify, Phase::HalfClose, Phase::Drain];

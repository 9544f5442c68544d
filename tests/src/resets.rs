//! Checks that a server sends no reset.

use std::fmt::Debug;
use std::io;

use linger_wire::{Capture, Side};

use crate::counters::Counters;

/// Watches one server port for resets that the server sends.
///
/// The counter `TcpOutRsts` is not enough, because it counts both sides, and clients may send resets too:
/// loopback delivers a packet on the processor that sent it, so the later of two acknowledgements can arrive
/// first. The other one then finds the client's socket closed, and the client's kernel answers with a reset.
/// Therefore resets are counted on the wire, by side.
#[derive(Debug)]
pub struct ResetWatch {
    capture: Capture,
    before: Counters,
}

impl ResetWatch {
    /// Watches from now on.
    ///
    /// # Errors
    /// As for [`Capture::start`].
    pub fn start(port: u16) -> io::Result<Self> {
        Ok(Self { capture: Capture::start_cut(port, HEADERS)?, before: Counters::read() })
    }

    /// Ends the watch. All connections must be over, because the last segment may be a reset.
    ///
    /// # Panics
    /// If the server sent a reset, or its kernel counted a reason for one.
    #[track_caller]
    pub fn assert_none(self, context: impl Debug) {
        let transcript = self.capture.finish().expect("captures");
        let changed = Counters::read().since(&self.before);
        let resets = (transcript.resets(Side::Server), changed.aborts_on_close(), changed.aborts_on_data());
        assert_eq!(resets, (0, 0, 0), "{context:?}: {changed}\n{transcript}");
    }
}

/// Enough for IP and TCP headers with all their options, and a few bytes more.
const HEADERS: u32 = 160;

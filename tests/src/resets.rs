//! Did the server reset anything?

use std::fmt::Debug;
use std::io;

use linger_wire::{Capture, Side};

use crate::counters::Counters;

/// Watches one server port for resets of the server's own.
///
/// `TcpOutRsts` alone does not tell: it counts both sides. Loopback delivers a packet on the processor that
/// sent it, so of two acknowledgements the later can arrive first; the other one then finds a client's
/// socket that is closed already, and the client's kernel answers it with a reset. So resets are counted on
/// the wire, by side.
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

    /// All connections must be over: a reset may leave with the last segment.
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

/// IP and TCP with all their options, and a few bytes.
const HEADERS: u32 = 160;

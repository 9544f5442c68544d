//! A running capture, and the transcript that it makes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::decode::Frame;
use crate::flow::Recorder;
use crate::live::Seen;
use crate::live::queue;
use crate::packet;
use crate::tap::{QUEUE_BYTES, Sink, Tap, WHOLE};
use crate::transcript::{Event, Transcript};

/// A running capture. Dropping it ends the capture.
#[derive(Debug)]
pub struct Capture {
    tap: Tap<Described>,
}

impl Capture {
    /// Captures whole packets to and from `port` from now on.
    ///
    /// # Errors
    /// If the process may not open packet sockets: it needs root, `CAP_NET_RAW`, or a network namespace of
    /// its own.
    pub fn start(port: u16) -> io::Result<Self> {
        Self::start_cut(port, WHOLE)
    }

    /// Captures at most the first `limit` bytes of each packet, IP header included.
    ///
    /// Cut packets take little room in the kernel's queue, so even a short queue is enough for a mass
    /// transfer. Lengths, FIN and RST stay right. TLS records that begin in a part that was cut off are not
    /// recognised. They count as data until an uncut segment of the same side holds nothing but whole
    /// records. With a limit of about 2000, an alert that follows an upload is usually in such a segment.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_cut(port: u16, limit: u32) -> io::Result<Self> {
        Self::begin(port, limit, Seen::Leaving, Recorder::default())
    }

    /// Captures what this server and its clients send, in little memory however much that is: packets are
    /// cut, consecutive data of one side is one event, and pure acknowledgements are left out.
    ///
    /// If the server's address is not a loopback address, packets that arrive from it are captured as well.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_compact(server: SocketAddr) -> io::Result<Self> {
        let seen = if server.ip().is_loopback() { Seen::Leaving } else { Seen::Once };
        Self::begin(server.port(), ALERT_BESIDE_DATA, seen, Recorder::compact())
    }

    fn begin(port: u16, limit: u32, seen: Seen, recorder: Recorder) -> io::Result<Self> {
        Ok(Self { tap: Tap::open(limit, seen, Described { recorder, port, packets: 0 })? })
    }

    /// Waits until what has been captured satisfies `done`, and returns whether it does. Gives up when no
    /// packet has come for [`WAIT_BOUND`].
    ///
    /// It blocks the thread. On a runtime with one thread, use it only if the peers are other threads or
    /// processes.
    #[must_use]
    pub fn wait_until(&self, mut done: impl FnMut(&Transcript) -> bool) -> bool {
        self.tap.wait_until(WAIT_BOUND, |state| done(&state.sink().transcript(state.dropped, true)))
    }

    /// What was captured of this client's connections until now. Waits until everything that left before this
    /// call has been read.
    #[must_use]
    pub fn events_of(&self, client: SocketAddr) -> Vec<Event> {
        // If the capture did not catch up, the last events are missing.
        let _ = self.tap.catch_up();
        let state = self.tap.lock();
        state.sink().recorder.events.iter().filter(|event| event.client == client).cloned().collect()
    }

    /// Ends the capture once everything that left before this call has been read and the wire has been quiet
    /// for 50 ms.
    ///
    /// A UDP packet to 127.0.0.1 shows that everything has been read. A test's firewall rules must let it
    /// out; otherwise the transcript says that it may be incomplete. The call does not wait for timers, such
    /// as a retransmission, or for the processes at the two ends: let them finish first.
    ///
    /// # Errors
    /// If reading packets failed.
    pub fn finish(self) -> io::Result<Transcript> {
        let mut finished = self.tap.finish()?;
        finished.sink.recorder.finish();
        Ok(finished.sink.transcript(finished.dropped, finished.caught_up))
    }
}

/// Checks that this process may capture packets.
///
/// # Errors
/// If it may not open packet sockets.
pub fn check_permission() -> io::Result<()> {
    queue::open(&Seen::Leaving.program(WHOLE)?, QUEUE_BYTES).map(drop)
}

/// What describes the packets of one server port.
#[derive(Debug)]
struct Described {
    recorder: Recorder,
    port: u16,
    packets: usize,
}

impl Described {
    fn transcript(&self, dropped: u64, caught_up: bool) -> Transcript {
        let mut problems = Vec::new();
        if !caught_up {
            problems.push("the capture did not see everything up to its end".to_owned());
        }
        if dropped > 0 {
            problems.push(format!("{dropped} packets did not fit into the capture's queue"));
        }
        if self.packets > PACKET_LIMIT && !self.recorder.is_compact() {
            problems.push(format!("only the first {PACKET_LIMIT} of {} packets are described", self.packets));
        }
        Transcript::new(self.recorder.events.clone(), problems)
    }
}

impl Sink for Described {
    fn take(&mut self, frame: &Frame<'_>) -> io::Result<bool> {
        let Some(segment) = packet::parse(frame, self.port) else { return Ok(false) };
        self.packets += 1;
        if self.packets <= PACKET_LIMIT || self.recorder.is_compact() {
            self.recorder.push(segment);
        }
        Ok(true)
    }
}

/// The longest that [`Capture::wait_until`] waits without any new packet.
pub const WAIT_BOUND: Duration = Duration::from_secs(10);

/// Enough for an alert that follows an upload: see [`Capture::start_cut`].
const ALERT_BESIDE_DATA: u32 = 2000;
/// Bounds the transcript's memory.
const PACKET_LIMIT: usize = 1_000_000;

//! A running capture: a thread that reads packets, and what it shares with its owner.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::MsgFlags;

use crate::flow::Recorder;
use crate::packet::{self, Packet, Ports, Seen, WHOLE};
use crate::transcript::{Event, Transcript};

/// A running capture. Dropping it ends the capture.
#[derive(Debug)]
pub struct Capture {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
    marker: UdpSocket,
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
        let seen = if server.ip().is_loopback() { Seen::Leaving } else { Seen::Both };
        Self::begin(server.port(), ALERT_BESIDE_DATA, seen, Recorder::compact())
    }

    fn begin(port: u16, limit: u32, seen: Seen, recorder: Recorder) -> io::Result<Self> {
        let packets = packet::open_socket(limit, seen)?;
        let marker = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        marker.connect(marker.local_addr()?)?;
        let ports = Ports { server: port, marker: marker.local_addr()?.port() };
        let shared = Arc::new(Shared::default());
        shared.lock().recorder = recorder;
        let reader = std::thread::Builder::new().name("capture".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.read_all(&packets, ports)
        })?;
        Ok(Self { shared, reader: Some(reader), marker })
    }

    /// Waits until what has been captured satisfies `done`, and returns whether it does. Gives up when no
    /// packet has come for [`WAIT_BOUND`].
    ///
    /// It blocks the thread. On a runtime with one thread, use it only if the peers are other threads or
    /// processes.
    #[must_use]
    pub fn wait_until(&self, mut done: impl FnMut(&Transcript) -> bool) -> bool {
        let mut state = self.shared.lock();
        loop {
            if done(&state.transcript()) {
                return true;
            }
            let Some(changed) = self.shared.wait_for_packet(state, WAIT_BOUND) else { return false };
            state = changed;
        }
    }

    /// What was captured of this client's connections until now. Waits until everything that left before this
    /// call has been read.
    #[must_use]
    pub fn events_of(&self, client: SocketAddr) -> Vec<Event> {
        // If the capture did not catch up, the last events are missing.
        let number = self.shared.lock().marker.wrapping_add(1);
        let _ = self.catch_up(number);
        let state = self.shared.lock();
        state.recorder.events.iter().filter(|event| event.client == client).cloned().collect()
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
    pub fn finish(mut self) -> io::Result<Transcript> {
        let mut caught_up = self.catch_up(1)?;
        caught_up &= self.is_quiet();
        caught_up &= self.catch_up(2)?;

        self.stop();
        let mut state = self.shared.lock();
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        state.recorder.finish();
        if !caught_up {
            state.problems.push("the capture did not see everything up to its end".to_owned());
        }
        Ok(state.transcript())
    }

    /// Waits until no packet has come for a while; `false` if packets never stop.
    fn is_quiet(&self) -> bool {
        let mut state = self.shared.lock();
        for _ in 0..QUIET_ROUNDS {
            let Some(changed) = self.shared.wait_for_packet(state, QUIET) else { return true };
            state = changed;
        }
        false
    }

    /// Sends a packet of our own through the same queue and waits until it has been read. All packets before
    /// it have then been read too, and the number of dropped packets that comes with it is final.
    fn catch_up(&self, number: u8) -> io::Result<bool> {
        // Tried several times, because a full queue drops the marker.
        for _ in 0..MARKER_TRIES {
            match self.marker.send(&[number]) {
                Ok(_) => {}
                // A firewall rule of the test rejects the marker.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(false),
                Err(error) => return Err(error),
            }
            let waiting = |state: &mut State| state.marker != number && state.error.is_none();
            let waited = self.shared.changed.wait_timeout_while(self.shared.lock(), MARKER_WAIT, waiting);
            if waited.expect(NOT_POISONED).0.marker == number {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the capture thread does not panic");
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // The thread is not joined, so that a failing test does not wait. It ends at its next timeout.
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

/// Checks that this process may capture packets.
///
/// # Errors
/// If it may not open packet sockets.
pub fn check_permission() -> io::Result<()> {
    packet::open_socket(WHOLE, Seen::Leaving).map(drop)
}

/// What the capture and its thread share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    stop: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    recorder: Recorder,
    packets: usize,
    dropped: u32,
    problems: Vec<String>,
    /// The number of the last marker that came through.
    marker: u8,
    error: Option<io::Error>,
}

impl State {
    fn transcript(&self) -> Transcript {
        let mut problems = self.problems.clone();
        if self.dropped > 0 {
            problems.push(format!("{} packets did not fit into the capture's queue", self.dropped));
        }
        if self.packets > PACKET_LIMIT {
            problems.push(format!("only the first {PACKET_LIMIT} of {} packets are described", self.packets));
        }
        Transcript::new(self.recorder.events.clone(), problems)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(NOT_POISONED)
    }

    /// Waits for one more packet; `None` if none comes in time.
    fn wait_for_packet<'a>(
        &self,
        state: MutexGuard<'a, State>,
        time: Duration,
    ) -> Option<MutexGuard<'a, State>> {
        let packets = state.packets;
        let waited = self.changed.wait_timeout_while(state, time, |state| state.packets == packets);
        let (state, timeout) = waited.expect(NOT_POISONED);
        (!timeout.timed_out()).then_some(state)
    }

    /// The capture thread: reads packets until told to stop.
    fn read_all(&self, packets: &OwnedFd, ports: Ports) {
        let mut buffer = vec![0; WHOLE as usize];
        while !self.stop.load(Ordering::Relaxed) {
            match packet::read(packets, &mut buffer, MsgFlags::empty()) {
                Ok(received) => self.handle(&buffer[..received.length], received, ports),
                // The socket has a timeout so that the loop sees `stop`.
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(error) => {
                    self.lock().error = Some(error.into());
                    break;
                }
            }
            self.changed.notify_all();
        }
    }

    fn handle(&self, packet: &[u8], received: packet::Received, ports: Ports) {
        let mut state = self.lock();
        state.dropped = received.dropped.unwrap_or(state.dropped);
        match packet::parse(packet, ports, received.at) {
            Some(Packet::Marker(number)) => state.marker = number,
            Some(Packet::Tcp(segment)) => {
                state.packets += 1;
                if state.packets <= PACKET_LIMIT || state.recorder.is_compact() {
                    state.recorder.push(segment);
                }
            }
            None => {}
        }
    }
}

/// The longest that [`Capture::wait_until`] waits without any new packet.
pub const WAIT_BOUND: Duration = Duration::from_secs(10);

/// Enough for an alert that follows an upload: see [`Capture::start_cut`].
const ALERT_BESIDE_DATA: u32 = 2000;
/// Bounds the transcript's memory.
const PACKET_LIMIT: usize = 1_000_000;
const QUIET: Duration = Duration::from_millis(50);
/// The wait for a quiet wire ends after this many packets.
const QUIET_ROUNDS: usize = 100_000;
const MARKER_TRIES: usize = 20;
const MARKER_WAIT: Duration = Duration::from_millis(250);
const NOT_POISONED: &str = "no thread panics while it holds the capture's state";

//! Reads the packets of a network namespace on a thread, and knows when it has read everything that left
//! before a moment.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::decode::Frame;
use crate::live::Seen;
use crate::live::queue::{self, Queue};

/// What takes the packets.
pub(crate) trait Sink: Send + 'static {
    /// Takes a packet that begins with its IP header. Returns whether it has a use for it.
    ///
    /// # Errors
    /// If it can take no more packets.
    fn take(&mut self, frame: &Frame<'_>) -> io::Result<bool>;
}

/// A thread that gives packets to a [`Sink`]. Dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct Tap<S> {
    shared: Arc<Shared<S>>,
    reader: Option<JoinHandle<()>>,
    marker: UdpSocket,
}

/// What the thread shares with its owner.
#[derive(Debug)]
pub(crate) struct State<S> {
    /// `None` once it has been taken out.
    sink: Option<S>,
    /// How many packets the sink has used.
    packets: usize,
    /// How many packets did not fit into the queue.
    pub(crate) dropped: u64,
    /// The number of the last marker that came through.
    marker: u8,
    error: Option<io::Error>,
}

#[derive(Debug)]
struct Shared<S> {
    state: Mutex<State<S>>,
    changed: Condvar,
    stop: AtomicBool,
}

impl<S: Sink> Tap<S> {
    /// Reads at most the first `limit` bytes of each packet from now on.
    pub(crate) fn open(limit: u32, seen: Seen, sink: S) -> io::Result<Self> {
        let packets = queue::open(&seen.program(limit)?, QUEUE_BYTES)?;
        let marker = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = marker.local_addr()?.port();
        marker.connect((Ipv4Addr::LOCALHOST, port))?;
        let state = State { sink: Some(sink), packets: 0, dropped: 0, marker: 0, error: None };
        let shared =
            Shared { state: Mutex::new(state), changed: Condvar::new(), stop: AtomicBool::new(false) };
        let shared = Arc::new(shared);
        let reader = std::thread::Builder::new().name("capture".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.read_all(Queue::new(packets, BATCH, limit as usize), port)
        })?;
        Ok(Self { shared, reader: Some(reader), marker })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.shared.lock()
    }

    /// Waits until `done`, and returns whether it is. Gives up when no packet has come for this time.
    pub(crate) fn wait_until(&self, time: Duration, mut done: impl FnMut(&State<S>) -> bool) -> bool {
        let mut state = self.lock();
        loop {
            if done(&state) {
                return true;
            }
            let Some(changed) = self.shared.wait_for_packet(state, time) else { return false };
            state = changed;
        }
    }

    /// Sends a packet of our own through the same queue and waits until it has been read. All packets before
    /// it have then been read too, and the number of dropped packets is final. `false` if it never arrives.
    pub(crate) fn catch_up(&self) -> io::Result<bool> {
        let number = self.lock().marker.wrapping_add(1);
        // Tried several times, because a full queue drops the marker.
        for _ in 0..MARKER_TRIES {
            match self.marker.send(&[number]) {
                Ok(_) => {}
                // A firewall rule of the test rejects the marker.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(false),
                Err(error) => return Err(error),
            }
            let waiting = |state: &mut State<S>| state.marker != number && state.error.is_none();
            let waited = self.shared.changed.wait_timeout_while(self.lock(), MARKER_WAIT, waiting);
            if waited.expect(NOT_POISONED).0.marker == number {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits until everything that left before this call has been read, and the wire has been quiet for
    /// 50 ms. Then ends the thread. Returns what took the packets, how many did not fit into the queue, and
    /// whether everything was read.
    pub(crate) fn finish(mut self) -> io::Result<Finished<S>> {
        let mut caught_up = self.catch_up()?;
        caught_up &= self.is_quiet();
        caught_up &= self.catch_up()?;

        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the capture thread does not panic");
        }
        let mut state = self.lock();
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        let sink = state.sink.take().expect("only this takes it, once");
        Ok(Finished { sink, dropped: state.dropped, caught_up })
    }

    /// Waits until no packet has come for a while; `false` if packets never stop.
    fn is_quiet(&self) -> bool {
        let mut state = self.lock();
        for _ in 0..QUIET_ROUNDS {
            let Some(changed) = self.shared.wait_for_packet(state, QUIET) else { return true };
            state = changed;
        }
        false
    }
}

/// What a [`Tap`] leaves.
pub(crate) struct Finished<S> {
    /// What took the packets.
    pub(crate) sink: S,
    /// How many packets did not fit into the queue.
    pub(crate) dropped: u64,
    /// Whether everything was read that left before the end.
    pub(crate) caught_up: bool,
}

impl<S> State<S> {
    /// What takes the packets.
    pub(crate) fn sink(&self) -> &S {
        self.sink.as_ref().expect("the tap is still open")
    }
}

impl<S> Drop for Tap<S> {
    fn drop(&mut self) {
        // The thread is not joined, so that a failing test does not wait. It ends at its next timeout.
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl<S> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().expect(NOT_POISONED)
    }

    /// Waits for one more packet; `None` if none comes in time.
    fn wait_for_packet<'a>(
        &self,
        state: MutexGuard<'a, State<S>>,
        time: Duration,
    ) -> Option<MutexGuard<'a, State<S>>> {
        let packets = state.packets;
        let waited = self.changed.wait_timeout_while(state, time, |state| state.packets == packets);
        let (state, timeout) = waited.expect(NOT_POISONED);
        (!timeout.timed_out()).then_some(state)
    }
}

impl<S: Sink> Shared<S> {
    /// The thread: reads packets until told to stop.
    fn read_all(&self, mut queue: Queue, marker_port: u16) {
        while !self.stop.load(Ordering::Relaxed) {
            if let Err(error) = self.read(&mut queue, marker_port) {
                self.lock().error = Some(error);
                self.changed.notify_all();
                break;
            }
            self.changed.notify_all();
        }
    }

    fn read(&self, queue: &mut Queue, marker_port: u16) -> io::Result<()> {
        queue.fill()?;
        let mut state = self.lock();
        state.dropped = queue.dropped()?;
        let state = &mut *state;
        let Some(sink) = state.sink.as_mut() else { return Ok(()) };
        for frame in queue.frames() {
            if let Some(number) = marker(frame.bytes, marker_port) {
                state.marker = number;
            } else {
                state.packets += usize::from(sink.take(&frame)?);
            }
        }
        Ok(())
    }
}

/// The number in a marker: a UDP packet over IPv4 from our own port.
fn marker(packet: &[u8], port: u16) -> Option<u8> {
    let header = usize::from(packet.first()? & 0xf) * 4;
    let is_udp = packet[0] >> 4 == 4 && packet.get(9) == Some(&17);
    let is_ours = is_udp && packet.get(header..header + 2)? == port.to_be_bytes();
    is_ours.then(|| packet.get(header + 8).copied()).flatten()
}

/// More than any packet: segments on loopback are up to 64 KiB.
pub(crate) const WHOLE: u32 = 128 * 1024;
/// Asked for; the kernel doubles it.
pub(crate) const QUEUE_BYTES: usize = 64 * 1024 * 1024;
/// How many packets are read with one call. Whole packets take 2 MiB then.
const BATCH: usize = 16;
const QUIET: Duration = Duration::from_millis(50);
/// The wait for a quiet wire ends after this many packets.
const QUIET_ROUNDS: usize = 100_000;
const MARKER_TRIES: usize = 20;
const MARKER_WAIT: Duration = Duration::from_millis(250);
const NOT_POISONED: &str = "no thread panics while it holds the capture's state";

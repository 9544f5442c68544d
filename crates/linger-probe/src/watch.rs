//! Watches how the connections of this host end, live and passively: no request is sent, and nothing is
//! changed.
//!
//! Packets come from a socket with a filter in the kernel. They take the same way as those of a file:
//! decoded, followed by an analyser, judged and summed up.

pub(crate) mod kernel;
pub(crate) mod metrics;
pub(crate) mod process;
pub(crate) mod rings;
pub(crate) mod save;
mod second;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use linger_probe::read::model::Source;
use linger_probe::read::{Kind, Severity, Tally};
use linger_wire::decode::{Decoded, Frame, decode};
use linger_wire::live::{Reader, Socket};
use linger_wire::trace::{Analyser, Connection, Settings};

use self::kernel::Snapshot;
use self::metrics::Meter;
use self::rings::Rings;
use self::save::{Saved, Saver};
pub(crate) use self::second::Second;

/// Follows the connections of a live capture.
pub(crate) struct Watcher {
    analyser: Analyser,
    tally: Tally,
    source: Source,
    saving: Option<(Rings, Saver)>,
    meter: Option<Meter>,
    kernel: Snapshot,
    told: Second,
}

/// What a whole run found.
pub(crate) struct Watched {
    pub(crate) tally: Tally,
    pub(crate) source: Source,
    pub(crate) saved: Option<Saved>,
    /// The kernel's counters before and after.
    pub(crate) kernel: (Snapshot, Snapshot),
}

impl Watcher {
    /// Follows connections to servers on these ports, or to any if there is none.
    pub(crate) fn new(
        ports: &[u16],
        name: String,
        saving: Option<(Rings, Saver)>,
        meter: Option<Meter>,
    ) -> Self {
        let settings = Settings {
            server_ports: ports.to_vec(),
            ladder_events: LADDER_EVENTS,
            held_back: Some(HELD_BACK),
            ..Settings::default()
        };
        Self {
            analyser: Analyser::new(settings),
            tally: Tally::default(),
            source: Source { name, ..Source::default() },
            saving,
            meter,
            kernel: Snapshot::read(),
            told: Second::default(),
        }
    }

    /// Reads packets until `stop` or the deadline. `tell` gets the numbers of each second, and ends the run
    /// if it fails.
    pub(crate) fn run(
        mut self,
        socket: Socket,
        stop: &AtomicBool,
        duration: Option<Duration>,
        mut tell: impl FnMut(&Second) -> io::Result<()>,
    ) -> io::Result<Watched> {
        let begin = Instant::now();
        let mut next = begin + SECOND;
        let mut reader = socket.into_reader();
        loop {
            self.read(&mut reader)?;
            let now = Instant::now();
            let is_over = stop.load(Ordering::Relaxed) || duration.is_some_and(|most| now >= begin + most);
            if now >= next {
                tell(&self.second(&mut reader)?)?;
                // A second that was missed is not made up for.
                next = (next + SECOND).max(now);
            }
            if is_over {
                break;
            }
        }
        self.read_rest(&mut reader)?;
        Ok(self.finish())
    }

    /// Reads what has come. Returns how many packets that were.
    fn read(&mut self, reader: &mut Reader) -> io::Result<usize> {
        let mut count = 0;
        for frame in reader.read()? {
            self.take(&frame);
            count += 1;
        }
        Ok(count)
    }

    /// Reads what is in the queue at the end, but does not chase what still comes.
    fn read_rest(&mut self, reader: &mut Reader) -> io::Result<()> {
        let end = Instant::now() + SECOND;
        while self.read(reader)? > 0 && Instant::now() < end {}
        self.source.dropped = reader.dropped()?;
        Ok(())
    }

    fn take(&mut self, frame: &Frame<'_>) {
        self.source.bytes += frame.bytes.len() as u64;
        match decode(frame) {
            Decoded::Packet(packet) => {
                self.source.packets += 1;
                let number = self.analyser.push(&packet);
                if let (Some((rings, _)), Some(number)) = (&mut self.saving, number) {
                    rings.keep(number, frame, &packet);
                }
                self.take_ended();
            }
            Decoded::Fragment => self.source.fragments += 1,
            Decoded::Other => self.source.others += 1,
            Decoded::Damaged => self.source.damaged += 1,
        }
    }

    fn take_ended(&mut self) {
        while let Some(connection) = self.analyser.next_ended() {
            self.ended(&connection);
        }
    }

    fn ended(&mut self, connection: &Connection) {
        let kind = Kind::of(connection);
        let verdicts = self.tally.add(connection);
        let lost = verdicts.first().is_some_and(|verdict| verdict.severity == Severity::LosesResponses);
        if let Some(meter) = &mut self.meter {
            meter.ended(connection.server.port(), kind, lost);
        }
        if let Some((rings, saver)) = &mut self.saving {
            let packets = rings.take(connection.number);
            if saver.wants(kind) {
                saver.save(connection, kind, packets);
            }
        }
    }

    /// Ends a second: its numbers.
    fn second(&mut self, reader: &mut Reader) -> io::Result<Second> {
        self.source.dropped = reader.dropped()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Packets of the last moments may still be in the queue.
        self.analyser.advance(now.saturating_sub(SECOND));
        self.take_ended();
        let open = self.analyser.open();
        let total = Second {
            at: now,
            open,
            kinds: self.tally.kinds(),
            lossy: self.tally.losses().connections,
            dropped: self.source.dropped,
        };
        let second = total.since(&self.told);
        self.told = total;
        if let Some(meter) = &self.meter {
            let saved = self.saving.as_ref().map_or(0, |(_, saver)| saver.begun());
            meter.set(open, self.source.packets, self.source.dropped, saved);
            Meter::kernel(&Snapshot::read(), &self.kernel);
        }
        Ok(second)
    }

    fn finish(mut self) -> Watched {
        self.analyser.finish();
        self.take_ended();
        Watched {
            tally: self.tally,
            source: self.source,
            saved: self.saving.map(|(_, saver)| saver.finish()),
            kernel: (self.kernel, Snapshot::read()),
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);
/// How long a connection that is over is held back, in case a packet of it comes late.
const HELD_BACK: Duration = Duration::from_secs(3);
/// How many events of a connection's ladder are kept.
const LADDER_EVENTS: usize = 40;

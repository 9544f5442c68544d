//! Packets of this host's connections, live: a filtered packet socket that a busy server can afford.
//!
//! It only listens. The kernel drops what the [`Filter`] does not name, and hands over the first bytes of
//! each other packet, many at a time.
//!
//! ```no_run
//! use linger_wire::decode::{Decoded, decode};
//! use linger_wire::live::{Filter, Socket};
//! use linger_wire::trace::{Analyser, Settings};
//!
//! # fn example() -> std::io::Result<()> {
//! let mut packets = Socket::open(&Filter::new(vec![443]))?.into_reader();
//! let mut analyser = Analyser::new(Settings { server_ports: vec![443], ..Settings::default() });
//! while packets.dropped()? == 0 {
//!     for frame in packets.read()? {
//!         if let Decoded::Packet(packet) = decode(&frame) {
//!             analyser.push(&packet);
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod direction;
mod filter;
mod program;
pub(crate) mod queue;

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

pub(crate) use self::direction::Seen;
pub use self::filter::Filter;
use self::queue::Queue;
use crate::decode::Frame;

/// An open packet socket. From now on the kernel keeps packets for it.
#[derive(Debug)]
pub struct Socket {
    packets: OwnedFd,
    bytes: usize,
}

impl Socket {
    /// Opens a socket in the network namespace of this thread.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if a number of the filter is out of bounds,
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) if the process may not open packet sockets: it
    /// needs root, `CAP_NET_RAW`, or a network namespace of its own.
    pub fn open(filter: &Filter) -> io::Result<Self> {
        filter.check()?;
        let packets = queue::open(&filter.program()?, filter.queue_bytes)?;
        Ok(Self { packets, bytes: filter.bytes as usize })
    }

    /// How large the queue is, as [`Filter::queue_bytes`] counts.
    ///
    /// # Errors
    /// If the socket cannot be asked.
    pub fn queue_bytes(&self) -> io::Result<usize> {
        queue::size(&self.packets)
    }

    /// Prepares to read. The reader stays on the thread that calls this.
    #[must_use]
    pub fn into_reader(self) -> Reader {
        Reader { queue: Queue::new(self.packets, BATCH, self.bytes) }
    }
}

/// Reads packets from a [`Socket`].
#[derive(Debug)]
pub struct Reader {
    queue: Queue,
}

impl Reader {
    /// Waits for packets, for 20 ms at most, and returns those that came, in their order. There may be none.
    ///
    /// A frame begins with its IP header ([`LinkType::Ip`](crate::decode::LinkType::Ip)) and is cut to
    /// [`Filter::bytes`]. Its length is that of the whole packet.
    ///
    /// After a call that has emptied the queue, the next one lets packets gather there for a millisecond:
    /// one wake-up for each packet would cost far more than the packets.
    ///
    /// # Errors
    /// If the socket cannot be read.
    pub fn read(&mut self) -> io::Result<impl Iterator<Item = Frame<'_>>> {
        if !self.queue.is_behind() {
            std::thread::sleep(GATHERING);
        }
        self.queue.fill()?;
        Ok(self.queue.frames())
    }

    /// How many packets did not fit into the queue, since the socket was opened.
    ///
    /// # Errors
    /// If the socket cannot be asked.
    pub fn dropped(&mut self) -> io::Result<u64> {
        self.queue.dropped()
    }
}

/// How many packets are read with one call.
const BATCH: usize = 256;
/// How long packets gather before they are read.
const GATHERING: Duration = Duration::from_millis(1);

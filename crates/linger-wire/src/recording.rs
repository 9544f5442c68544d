//! Records what a test does on the wire, as a capture file.

use std::io::{self, Write};

use crate::decode::{Decoded, Frame, LinkType, Packet, Payload, decode};
use crate::file::Writer;
use crate::live::Seen;
use crate::tap::{Sink, Tap, WHOLE};

/// Records every TCP packet and ICMP error that leaves in this network namespace, as pcapng. Dropping it ends
/// the recording.
///
/// On loopback that is each packet, once: see [which packets are seen](crate#which-packets-are-seen).
/// Fragments are recorded, too. Other packets are not.
///
/// ```no_run
/// # fn example() -> std::io::Result<()> {
/// let recording = linger_wire::Recording::start(Vec::new())?;
/// // … connections come and go …
/// std::fs::write("what-happened.pcapng", recording.finish()?)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Recording<W: Write + Send + 'static> {
    tap: Tap<Recorded<W>>,
}

impl<W: Write + Send + 'static> Recording<W> {
    /// Records whole packets from now on. The capture's thread writes to `output`, with one call for each
    /// packet.
    ///
    /// # Errors
    /// If the process may not open packet sockets: it needs root, `CAP_NET_RAW`, or a network namespace of
    /// its own. If the beginning of the file cannot be written.
    pub fn start(output: W) -> io::Result<Self> {
        Self::start_cut(output, WHOLE)
    }

    /// Records at most the first `limit` bytes of each packet, IP header included. The file keeps how long
    /// the packets were.
    ///
    /// Cut packets take little room in the kernel's queue, so even a short queue is enough for a mass
    /// transfer.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_cut(output: W, limit: u32) -> io::Result<Self> {
        Self::begin(output, limit, None)
    }

    /// The same for the connections of one port, and for ICMP errors about them. Fragments are left out. Of
    /// a packet that is longer than `limit`, only its first 256 bytes are kept, so that uploads take little room
    /// beside TLS handshakes and alerts, which stay whole.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_cut_of_port(output: W, limit: u32, port: u16) -> io::Result<Self> {
        Self::begin(output, limit, Some(port))
    }

    fn begin(output: W, limit: u32, port: Option<u16>) -> io::Result<Self> {
        let writer = Writer::new(output, LinkType::Ip)?;
        Ok(Self { tap: Tap::open(limit.min(WHOLE), Seen::Leaving, Recorded { writer, port })? })
    }

    /// Ends the recording once everything that left before this call is in it and the wire has been quiet for
    /// 50 ms. Returns the output, flushed.
    ///
    /// It does not wait for timers, such as a retransmission, or for the processes at the two ends: let them
    /// finish first.
    ///
    /// # Errors
    /// If packets did not fit into the kernel's queue, if reading them or writing failed, or if packets did
    /// not stop coming.
    pub fn finish(self) -> io::Result<W> {
        let finished = self.tap.finish()?;
        if finished.dropped > 0 {
            let dropped = finished.dropped;
            let message = format!("{dropped} packets did not fit into the queue: record them cut");
            return Err(io::Error::other(message));
        }
        if !finished.caught_up {
            return Err(io::Error::other("the recording lacks what left at its end"));
        }
        let mut writer = finished.sink.writer;
        writer.flush()?;
        Ok(writer.into_inner())
    }
}

#[derive(Debug)]
struct Recorded<W> {
    writer: Writer<W>,
    /// The only port that is recorded, if there is one.
    port: Option<u16>,
}

impl<W: Write + Send + 'static> Sink for Recorded<W> {
    fn take(&mut self, frame: &Frame<'_>) -> io::Result<bool> {
        let is_wanted = match (decode(frame), self.port) {
            (Decoded::Packet(packet), Some(port)) => is_of(&packet, port),
            (Decoded::Packet(_) | Decoded::Fragment, None) => true,
            (Decoded::Fragment, Some(_)) | (Decoded::Other | Decoded::Damaged, _) => false,
        };
        if is_wanted {
            let is_cut = self.port.is_some() && frame.length as usize > frame.bytes.len();
            let bytes = if is_cut { frame.bytes.get(..HEADERS).unwrap_or(frame.bytes) } else { frame.bytes };
            self.writer.write(&Frame { bytes, ..*frame })?;
        }
        Ok(is_wanted)
    }
}

/// Whether a packet is of a connection from or to this port, or about one.
fn is_of(packet: &Packet<'_>, port: u16) -> bool {
    match &packet.payload {
        Payload::Tcp(tcp) => tcp.source_port == port || tcp.destination_port == port,
        Payload::Icmp(error) => error.source.1 == port || error.destination.1 == port,
    }
}

/// Enough for the headers, and for an HTTP status.
const HEADERS: usize = 256;

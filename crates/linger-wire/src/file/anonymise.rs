//! Takes out of a capture what is nobody's business, and leaves what shows how its connections ended.

mod addresses;
mod flow;
mod hello;
mod queue;
mod rebuild;
mod stream;

use crate::decode::{self, Decoded, Frame, LinkType, Payload, decode};
use addresses::Addresses;
use flow::Flows;
use queue::{Queue, Waiting};

/// Takes out of a capture what is nobody's business, and leaves what shows how its connections ended.
///
/// What is left are TCP segments and ICMP errors about them, as IP packets ([`LinkType::Ip`]):
/// - Addresses are numbered in the order in which they appear: IPv4 from 10.0.0.1 on, IPv6 from `fd00::1` on.
///   Loopback addresses stay what they are. Ports stay, too, and so do times, IPv4's identification and the
///   TTL, by which packets are recognised that a middlebox sent.
/// - Of the TCP header everything stays but what options hold that this crate does not read: they become
///   zeros. Checksums are computed anew.
/// - Payload becomes zeros, as long as it was. Only the structure of TLS stays, as far as it is in the clear:
///   the 5 bytes before each record, alerts, and of the hellos lengths and versions, the server's cipher
///   suite and the types of its extensions. Of an HTTP/1 response in the clear, its version and status stay
///   (`HTTP/1.1 200`).
///
/// Reading the result gives the same ends. It has no names, no link-layer addresses, and nothing of what the
/// capture file says of itself and its host.
///
/// A segment whose place among the TLS records is not known yet, because one before it is late, waits for
/// that one, and the frames after it wait, too, up to 32 MiB. Connections are remembered up to the 65 536
/// that were used last, and addresses up to the last million: one that comes back after a million others has
/// another number.
///
/// ```
/// # use linger_wire::{decode::LinkType, file::{Anonymiser, FileError, Reader, Writer}};
/// # fn example(input: impl std::io::Read, output: impl std::io::Write) -> Result<(), FileError> {
/// let (mut reader, mut writer) = (Reader::new(input)?, Writer::new(output, LinkType::Ip)?);
/// let mut anonymiser = Anonymiser::new();
/// while let Some(frame) = reader.next_frame()? {
///     anonymiser.push(&frame);
///     while let Some(frame) = anonymiser.next_frame() {
///         writer.write(&frame)?;
///     }
/// }
/// anonymiser.finish();
/// while let Some(frame) = anonymiser.next_frame() {
///     writer.write(&frame)?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Anonymiser {
    addresses: Addresses,
    flows: Flows,
    queue: Queue,
    /// The frame that was given away last.
    current: Vec<u8>,
}

impl Anonymiser {
    /// One that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(FLOWS, WAITING)
    }

    /// One that remembers so many connections, and lets frames wait until they take so many bytes.
    fn with_limits(flows: usize, waiting: usize) -> Self {
        let (flows, queue) = (Flows::new(flows), Queue::new(waiting));
        Self { addresses: Addresses::default(), flows, queue, current: Vec::new() }
    }

    /// Takes the next frame. What is no TCP segment and no ICMP error about one is left out, and so are
    /// fragments and damaged packets.
    pub fn push(&mut self, frame: &Frame<'_>) {
        let Decoded::Packet(packet) = decode(frame) else { return };
        let Ok(ip) = decode::ip(frame) else { return };
        let source = self.addresses.map(packet.source);
        let destination = self.addresses.map(packet.destination);
        let route = rebuild::Route { source, destination, ttl: packet.ttl, id: packet.id };
        match &packet.payload {
            Payload::Icmp(error) => {
                let quoted = (self.addresses.map(error.source.0), self.addresses.map(error.destination.0));
                let rebuilt = rebuild::icmp(&route, quoted, &ip);
                let Some((bytes, length)) = rebuilt else { return };
                self.queue.push(Waiting::ready(frame.at, length, bytes));
            }
            Payload::Tcp(tcp) => {
                let (bytes, length) = rebuild::tcp(&route, tcp, &ip);
                let number = self.queue.push(Waiting::segment(&packet, tcp, bytes, length));
                self.flows.take(number, &mut self.queue);
                while let Some(number) = self.queue.overdue() {
                    self.flows.give_up(number, &mut self.queue);
                }
            }
        }
    }

    /// The next frame, in the order in which they were pushed. `None` if none is ready.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        let (at, length, bytes) = self.queue.pop()?;
        self.current = bytes;
        Some(Frame { at, link: LinkType::Ip, length, bytes: &self.current })
    }

    /// No more frames come: nothing waits any longer.
    pub fn finish(&mut self) {
        self.flows.finish(&mut self.queue);
    }
}

impl Default for Anonymiser {
    fn default() -> Self {
        Self::new()
    }
}

/// Connections: about 30 MB.
const FLOWS: usize = 1 << 16;
/// Bytes of frames that wait: as much as the analyser keeps behind all holes.
const WAITING: usize = 32 << 20;

#[cfg(test)]
mod tests;

//! Frames that are ready, and those that wait for a late one.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use super::rebuild;
use crate::decode::{Packet, Tcp};

/// Frames in the order of capture.
#[derive(Debug)]
pub(super) struct Queue {
    frames: VecDeque<Waiting>,
    /// The number of the first one.
    first: u64,
    /// What the frames take in memory, and how much of it makes the first one overdue.
    bytes: usize,
    limit: usize,
}

/// A frame whose payload holds zeros, apart from what stays.
#[derive(Debug)]
pub(super) struct Waiting {
    at: Duration,
    length: u32,
    bytes: Vec<u8>,
    /// The segment that it was made of, until it is ready.
    segment: Option<Segment>,
    /// What it takes in memory.
    size: usize,
}

/// What of a segment matters for its place in the stream.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) source: (IpAddr, u16),
    pub(super) destination: (IpAddr, u16),
    pub(super) seq: u32,
    pub(super) ack: Option<u32>,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    pub(super) payload: Vec<u8>,
    /// The length of the payload on the wire.
    pub(super) length: u32,
}

impl Segment {
    /// The sequence number of its first byte.
    pub(super) fn data_seq(&self) -> u32 {
        self.seq.wrapping_add(self.syn.into())
    }

    /// The sequence number after its last byte.
    pub(super) fn end(&self) -> u32 {
        self.data_seq().wrapping_add(self.length)
    }
}

impl Waiting {
    /// A frame that waits for nothing.
    pub(super) fn ready(at: Duration, length: u32, bytes: Vec<u8>) -> Self {
        let size = bytes.len() + size_of::<Self>();
        Self { at, length, bytes, segment: None, size }
    }

    /// A frame whose payload is still to be looked at.
    pub(super) fn segment(packet: &Packet<'_>, tcp: &Tcp<'_>, bytes: Vec<u8>, length: u32) -> Self {
        let segment = Segment {
            source: (packet.source, tcp.source_port),
            destination: (packet.destination, tcp.destination_port),
            seq: tcp.seq,
            ack: tcp.ack,
            syn: tcp.flags.syn,
            fin: tcp.flags.fin,
            rst: tcp.flags.rst,
            payload: tcp.payload.to_vec(),
            length: tcp.length,
        };
        let size = 2 * bytes.len() + size_of::<Self>();
        Self { at: packet.at, length, bytes, segment: Some(segment), size }
    }
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self { frames: VecDeque::new(), first: 0, bytes: 0, limit }
    }

    /// Appends a frame, and returns its number.
    pub(super) fn push(&mut self, frame: Waiting) -> u64 {
        self.bytes += frame.size;
        self.frames.push_back(frame);
        self.first + self.frames.len() as u64 - 1
    }

    /// The segment that the frame with this number was made of, if the frame is not ready.
    pub(super) fn waiting(&self, number: u64) -> Option<&Segment> {
        self.frames.get(self.index(number)?)?.segment.as_ref()
    }

    /// Makes a frame ready: calls `keep` with its segment and its payload, into which that copies what stays.
    pub(super) fn make_ready(&mut self, number: u64, keep: impl FnOnce(&Segment, &mut [u8])) {
        let frame = self.index(number).and_then(|index| self.frames.get_mut(index));
        let Some(frame) = frame else { return };
        let Some(segment) = frame.segment.take() else { return };
        let before = frame.bytes.len() - segment.payload.len();
        keep(&segment, &mut frame.bytes[before..]);
        rebuild::finish_tcp(&mut frame.bytes, frame.length);
    }

    fn index(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    /// Gives the first frame away if it is ready: when it was captured, its length on the wire, its bytes.
    pub(super) fn pop(&mut self) -> Option<(Duration, u32, Vec<u8>)> {
        self.frames.front().filter(|frame| frame.segment.is_none())?;
        let frame = self.frames.pop_front()?;
        self.first += 1;
        self.bytes -= frame.size;
        Some((frame.at, frame.length, frame.bytes))
    }

    /// The first frame, if it waits and there is no room for others to wait for it.
    pub(super) fn overdue(&self) -> Option<u64> {
        let waits = self.frames.front().is_some_and(|frame| frame.segment.is_some());
        (waits && self.bytes > self.limit).then_some(self.first)
    }
}

//! The connections, and the order of their segments.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use super::queue::{Queue, Segment};
use super::stream::Stream;
use crate::segment::is_before;

type End = (IpAddr, u16);
/// Both ends, the lower one first.
type Key = (End, End);

/// The connections that were used last.
#[derive(Debug)]
pub(super) struct Flows {
    /// How many are remembered.
    limit: usize,
    known: HashMap<Key, Flow>,
    /// The oldest first.
    order: VecDeque<Key>,
}

#[derive(Debug, Default)]
struct Flow {
    /// Of the lower end and of the other.
    directions: [Direction; 2],
    /// Whether there was a FIN or a reset.
    is_over: bool,
    /// Whether it was used since it was last looked at for being forgotten.
    used: bool,
}

#[derive(Debug, Default)]
struct Direction {
    /// The sequence number after everything seen so far, a FIN included.
    next: Option<u32>,
    /// The sequence number of its SYN.
    initial: Option<u32>,
    /// Whether its SYN acknowledged another.
    has_syn_ack: bool,
    fin: bool,
    has_bytes: bool,
    stream: Stream,
    /// The frames behind a hole, and their sequence numbers.
    held: Vec<(u32, u64)>,
}

/// The connection of a segment, and which of its directions it belongs to.
fn key(segment: &Segment) -> (Key, usize) {
    let (source, destination) = (segment.source, segment.destination);
    if source > destination { ((destination, source), 1) } else { ((source, destination), 0) }
}

impl Flows {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, known: HashMap::new(), order: VecDeque::new() }
    }

    /// Takes the segment of the frame with this number, and makes it ready if its place is known, together
    /// with others that waited for it.
    pub(super) fn take(&mut self, number: u64, queue: &mut Queue) {
        let Some(segment) = queue.waiting(number) else { return };
        let (key, side) = key(segment);
        if !self.known.contains_key(&key) {
            self.forget_one(queue);
            self.known.insert(key, Flow::default());
            self.order.push_back(key);
        }
        let Some(flow) = self.known.get_mut(&key) else { return };
        flow.used = true;
        if !flow.prepare(number, side, queue) {
            return queue.make_ready(number, |_, _| ());
        }
        let direction = &mut flow.directions[side];
        let ahead = queue.waiting(number).filter(|segment| direction.is_ahead(segment));
        if let Some(segment) = ahead {
            direction.held.push((segment.seq, number));
            if direction.held.len() > HELD_LIMIT {
                direction.give_up(queue);
            }
        } else {
            direction.accept(number, queue);
            direction.release(queue);
        }
    }

    /// Nothing fills the holes before the frame with this number any more.
    pub(super) fn give_up(&mut self, number: u64, queue: &mut Queue) {
        while let Some(segment) = queue.waiting(number) {
            let (key, side) = key(segment);
            let direction = self.known.get_mut(&key).map(|flow| &mut flow.directions[side]);
            if !direction.is_some_and(|direction| direction.give_up(queue)) {
                // It cannot come to this: what waits is held by its connection.
                return queue.make_ready(number, |_, _| ());
            }
        }
    }

    /// Nothing fills any hole any more.
    pub(super) fn finish(&mut self, queue: &mut Queue) {
        for direction in self.known.values_mut().flat_map(|flow| &mut flow.directions) {
            while direction.give_up(queue) {}
        }
    }

    /// How many connections are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Makes room for one more.
    fn forget_one(&mut self, queue: &mut Queue) {
        while self.known.len() >= self.limit {
            let Some(key) = self.order.pop_front() else { return };
            let Some(flow) = self.known.get_mut(&key) else { continue };
            if std::mem::take(&mut flow.used) {
                self.order.push_back(key);
                continue;
            }
            flow.reset(queue);
            self.known.remove(&key);
        }
    }
}

impl Flow {
    /// What a segment from this side means for what came before it, as the analyser sees it. Returns whether
    /// it belongs to the stream.
    fn prepare(&mut self, number: u64, side: usize, queue: &mut Queue) -> bool {
        let Some(segment) = queue.waiting(number) else { return false };
        let (seq, ack) = (segment.seq, segment.ack.filter(|_| !segment.rst));
        let opens = segment.syn && self.is_another(segment, side);
        self.is_over |= segment.rst || segment.fin;
        if opens {
            self.reset(queue);
            return true;
        }
        if self.is_challenge(segment, side) {
            return false;
        }
        let direction = &mut self.directions[side];
        if direction.initial.is_none() && !direction.has_bytes {
            if let Some(next) = direction.next.as_mut().filter(|next| is_before(**next, seq)) {
                // The trace begins here: what came before is not missing in it.
                *next = seq;
            }
        }
        let other = &mut self.directions[1 - side];
        let ahead = |next: u32, ack: u32| (1..PLAUSIBLE).contains(&ack.wrapping_sub(next));
        if let Some(ack) = ack.filter(|ack| other.next.is_some_and(|next| ahead(next, *ack))) {
            // These bytes were on the wire: if they are not here, the capture lost them.
            let to = other.after_hole().filter(|held| is_before(*held, ack)).unwrap_or(ack);
            other.skip_to(to);
            other.release(queue);
        }
        true
    }

    /// Whether it answers a SYN by something else than a SYN-ACK: it is of an older connection.
    fn is_challenge(&self, segment: &Segment, side: usize) -> bool {
        let (from, to) = (&self.directions[side], &self.directions[1 - side]);
        let expected = to.initial.map(|initial| initial.wrapping_add(1));
        let waits = expected.is_some() && from.initial.is_none() && !to.has_syn_ack;
        waits && !segment.syn && !segment.rst && segment.ack.is_some() && segment.ack != expected
    }

    /// Whether a SYN opens another connection of the same ports.
    fn is_another(&self, segment: &Segment, side: usize) -> bool {
        let (from, to) = (&self.directions[side], &self.directions[1 - side]);
        if from.initial == Some(segment.seq) {
            return false;
        }
        // SYNs of both sides may cross.
        let crosses = from.next.is_none() && to.initial.is_some();
        if segment.ack.is_none() { !crosses } else { from.initial.is_some() && self.is_over }
    }

    /// Begins anew.
    fn reset(&mut self, queue: &mut Queue) {
        for direction in &mut self.directions {
            while direction.give_up(queue) {}
            *direction = Direction::default();
        }
        self.is_over = false;
    }
}

impl Direction {
    /// Whether bytes are missing between what was seen and this segment, which has some, too.
    fn is_ahead(&self, segment: &Segment) -> bool {
        let ahead = self.next.is_some_and(|next| is_before(next, segment.seq));
        ahead && !segment.syn && !segment.rst && (segment.length > 0 || segment.fin)
    }

    /// Takes a segment that is not ahead, and makes its frame ready.
    fn accept(&mut self, number: u64, queue: &mut Queue) {
        queue.make_ready(number, |segment, kept| self.keep(segment, kept));
    }

    /// Copies what stays of the segment's payload to `kept`.
    fn keep(&mut self, segment: &Segment, kept: &mut [u8]) {
        if segment.syn {
            self.next = self.next.or(Some(segment.data_seq()));
            self.initial = self.initial.or(Some(segment.seq));
            self.has_syn_ack |= segment.ack.is_some();
        }
        if self.next.is_none() {
            // The trace begins in the middle of the stream.
            self.stream.lose();
        }
        let next = self.next.get_or_insert(segment.seq);
        let seen = next.wrapping_sub(segment.data_seq()) as usize;
        let length = segment.length as usize;
        // A reset may carry any sequence number; it is not part of the stream.
        if !segment.rst && length > seen {
            let captured = segment.payload.get(seen..).unwrap_or_default();
            let missing = length - seen - captured.len();
            *next = segment.end();
            self.has_bytes = true;
            self.stream.feed(captured, missing, kept.get_mut(seen..).unwrap_or_default());
        }
        if segment.fin && !self.fin && *next == segment.end() {
            self.fin = true;
            *next = next.wrapping_add(1);
        }
    }

    /// Takes the segments that waited and follow directly on what has been seen.
    fn release(&mut self, queue: &mut Queue) {
        while let Some(next) = self.next {
            let Some(index) = self.held.iter().position(|(seq, _)| !is_before(next, *seq)) else { return };
            let (_, number) = self.held.remove(index);
            self.accept(number, queue);
        }
    }

    fn skip_to(&mut self, seq: u32) {
        self.next = Some(seq);
        self.stream.lose();
    }

    /// Where the first segment that waits begins.
    fn after_hole(&self) -> Option<u32> {
        let next = self.next?;
        let first = self.held.iter().map(|(seq, _)| seq.wrapping_sub(next)).min()?;
        Some(next.wrapping_add(first))
    }

    /// Takes the bytes before the first segment that waits as lost. `false` if none waits.
    fn give_up(&mut self, queue: &mut Queue) -> bool {
        let Some(first) = self.after_hole() else { return false };
        self.skip_to(first);
        self.release(queue);
        true
    }
}

/// More than the largest window (RFC 7323 §2.3): nobody acknowledges that much at once.
const PLAUSIBLE: u32 = 1 << 30;
/// As many segments as the reader keeps behind one hole.
const HELD_LIMIT: usize = 256;

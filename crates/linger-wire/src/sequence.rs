//! The sequence space of one direction: brings segments in order, so that each byte counts once.

use crate::segment::{Segment, is_before};

/// One direction of a connection.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    /// The sequence number after everything seen so far, a FIN included.
    next: Option<u32>,
    fin: bool,
    /// Segments behind a hole: a firewall rule or a lossy link dropped what comes before them.
    held: Vec<Segment<'static>>,
}

/// What a segment adds to its stream.
#[derive(Debug, Default)]
pub(crate) struct Progress<'a> {
    /// The captured part of its new bytes.
    pub(crate) bytes: &'a [u8],
    /// New bytes after these that the capture cut off.
    pub(crate) missing: usize,
    /// Whether it has a SYN that was not seen before.
    pub(crate) syn: bool,
    /// Whether it has the FIN, which was not seen before.
    pub(crate) fin: bool,
    /// Whether it has a SYN, data or a FIN, all of which was seen before.
    pub(crate) again: bool,
}

impl Progress<'_> {
    /// How many bytes of the stream are new.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.missing
    }
}

impl Sequence {
    /// The sequence number after everything seen so far, a FIN included.
    pub(crate) fn next(&self) -> Option<u32> {
        self.next
    }

    /// Whether this acknowledges bytes that were not seen.
    pub(crate) fn is_unseen(&self, ack: u32) -> bool {
        self.next.is_some_and(|next| is_before(next, ack))
    }

    /// Whether bytes are missing between what was seen and this segment, which has some, too.
    pub(crate) fn is_ahead(&self, segment: &Segment<'_>) -> bool {
        let ahead = self.next.is_some_and(|next| is_before(next, segment.seq));
        ahead && !segment.syn && !segment.rst && (segment.len() > 0 || segment.fin)
    }

    /// Takes a segment that is not [ahead](Self::is_ahead).
    pub(crate) fn accept<'a>(&mut self, segment: &'a Segment<'_>) -> Progress<'a> {
        let mut progress = Progress::default();
        if segment.syn && self.next.is_none() {
            self.next = Some(segment.data_seq());
            progress.syn = true;
        }
        let next = self.next.get_or_insert(segment.seq);
        let seen = next.wrapping_sub(segment.data_seq()) as usize;
        // A reset may carry any sequence number; it is not part of the stream.
        if !segment.rst && segment.len() > seen {
            progress.bytes = segment.payload.get(seen..).unwrap_or_default();
            progress.missing = segment.len() - seen - progress.bytes.len();
            *next = segment.end();
        }
        if segment.fin && !self.fin && *next == segment.end() {
            self.fin = true;
            *next = next.wrapping_add(1);
            progress.fin = true;
        }
        let carries = segment.syn || segment.fin || segment.len() > 0;
        progress.again = carries && !progress.syn && !progress.fin && progress.len() == 0;
        progress
    }

    /// Keeps a segment that is [ahead](Self::is_ahead) until the hole before it is filled.
    pub(crate) fn hold(&mut self, segment: Segment<'static>) {
        self.held.push(segment);
    }

    /// The segments behind a hole.
    pub(crate) fn held(&self) -> &[Segment<'static>] {
        &self.held
    }

    /// A held segment that follows directly on what has been seen.
    pub(crate) fn ready(&mut self) -> Option<Segment<'static>> {
        let next = self.next?;
        let ready = self.held.iter().position(|segment| !is_before(next, segment.seq))?;
        Some(self.held.remove(ready))
    }

    /// Where the first held segment begins.
    pub(crate) fn after_hole(&self) -> Option<u32> {
        let next = self.next?;
        let first = self.held.iter().map(|segment| segment.seq.wrapping_sub(next)).min()?;
        Some(next.wrapping_add(first))
    }

    /// Takes everything before this number as seen. Returns where the bytes begin that were not.
    pub(crate) fn skip_to(&mut self, seq: u32) -> Option<u32> {
        self.next.replace(seq)
    }
}

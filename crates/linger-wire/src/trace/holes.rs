//! Bytes of a stream that are not in the trace.

use crate::segment::is_before;

/// Parts of a stream that were not seen, some of which may still come late.
#[derive(Debug, Default)]
pub(super) struct Holes {
    open: Vec<(u32, u32)>,
    /// Bytes of holes that are too old to be filled.
    old: u64,
}

impl Holes {
    pub(super) fn add(&mut self, from: u32, to: u32) {
        if self.open.len() >= LIMIT {
            let (from, to) = self.open.remove(0);
            self.old += u64::from(to.wrapping_sub(from));
        }
        self.open.push((from, to));
    }

    /// A segment from one of these numbers to the other came late. Returns whether it fills a part of a hole.
    pub(super) fn fill(&mut self, from: u32, to: u32) -> bool {
        let overlaps = |hole: &(u32, u32)| is_before(hole.0, to) && is_before(from, hole.1);
        let Some(index) = self.open.iter().position(overlaps) else { return false };
        let hole = self.open.remove(index);
        if is_before(hole.0, from) {
            self.add(hole.0, from);
        }
        if is_before(to, hole.1) {
            self.add(to, hole.1);
        }
        true
    }

    /// How many of the bytes were acknowledged.
    pub(super) fn acknowledged(&self, acked: Option<u32>) -> u64 {
        let Some(acked) = acked else { return 0 };
        let seen = |(from, to): &(u32, u32)| {
            let to = if is_before(acked, *to) { acked } else { *to };
            if is_before(*from, to) { u64::from(to.wrapping_sub(*from)) } else { 0 }
        };
        self.old + self.open.iter().map(seen).sum::<u64>()
    }
}

/// How many holes are kept open for what comes late.
const LIMIT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u32) -> u32 {
        (u32::MAX - 10).wrapping_add(offset)
    }

    #[test]
    fn a_late_segment_fills_its_part() {
        let mut holes = Holes::default();
        holes.add(at(0), at(30));
        assert_eq!(holes.acknowledged(Some(at(20))), 20);
        assert!(holes.fill(at(10), at(15)));
        assert!(!holes.fill(at(10), at(15)));
        assert_eq!(holes.acknowledged(Some(at(30))), 25);
        assert!(holes.fill(at(0), at(10)) && holes.fill(at(15), at(40)));
        assert_eq!(holes.acknowledged(Some(at(40))), 0);
    }

    #[test]
    fn many_holes_are_counted_in_little_memory() {
        let mut holes = Holes::default();
        for hole in 0..100 {
            holes.add(at(hole * 4), at(hole * 4 + 1));
        }
        assert_eq!((holes.acknowledged(Some(at(1000))), holes.open.len()), (100, LIMIT));
    }
}

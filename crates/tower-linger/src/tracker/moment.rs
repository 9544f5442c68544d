//! Times in four bytes.

use std::cmp::Ordering;

/// Milliseconds since a schedule began, which is the resolution of tokio's timers. The number wraps after 49
/// days; that is why nothing is set for more than a day ahead, and why a leap of the clock makes everything
/// due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(u32);

impl Moment {
    #[expect(clippy::cast_possible_truncation, reason = "it wraps")]
    pub(crate) fn of(millis: u64) -> Self {
        Self(millis as u32)
    }

    /// Milliseconds from an earlier moment to this one.
    pub(crate) fn after(self, earlier: Self) -> u64 {
        self.0.wrapping_sub(earlier.0).into()
    }
}

impl Ord for Moment {
    /// As serial numbers are compared (RFC 1982).
    #[expect(clippy::cast_possible_wrap, reason = "the sign tells which is earlier")]
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0.wrapping_sub(other.0) as i32).cmp(&0)
    }
}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

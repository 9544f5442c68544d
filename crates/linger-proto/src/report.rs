//! The report on one finished close.

use std::fmt;
use std::time::Duration;

use crate::outcome::{Failure, Outcome, Release};
use crate::phase::Phase;

/// What happened in one finished close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[must_use]
pub struct CloseReport {
    /// How it ended.
    pub outcome: Outcome,
    /// The phase that it ended in.
    pub ended_in: Phase,
    /// The first failure of any phase, or of the connection's user before the close.
    pub failure: Option<Failure>,
    /// Bytes of the peer that were read and discarded.
    pub bytes_drained: u64,
    /// Bytes of ours that the peer had not acknowledged when the socket was released, the FIN not counted:
    /// usually 0 after a peer's FIN, more where a response was cut. `None` where the system cannot tell; the
    /// driver fills it in. tower-linger does so for TCP on Linux, also after a reset, and on macOS
    /// (`SO_NWRITE`) for a connection that has not ended in both directions.
    pub unacked: Option<u64>,
    /// Whether our `close_notify` was handed to the kernel.
    pub sent_close_notify: bool,
    /// How the socket has to be, or was, released.
    pub release: Release,
    pub(crate) times: [Duration; 6],
}

impl CloseReport {
    /// The report of a connection whose end took no close: its socket is gone.
    #[doc(hidden)]
    pub const fn without_close(outcome: Outcome) -> Self {
        Self {
            outcome,
            ended_in: Phase::Flush,
            failure: None,
            bytes_drained: 0,
            unacked: None,
            sent_close_notify: false,
            release: Release::Close,
            times: [Duration::ZERO; 6],
        }
    }

    /// Time spent in a phase; zero for one that was skipped and for [`Phase::Done`].
    #[must_use]
    pub fn time_in(&self, phase: Phase) -> Duration {
        self.times.get(phase as usize).copied().unwrap_or_default()
    }

    /// Time from the start of the close to its end.
    #[must_use]
    pub fn total_time(&self) -> Duration {
        self.times.iter().sum()
    }
}

impl fmt::Display for CloseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} after {:?}", self.outcome, self.ended_in, self.total_time())?;
        write!(f, ", {} bytes drained", self.bytes_drained)?;
        if let Some(unacked @ 1..) = self.unacked {
            write!(f, ", {unacked} bytes unacknowledged")?;
        }
        match self.failure {
            Some(failure) => write!(f, " ({failure})"),
            None => Ok(()),
        }
    }
}

impl CloseReport {
    /// The report in one stable line, for access logs and for `grep`:
    ///
    /// ```text
    /// Pd-- drained=33521763 unacked=0 flush_us=2 drain_us=12090 total_us=12099
    /// ```
    ///
    /// Four characters in the manner of `HAProxy`'s termination codes, then fields of which later versions
    /// may add more:
    ///
    /// | place | characters |
    /// |---|---|
    /// | 1: what ended it | `P` peer closed, `R` peer reset, `U` unreachable, `K` kernel timeout, `L` local abort, `E` another error, `F` flush timeout, `I` drain idle, `T` drain deadline, `B` drain byte limit, `S` drain rate (slow), `Q` acknowledged and quiet, `N` no drain by policy, `X` the peer had announced that nothing follows, `O` left open for others, `V` evicted, `D` server shutdown, `A` aborted, `H` handshake timeout, `C` cancelled |
    /// | 2: in which phase | `f` flush, `s` settle, `p` peer first, `n` notify, `h` half-close, `d` drain |
    /// | 3: our `close_notify` | `n` sent, `-` not |
    /// | 4: the peer's `close_notify` | `n` read, `-` not |
    ///
    /// Times are microseconds; `unacked` is `-` where the system cannot tell; `failure`, last, only where
    /// there was one.
    #[must_use]
    pub fn line(&self) -> impl fmt::Display + use<> {
        Line(*self)
    }
}

struct Line(CloseReport);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.0;
        let flag = |set| if set { 'n' } else { '-' };
        let read_close_notify = report.outcome == Outcome::PeerClosed { close_notify: true };
        write!(f, "{}{}", report.outcome.code(), report.ended_in.code())?;
        write!(f, "{}{}", flag(report.sent_close_notify), flag(read_close_notify))?;
        write!(f, " drained={} unacked=", report.bytes_drained)?;
        match report.unacked {
            Some(bytes) => write!(f, "{bytes}")?,
            None => f.write_str("-")?,
        }
        let micros = |phase| report.time_in(phase).as_micros();
        write!(f, " flush_us={} drain_us={}", micros(Phase::Flush), micros(Phase::Drain))?;
        write!(f, " total_us={}", report.total_time().as_micros())?;
        match report.failure {
            Some(failure) => write!(f, " failure={:?}", failure.to_string()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes that the documentation of [`CloseReport::line`] lists in this row of its table.
    fn documented(row: &str) -> Vec<char> {
        let source = include_str!("report.rs");
        let row = source.lines().find(|line| line.contains(row)).expect("the table has the row");
        let codes = row.split('`').skip(1).step_by(2).filter_map(|code| code.chars().next());
        codes.collect()
    }

    #[test]
    fn the_documentation_of_the_line_lists_every_code() {
        let mut outcomes: Vec<_> = Outcome::ALL.iter().map(|outcome| outcome.code()).collect();
        let mut listed = documented("/// | 1: what ended it |");
        outcomes.sort_unstable();
        listed.sort_unstable();
        assert_eq!(listed, outcomes);
        let mut phases: Vec<_> = Phase::ALL.iter().map(|phase| phase.code()).collect();
        phases.dedup();
        assert_eq!(documented("/// | 2: in which phase |"), phases);
    }
}

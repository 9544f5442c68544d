//! The line of a second.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use linger_probe::read::Kind;

/// What happened in a second, or until now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Second {
    /// When it ended, since 1970.
    pub(crate) at: Duration,
    /// How many connections are open.
    pub(crate) open: usize,
    /// How many ended in which way, in the order of [`Kind::ALL`].
    pub(crate) kinds: [u64; Kind::ALL.len()],
    /// How many lost something.
    pub(crate) lossy: u64,
    /// How many packets the capture has dropped.
    pub(crate) dropped: u64,
}

impl Second {
    /// What is new since an earlier sum.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let mut kinds = self.kinds;
        kinds.iter_mut().zip(before.kinds).for_each(|(count, before)| *count -= before);
        Self { kinds, lossy: self.lossy - before.lossy, dropped: self.dropped - before.dropped, ..*self }
    }
}

/// `2026-11-26T16:20:31Z 120 open; 812 ended: 790 normal, 22 timed out; 20 lost something`
impl fmt::Display for Second {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = humantime::format_rfc3339_seconds(UNIX_EPOCH + self.at);
        let ended: u64 = self.kinds.iter().sum();
        write!(f, "{time} {} open; {ended} ended", self.open)?;
        let mut separator = ": ";
        for (kind, count) in Kind::ALL.iter().zip(self.kinds).filter(|(_, count)| *count > 0) {
            write!(f, "{separator}{count} {}", kind.title())?;
            separator = ", ";
        }
        if self.lossy > 0 {
            write!(f, "; {} lost something", self.lossy)?;
        }
        if self.dropped > 0 {
            write!(f, "; the capture dropped {} packets", self.dropped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_is_new() {
        let mut before = Second { open: 3, dropped: 4, ..Second::default() };
        before.kinds[Kind::Normal.index()] = 10;
        let mut now =
            Second { at: Duration::from_secs(1_795_709_965), open: 7, dropped: 4, ..before.clone() };
        assert_eq!(now.since(&before).to_string(), "2026-11-26T16:19:25Z 7 open; 0 ended");
        now.kinds[Kind::Normal.index()] = 12;
        now.kinds[Kind::Timeout.index()] = 1;
        (now.lossy, now.dropped) = (1, 9);
        assert_eq!(
            now.since(&before).to_string(),
            "2026-11-26T16:19:25Z 7 open; 3 ended: 2 normal, 1 timed out; 1 lost something; \
             the capture dropped 5 packets"
        );
    }
}

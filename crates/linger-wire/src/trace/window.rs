//! The window that one side announces: how far it lets the other send, and what that tells of its reading.

use std::time::Duration;

use crate::segment::is_before;

/// The window that one side announces.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// By how many bits its values are shifted, if the handshake was seen.
    scale: Option<u8>,
    edge: Option<Edge>,
    /// The last value, not shifted.
    value: u16,
    /// Since when it is zero.
    zero_since: Option<Duration>,
    longest_zero: Duration,
}

/// The right edge of the window: the sequence number after the last byte that may come.
#[derive(Debug, Clone, Copy)]
struct Edge {
    at: u32,
    /// What was acknowledged when it last moved on.
    acknowledged: u32,
}

impl Window {
    /// The handshake is complete: both sides' window scale options (RFC 7323 §2.2) are known.
    pub(super) fn agree(&mut self, own: Option<u8>, others: Option<u8>) {
        self.scale = Some(match (own, others) {
            (Some(own), Some(_)) => own.min(LARGEST_SCALE),
            _ => 0,
        });
    }

    /// Takes the window of a segment that is no reset.
    pub(super) fn announce(&mut self, window: u16, ack: u32, syn: bool, at: Duration) {
        if window == 0 && !syn {
            self.zero_since = self.zero_since.or(Some(at));
        } else {
            self.end_zero(at);
        }
        let Some(scale) = (if syn { Some(0) } else { self.scale }) else { return };
        let right = ack.wrapping_add(u32::from(window) << scale);
        let Some(edge) = &mut self.edge else {
            self.edge = Some(Edge { at: right, acknowledged: ack });
            self.value = window;
            return;
        };
        // Linux rounds windows up to whole units of the scale: by less than that, the edge moves on without
        // anything being read. It also moves on when the buffer grows, but then the window shrinks.
        let moved = right.wrapping_sub(edge.at);
        if is_before(edge.at, right) {
            edge.at = right;
            if moved >= 1 << scale && window >= self.value {
                edge.acknowledged = ack;
            }
        }
        self.value = window;
    }

    /// The trace or the connection ends here.
    pub(super) fn end_zero(&mut self, at: Duration) {
        if let Some(since) = self.zero_since.take() {
            self.longest_zero = self.longest_zero.max(at.saturating_sub(since));
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        self.zero_since.is_some()
    }

    /// The longest time in which it was zero.
    pub(super) fn longest_zero(&self) -> Duration {
        self.longest_zero
    }

    /// How many bytes are before this number, and were acknowledged since the right edge last moved on. The
    /// kernel acknowledges what arrives, but moves the edge on only when the application reads, as a rule.
    /// `None` if the scale is not known.
    pub(super) fn unread(&self, received: u32) -> Option<u32> {
        let edge = self.edge.filter(|_| self.scale.is_some())?;
        let after = is_before(edge.acknowledged, received);
        Some(if after { received.wrapping_sub(edge.acknowledged) } else { 0 })
    }

    /// Less than this is too little to show in the window.
    pub(super) fn unit(&self) -> u32 {
        1 << self.scale.unwrap_or(0)
    }
}

/// RFC 7323 §2.3.
const LARGEST_SCALE: u8 = 14;

#[cfg(test)]
mod tests {
    use super::*;

    const ACK: u32 = u32::MAX - 100;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_acknowledged_without_moving_the_edge_is_unread() {
        let mut window = Window::default();
        window.agree(Some(7), Some(2));
        window.announce(100, ACK, false, at(0));
        window.announce(90, ACK.wrapping_add(1280), false, at(1));
        // 1281 bytes leave 119 of a unit: rounded up, the edge creeps.
        window.announce(80, ACK.wrapping_add(2561), false, at(2));
        assert_eq!(window.unread(ACK.wrapping_add(2561)), Some(2561));
        window.announce(99, ACK.wrapping_add(3841), false, at(3));
        assert_eq!(window.unread(ACK.wrapping_add(3841)), Some(0));
        window.announce(98, ACK.wrapping_add(5121), false, at(3));
        assert_eq!(window.unread(ACK.wrapping_add(5121)), Some(1280));
        assert_eq!(window.unread(ACK), Some(0));
    }

    #[test]
    fn the_longest_time_of_a_window_of_zero_counts() {
        let mut window = Window::default();
        for (second, value) in [(0, 5), (1, 0), (2, 0), (4, 5), (5, 0)] {
            window.announce(value, ACK, false, at(second));
        }
        assert!(window.is_zero());
        window.end_zero(at(7));
        assert_eq!((window.longest_zero(), window.is_zero()), (at(3), false));
    }
}

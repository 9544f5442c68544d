//! The record of one direction that is not complete yet.

use super::record::{ALERT, APPLICATION_DATA, HANDSHAKE};

/// A record whose header is complete.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    /// What it is, as far as it is known before it is complete.
    pub(super) kind: Kind,
    pub(super) length: u16,
    /// How many bytes of it are still to come.
    pub(super) left: u16,
    /// Its first bytes.
    head: [u8; 2],
    /// Whether the capture cut off bytes of it.
    is_cut: bool,
    /// Whether its bytes are kept until it can be decrypted.
    pub(super) is_kept: bool,
}

/// What a decrypted record is.
#[cfg_attr(not(feature = "secrets"), expect(dead_code, reason = "nothing is decrypted"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opened {
    /// With its description.
    Alert(u8),
    Data,
    /// The last message of a side's handshake.
    Finished,
    Handshake,
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Alert,
    Data,
    /// In the clear.
    Handshake,
    /// A handshake message whose type is hidden.
    Hidden,
    ChangeCipherSpec,
}

impl Kind {
    /// What a record of this type seems to be.
    pub(super) fn visible(kind: u8) -> Self {
        match kind {
            ALERT => Self::Alert,
            HANDSHAKE => Self::Handshake,
            APPLICATION_DATA => Self::Data,
            _ => Self::ChangeCipherSpec,
        }
    }
}

impl Record {
    pub(super) fn new(kind: Kind, length: u16, is_kept: bool) -> Self {
        Self { kind, length, left: length, head: [0; 2], is_cut: false, is_kept }
    }

    /// Takes `count` bytes, of which these were captured.
    pub(super) fn take(&mut self, bytes: &[u8], count: usize) {
        let done = usize::from(self.length - self.left);
        for (place, byte) in self.head.iter_mut().skip(done).zip(bytes) {
            *place = *byte;
        }
        self.is_cut |= bytes.len() < count;
        self.left = self.left.saturating_sub(u16::try_from(count).unwrap_or(u16::MAX));
    }

    pub(super) fn is_whole_and_kept(self) -> bool {
        self.is_kept && !self.is_cut
    }

    /// The description of an alert in the clear: a level, which is 1 or 2, and the description.
    pub(super) fn clear_description(self) -> Option<u8> {
        match self.head {
            [1 | 2, description] if self.kind == Kind::Alert && self.length == 2 && !self.is_cut => {
                Some(description)
            }
            _ => None,
        }
    }
}

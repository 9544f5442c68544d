//! Two kernels' sockets. Both follow the same rules, which are Linux' where systems differ, but for one:
//! what a peer has not read when a reset arrives is lost, as on most other systems.

/// What ends a connection, as the next operation on its socket is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    /// `ECONNRESET`.
    Reset,
    /// `EHOSTUNREACH`, after an ICMP error.
    Unreachable,
    /// `ETIMEDOUT`.
    TimedOut,
    /// `ECONNABORTED`.
    Destroyed,
    /// `EPIPE`: a write after the FIN, or after the first error was told.
    Pipe,
}

impl Cause {
    /// Linux' number.
    pub(crate) fn errno(self) -> i32 {
        match self {
            Self::Reset => 104,
            Self::Unreachable => 113,
            Self::TimedOut => 110,
            Self::Destroyed => 103,
            Self::Pipe => 32,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Life {
    Open,
    /// Its descriptor is closed; the kernel goes on delivering what was sent.
    Orphan,
    /// There is no connection any more: whatever arrives is answered by a reset.
    Gone,
}

/// One end of the connection. The units that it sends are numbered from 0; its FIN has the number after the
/// last.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct End {
    pub(crate) life: Life,
    /// How many units were written to it.
    pub(crate) sent: u8,
    pub(crate) fin: bool,
    /// How many of them, the FIN included, it knows to have arrived.
    pub(crate) acked: u8,
    /// Which numbers of the other end have arrived, one bit each.
    arrived: u16,
    /// How many units were read from it.
    pub(crate) read: u8,
    /// Told once.
    pub(crate) error: Option<Cause>,
    /// It has sent a reset.
    pub(crate) resets: bool,
}

/// How many units may have arrived and not be read.
pub(crate) const WINDOW: u8 = 2;

impl End {
    pub(crate) fn new() -> Self {
        Self {
            life: Life::Open,
            sent: 0,
            fin: false,
            acked: 0,
            arrived: 0,
            read: 0,
            error: None,
            resets: false,
        }
    }

    /// Units and FIN that were sent.
    pub(crate) fn numbers(&self) -> u8 {
        self.sent + u8::from(self.fin)
    }

    pub(crate) fn has(&self, number: u8) -> bool {
        self.arrived & (1 << number) != 0
    }

    /// How many numbers have arrived without a gap.
    pub(crate) fn in_order(&self) -> u8 {
        u8::try_from(self.arrived.trailing_ones()).unwrap_or(u8::MAX)
    }

    /// Units that can be read.
    pub(crate) fn unread(&self, other: &Self) -> u8 {
        self.in_order().min(other.sent).saturating_sub(self.read)
    }

    /// Whether the other end's FIN is next to be read.
    pub(crate) fn at_fin(&self, other: &Self) -> bool {
        other.fin && self.in_order() > other.sent && self.read == other.sent
    }

    /// Whether what was written, the FIN included, is acknowledged.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.acked >= self.numbers()
    }

    /// Units that are not acknowledged; the FIN does not count.
    pub(crate) fn unacked(&self) -> u8 {
        self.sent.saturating_sub(self.acked)
    }

    /// Whether a segment with this number of `other` may be on its way: it was sent, and the window has
    /// room for it.
    pub(crate) fn may_arrive(&self, other: &Self, number: u8) -> bool {
        // What a socket that is gone had on its way could as well have arrived before its reset was sent.
        let is_sent = number < other.numbers() && other.life != Life::Gone;
        is_sent && (number == other.sent || number < self.read + WINDOW)
    }

    /// A segment of `other` arrives, perhaps once more.
    pub(crate) fn arrive(&mut self, other: &Self, number: u8) {
        let is_fin = other.fin && number == other.sent;
        match self.life {
            Life::Gone => self.resets = true,
            Life::Open | Life::Orphan if self.has(number) => {}
            // Nobody will read it (RFC 9293 §3.10.4, RFC 2525 §2.17).
            Life::Orphan if !is_fin => self.reset(),
            Life::Open | Life::Orphan => self.arrived |= 1 << number,
        }
    }

    /// Something tells this end that there is no connection any more.
    pub(crate) fn end(&mut self, cause: Cause) {
        if self.life != Life::Gone {
            self.life = Life::Gone;
            self.error = Some(cause);
        }
    }

    /// Sends a reset; what was not acknowledged is not sent again.
    pub(crate) fn reset(&mut self) {
        if self.life != Life::Gone {
            self.life = Life::Gone;
            self.resets = true;
        }
    }

    /// Closes the descriptor: with a reset if something is unread.
    pub(crate) fn close(&mut self, other: &Self) {
        match self.life {
            Life::Gone => {}
            Life::Open | Life::Orphan if self.unread(other) > 0 => self.reset(),
            Life::Open | Life::Orphan => {
                self.life = Life::Orphan;
                self.fin = true;
            }
        }
    }
}

//! The words that the machine and its driver exchange.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use crate::outcome::Failure;

/// Where a close stands. Phases only ever move down this list; a close may skip some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Bytes still buffered above the kernel (a TLS session, a `BufWriter`) are written out.
    Flush,
    /// The peer gets a while to close first, where the policy says so.
    PeerFirst,
    /// The TLS closure alert is sent (RFC 8446 §6.1). Plain transports pass through at once.
    Notify,
    /// Our write side is closed; the FIN follows the queued bytes (RFC 9293 §3.6).
    HalfClose,
    /// The peer's bytes are read and discarded (RFC 9112 §9.6).
    Drain,
    /// The socket can be released. There is a [`CloseReport`](crate::CloseReport).
    Done,
}

impl Phase {
    /// Every phase, in order. Complete.
    pub const ALL: [Self; 6] =
        [Self::Flush, Self::PeerFirst, Self::Notify, Self::HalfClose, Self::Drain, Self::Done];

    /// The phase's name in one lower-case word, stable for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flush => "flush",
            Self::PeerFirst => "peer_first",
            Self::Notify => "notify",
            Self::HalfClose => "half_close",
            Self::Drain => "drain",
            Self::Done => "done",
        }
    }

    /// The second character of [`CloseReport::line`](crate::CloseReport::line).
    pub(crate) const fn code(self) -> char {
        match self {
            Self::Flush => 'f',
            Self::PeerFirst => 'p',
            Self::Notify => 'n',
            Self::HalfClose => 'h',
            Self::Drain | Self::Done => 'd',
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the driver has to do next, to be repeated until it can report the matching [`Event`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Flush the transport; answer with [`Event::Flushed`].
    Flush,
    /// Send the TLS closure alert, if the transport has one; answer with [`Event::Notified`].
    Notify,
    /// Close the write side; answer with [`Event::HalfClosed`].
    HalfClose,
    /// Read **through** any TLS session and discard, at most `limit` bytes of plaintext in one call. Answer with
    /// [`Event::Discarded`], [`Event::PeerEnded`] or [`Event::PeerFin`].
    AwaitPeer {
        /// Most bytes that this call may take.
        limit: NonZeroUsize,
    },
    /// Read **below** any TLS session and discard, at most `limit` bytes in one call; the session is not needed
    /// any more. Answer with [`Event::Discarded`] or [`Event::PeerFin`].
    Discard {
        /// Most bytes that this call may take: never zero, since a read of zero bytes looks like a FIN.
        limit: NonZeroUsize,
    },
}

/// What happened. Events that cannot follow from the current action are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Nothing but time passed: look at the deadlines.
    Tick,
    /// Some of the bytes being flushed left, though not all: the flush idle timeout restarts.
    WriteProgress,
    /// The transport is flushed.
    Flushed,
    /// The closure alert was sent, or there was none to send.
    Notified(Notified),
    /// The write side is closed.
    HalfClosed,
    /// That many bytes of the peer were read and discarded.
    Discarded(usize),
    /// Everything of ours is acknowledged, the FIN included.
    Acknowledged {
        /// The connection's round-trip time.
        rtt: Duration,
    },
    /// The peer's end of data was read through the stream: its `close_notify` where there is a TLS session.
    PeerEnded,
    /// The peer's FIN was read.
    PeerFin,
    /// An operation failed.
    Failed(Failure),
    /// The server is shutting down: this close must be over by then.
    ShutdownBy(Instant),
    /// Too many connections linger, and this is the oldest.
    Evicted,
    /// The connection must not look cleanly ended after all.
    Aborted,
    /// Nobody can drive this close any further.
    Abandoned,
}

/// What an attempt to notify the peer did. Complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notified {
    /// The transport has no closure alert.
    Nothing,
    /// `close_notify` was sent.
    CloseNotify,
    /// `close_notify` was sent and the write side closed with it, as the `poll_shutdown` of TLS streams does.
    CloseNotifyAndFin,
}

impl Notified {
    /// Whether a `close_notify` was sent, and so whether the transport is a TLS session.
    #[must_use]
    pub const fn close_notify(self) -> bool {
        !matches!(self, Self::Nothing)
    }
}

/// What was known of the connection when its close began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Start {
    /// The first failure that the connection's user met, if any. Errors are one-shot in the kernel: after a reset
    /// was reported once, the next read returns 0 and would look like a FIN.
    pub failure: Option<Failure>,
    /// The connection's user read the peer's end of data: its `close_notify` over TLS, its FIN otherwise.
    pub peer_ended: bool,
    /// A fatal TLS alert was sent or received: no `close_notify` follows it (RFC 8446 §6.2).
    pub fatal_alert: bool,
    /// The write side is closed already: by the connection's user, a tunnel's half-close for one.
    pub half_closed: Option<Notified>,
    /// The connection must not look cleanly ended: abort it instead of closing it.
    pub abort: bool,
}

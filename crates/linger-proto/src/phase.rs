//! What the machine and its driver exchange: phases, actions and events.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::{Duration, Instant};

use crate::outcome::{Failure, Outcome};

/// Where a close stands. Phases only ever move down this list; a close may skip some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Bytes still buffered above the kernel (a TLS session, a `BufWriter`) are written out.
    Flush,
    /// The response was cut, and only the connection's end marks its end. Once the peer has acknowledged
    /// everything and has stopped sending, the connection is reset, so that the peer does not take a part
    /// for the whole.
    Settle,
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
    /// Every phase, in order. Exhaustive: a new variant is a breaking change.
    pub const ALL: [Self; 7] =
        [Self::Flush, Self::Settle, Self::PeerFirst, Self::Notify, Self::HalfClose, Self::Drain, Self::Done];

    /// The phase's name in one lower-case word, stable for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flush => "flush",
            Self::Settle => "settle",
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
            Self::Settle => 's',
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Flush the transport; answer with [`Event::Flushed`].
    Flush,
    /// Send the TLS closure alert, if the transport has one; answer with [`Event::Notified`].
    Notify,
    /// Close the write side; answer with [`Event::HalfClosed`].
    HalfClose {
        /// Whether the TLS session is not needed any more, and must not be asked to end itself: the FIN
        /// follows what was flushed, without a `close_notify`.
        below_session: bool,
    },
    /// Wait until the peer has acknowledged everything, and discard meanwhile what it sends, at most `limit`
    /// bytes in one call, nothing once its FIN was read. Answer with [`Event::Unacked`] whenever the system
    /// can tell, and with [`Event::Discarded`] or [`Event::PeerFin`].
    Settle {
        /// Most bytes that this call may take; `None` where nothing is left to read.
        limit: Option<NonZeroUsize>,
    },
    /// Read **through** any TLS session and discard, at most `limit` bytes of plaintext in one call. Answer
    /// with [`Event::Discarded`], [`Event::PeerEnded`] or [`Event::PeerFin`].
    AwaitPeer {
        /// Most bytes that this call may take.
        limit: NonZeroUsize,
    },
    /// Read **below** any TLS session and discard, at most `limit` bytes in one call; the session is not
    /// needed any more. Answer with [`Event::Discarded`] or [`Event::PeerFin`].
    Discard {
        /// Most bytes that this call may take: never zero, since a read of zero bytes looks like a FIN.
        limit: NonZeroUsize,
        /// How many bytes have to be there before it is worth waking the driver (`SO_RCVLOWAT`): 1 by
        /// default, more while a flood is gathered, and 1 again from then on. When it falls back to 1, read
        /// once without waiting, and report those bytes with the time at which they arrived. A driver that
        /// cannot do this answers with [`Event::CannotGather`].
        wake_at: NonZeroU32,
    },
}

/// What happened. Events that cannot follow from the current action are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// How many bytes of ours are not acknowledged, before any FIN; `None` where the system cannot tell.
    Unacked(Option<u64>),
    /// Everything of ours is acknowledged, the FIN included.
    Acknowledged {
        /// The connection's round-trip time.
        rtt: Duration,
    },
    /// The transport cannot wait for [`Action::Discard`]'s `wake_at`, so every byte wakes the driver.
    CannotGather,
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
    /// Nobody can drive this close any further.
    Abandoned,
}

/// What an attempt to notify the peer did. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    pub const fn includes_close_notify(self) -> bool {
        match self {
            Self::Nothing => false,
            Self::CloseNotify | Self::CloseNotifyAndFin => true,
        }
    }
}

/// What was known of the connection when its close began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Start {
    /// The first failure that the connection's user met, if any. The kernel reports each error only once:
    /// after a reset, the next read returns 0 and would look like a FIN.
    pub failure: Option<Failure>,
    /// What a later failure that ended the connection means, where the first one did not end it: a record
    /// that cannot be decoded ends only the session, and a reset may follow.
    pub ended_by: Option<Outcome>,
    /// The connection's user read the peer's end of data: its `close_notify` over TLS, its FIN otherwise.
    pub peer_ended: bool,
    /// What may still come from the peer.
    pub requests: Requests,
    /// A fatal TLS alert was sent or received: no `close_notify` follows it (RFC 8446 §6.2).
    pub fatal_alert: Option<Alert>,
    /// The session cannot be read once our `close_notify` is sent, so the peer's cannot be awaited.
    pub ends_with_notify: bool,
    /// The connection's user has closed the write side already, as a tunnel's half-close does. The peer has
    /// been shown that end, so [`cut`](Self::cut) has no effect any more.
    pub half_closed: Option<Notified>,
    /// The connection must not look cleanly ended.
    pub cut: Option<Cut>,
}

/// What is known of the peer's requests, and so of what may still come. Exhaustive: a new variant is a
/// breaking change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Requests {
    /// Nobody knows, or one is not read to its end: the peer may be sending it.
    #[default]
    Unknown,
    /// The last one was read to its end, and nothing has come since. It took the peer so many milliseconds to
    /// send it; none, if it came at once. A peer that stays silent for twice as long is not sending: it is
    /// released once it has acknowledged everything, see [`CloseMachine`](crate::CloseMachine#silent-peers).
    Read {
        /// From the request's head to its end, in milliseconds.
        sent_for_ms: u32,
    },
    /// It was also announced as the last: the peer must not send any more (RFC 9112 §9.6). So a connection
    /// without a session need not be drained.
    Over,
}

/// Whose fatal TLS alert it was. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alert {
    /// Ours; the session may still have to write it.
    Sent,
    /// The peer's: the session has nothing more to say.
    Received,
}

/// A connection that ends before what was sent on it is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cut {
    /// How the peer is shown that it is cut.
    pub shown_by: CutShownBy,
    /// What the close reports, unless the network ends the connection first. `None` where it is not known
    /// that anything failed: then it reports what ended it.
    pub outcome: Option<Outcome>,
}

/// How the peer is shown that a connection was cut. Only the last way takes away what was sent.
/// Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CutShownBy {
    /// By what was sent itself, because it has a length, chunks or frames of which some are missing: flush,
    /// FIN without `close_notify`, drain.
    Framing,
    /// By a reset, since what was sent has no other end than the connection's (RFC 9112 §6.3): flush, wait
    /// until everything is acknowledged and the peer is quiet, RST.
    LateReset,
    /// By a reset at once. It takes away what the peer has not read yet.
    Reset,
}

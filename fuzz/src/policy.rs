//! Policies that the builder accepts, and what is known when a close begins.

use std::io::ErrorKind;
use std::time::Duration;

use arbitrary::Arbitrary;
use linger_proto::{
    Alert, ClosePolicy, ClosePolicyBuilder, Cut, CutShownBy, Failure, Notified, Outcome, Release, Requests,
    Start,
};

/// What is wanted of a policy. Times are milliseconds, from 1 to 65 536.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub struct Wishes {
    flush: (u16, u16),
    drain: (u16, u16),
    drain_limit_bytes: u32,
    option: Choice,
    is_aborted_at_limit: bool,
}

/// The options that leave each other their effect.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Choice {
    Usual {
        await_close_notify: Option<(u16, u16)>,
        rate: Option<(u32, u16)>,
        peer_first: Option<u16>,
        early: Option<u8>,
    },
    WithoutDrain {
        peer_first: Option<u16>,
    },
    WithoutHalfClose,
}

fn millis(count: u16) -> Duration {
    Duration::from_millis(u64::from(count) + 1)
}

impl Wishes {
    /// The policy, each part in bounds.
    pub fn policy(self) -> ClosePolicy {
        let (flush, drain) = (millis(self.flush.1), millis(self.drain.1));
        let part = |count| millis(count).min(drain);
        let peer_first = |builder: ClosePolicyBuilder, grace: Option<u16>| match grace {
            Some(grace) => builder.peer_closes_first(part(grace)),
            None => builder,
        };
        let mut builder = ClosePolicy::builder()
            .flush_idle_timeout(millis(self.flush.0).min(flush))
            .flush_limit(flush)
            .drain_idle_timeout(part(self.drain.0))
            .drain_limit(drain)
            .drain_limit_bytes(u64::from(self.drain_limit_bytes).max(1));
        if self.is_aborted_at_limit {
            builder = builder.at_limit(Release::Abort);
        }
        match self.option {
            Choice::WithoutHalfClose => builder = builder.without_half_close(),
            Choice::WithoutDrain { peer_first: grace } => {
                builder = peer_first(builder.without_drain(), grace);
            }
            Choice::Usual { await_close_notify, rate, peer_first: grace, early } => {
                builder = peer_first(builder, grace);
                if let Some((limit, bytes)) = await_close_notify {
                    builder = builder.await_close_notify(part(limit), u64::from(bytes).max(1));
                }
                if let Some((rate, grace)) = rate {
                    builder = builder.drain_min_rate(u64::from(rate).max(1), part(grace));
                }
                if let Some(round_trips) = early {
                    builder = builder.early_release(u32::from(round_trips).max(1));
                }
            }
        }
        builder.build().expect("each part is in bounds")
    }
}

/// A failure of any kind.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub struct AnyFailure(u8);

impl AnyFailure {
    /// The failure.
    pub fn failure(self) -> Failure {
        const KINDS: [ErrorKind; 9] = [
            ErrorKind::ConnectionReset,
            ErrorKind::BrokenPipe,
            ErrorKind::ConnectionAborted,
            ErrorKind::HostUnreachable,
            ErrorKind::NotConnected,
            ErrorKind::TimedOut,
            ErrorKind::UnexpectedEof,
            ErrorKind::InvalidData,
            ErrorKind::Other,
        ];
        match self.0 {
            // A system call's error, by its number.
            code @ 128.. => Failure::from(&std::io::Error::from_raw_os_error(i32::from(code) - 127)),
            index => Failure::from_kind(KINDS[usize::from(index) % KINDS.len()]),
        }
    }
}

/// What is sent by an attempt to notify the peer.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Sent {
    /// There is no TLS.
    Nothing,
    /// `close_notify`.
    Notify,
    /// `close_notify` and FIN.
    NotifyAndFin,
}

impl Sent {
    /// The same in the machine's words.
    pub fn notified(self) -> Notified {
        match self {
            Self::Nothing => Notified::Nothing,
            Self::Notify => Notified::CloseNotify,
            Self::NotifyAndFin => Notified::CloseNotifyAndFin,
        }
    }
}

/// How a connection is cut.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub struct AnyCut {
    shown_by: u8,
    outcome: Option<bool>,
}

impl AnyCut {
    /// The same in the machine's words.
    pub fn cut(self) -> Cut {
        let shown_by = match self.shown_by % 3 {
            0 => CutShownBy::Framing,
            1 => CutShownBy::LateReset,
            _ => CutShownBy::Reset,
        };
        let outcome = |is_shutdown| if is_shutdown { Outcome::ShutdownCut } else { Outcome::Aborted };
        Cut { shown_by, outcome: self.outcome.map(outcome) }
    }
}

/// What is known of a connection when its close begins.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub struct Known {
    failure: Option<AnyFailure>,
    peer_ended: bool,
    requests: Option<(bool, u32)>,
    alert: Option<bool>,
    ends_with_notify: bool,
    half_closed: Option<Sent>,
    cut: Option<AnyCut>,
}

impl Known {
    /// The same in the machine's words.
    pub fn start(self) -> Start {
        let mut start = Start::default();
        start.failure = self.failure.map(AnyFailure::failure);
        start.peer_ended = self.peer_ended;
        start.requests = match self.requests {
            None => Requests::Unknown,
            Some((true, _)) => Requests::Over,
            Some((false, sent_for_ms)) => Requests::Read { sent_for_ms },
        };
        start.fatal_alert = self.alert.map(|is_ours| if is_ours { Alert::Sent } else { Alert::Received });
        start.ends_with_notify = self.ends_with_notify;
        start.half_closed = self.half_closed.map(Sent::notified);
        start.cut = self.cut.map(AnyCut::cut);
        start
    }
}

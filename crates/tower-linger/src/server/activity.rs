//! What a connection is doing, and when its time for that is over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::limits::Limits;
use crate::clock::now;
use crate::serve::connection::{AWAITS_REQUEST, Connection, WRITE_WAITS};
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// How far the server is with its own end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    Serving,
    /// It still accepts, and asks its clients to go elsewhere.
    Noticed,
    /// It accepts no more.
    Stopping,
}

/// The requests of one connection. Its service writes it, its timer reads it.
pub(super) struct Activity {
    connection: Arc<Connection>,
    in_flight: AtomicUsize,
    has_asked: AtomicBool,
    is_http2: AtomicBool,
    began_at: Instant,
    /// When the last request ended, in nanoseconds after `began_at`.
    ended_after: AtomicU64,
}

/// One request, from its head to the end of its response.
pub(super) struct InFlight(Arc<Activity>);

impl Activity {
    pub(super) fn new(connection: Arc<Connection>) -> Arc<Self> {
        Arc::new(Self {
            connection,
            in_flight: AtomicUsize::new(0),
            has_asked: AtomicBool::new(false),
            is_http2: AtomicBool::new(false),
            began_at: now(),
            ended_after: AtomicU64::new(0),
        })
    }

    pub(super) fn begin(self: &Arc<Self>, is_http2: bool) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        self.is_http2.store(is_http2, Ordering::Release);
        self.has_asked.store(true, Ordering::Release);
        InFlight(self.clone())
    }

    fn is_http2(&self) -> bool {
        self.is_http2.load(Ordering::Acquire)
    }

    /// What the connection is doing, and since when, if that is known.
    fn look(&self) -> (Doing, Option<Instant>) {
        let has_asked = self.has_asked.load(Ordering::Acquire);
        // The engine takes a response's body into its buffers, whole if it is one piece, long before the
        // client has taken it.
        let is_taking = || has_asked && self.connection.flags() & WRITE_WAITS != 0;
        if self.in_flight.load(Ordering::Acquire) > 0 || is_taking() {
            (Doing::Answering, None)
        } else if !has_asked && self.connection.is_fresh() {
            (Doing::Connecting, Some(self.began_at))
        } else if has_asked && (self.is_http2() || self.connection.flags() & AWAITS_REQUEST != 0) {
            let ended_after = Duration::from_nanos(self.ended_after.load(Ordering::Acquire));
            (Doing::Idling, Some(self.began_at + ended_after))
        } else {
            (Doing::Asking, None)
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let activity = &self.0;
        let after = now().saturating_duration_since(activity.began_at).as_nanos();
        activity.ended_after.store(u64::try_from(after).unwrap_or(u64::MAX), Ordering::Release);
        if !activity.is_http2() {
            activity.connection.set(AWAITS_REQUEST);
        }
        activity.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// It has sent nothing.
    Connecting,
    /// It sends the head of a request.
    Asking,
    /// It waits for a response, or has not taken all of it.
    Answering,
    /// It has got its response, and sends nothing.
    Idling,
}

/// What is to be done with a connection now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing until then, or for as long as it goes on.
    Later(Option<Instant>),
    /// Ask the HTTP engine to end it after what is under way.
    End,
    /// Drop it: nothing is under way.
    Drop,
}

/// Decides when a connection's time is over.
pub(super) struct Timer {
    activity: Arc<Activity>,
    limits: Limits,
    doing: Doing,
    since: Instant,
    /// When the client was last found to have taken its response.
    answered_at: Instant,
    /// When the engine was asked to end the connection.
    ending_since: Option<Instant>,
    stopping_since: Option<Instant>,
}

impl Timer {
    pub(super) fn new(activity: Arc<Activity>, limits: Limits) -> Self {
        let since = activity.began_at;
        Self {
            activity,
            limits,
            doing: Doing::Connecting,
            since,
            answered_at: since,
            ending_since: None,
            stopping_since: None,
        }
    }

    /// To be called after each poll of the connection.
    pub(super) fn due(&mut self, stage: Stage, now: Instant) -> Due {
        let (doing, since) = self.activity.look();
        if self.doing == Doing::Answering && doing != Doing::Answering {
            self.answered_at = now;
        }
        let since = since.map(|since| since.max(self.answered_at));
        if doing != self.doing || since.is_some() {
            (self.doing, self.since) = (doing, since.unwrap_or(now));
        }
        if stage == Stage::Stopping {
            self.stopping_since.get_or_insert(now);
        }
        let is_http2 = self.activity.is_http2();
        // An engine of HTTP/2 asks the client for a word before it ends. So it can tell which streams the
        // client has begun, and none is lost.
        let ends = match stage {
            Stage::Serving => false,
            Stage::Noticed => is_http2,
            Stage::Stopping => is_http2 || doing == Doing::Answering,
        };
        if ends && self.ending_since.is_none() {
            self.ending_since = Some(now);
            return Due::End;
        }
        let over_at = match (doing, self.ending_since) {
            (Doing::Answering, _) => return Due::Later(None),
            (Doing::Idling, Some(asked)) if is_http2 => asked.max(self.since) + LAST_WORD,
            (Doing::Idling, _) if stage == Stage::Stopping => now,
            (Doing::Idling, _) => self.since + self.limits.idle_timeout(),
            (Doing::Asking, _) => self.since + self.limits.header_read_timeout(),
            (Doing::Connecting, _) => {
                let last = self.stopping_since.map(|since| since + LAST_FIRST_BYTE);
                let over_at = self.since + self.limits.first_byte_timeout();
                last.map_or(over_at, |last| last.min(over_at))
            }
        };
        if over_at > now {
            Due::Later(Some(over_at))
        } else if is_http2 && self.ending_since.is_none() {
            self.ending_since = Some(now);
            Due::End
        } else {
            Due::Drop
        }
    }
}

/// A client that has just connected when the server stops may be about to send its first request. It gets
/// this long for the first byte.
const LAST_FIRST_BYTE: Duration = Duration::from_secs(1);

/// How long a client of HTTP/2 without streams may take to answer the PING that follows a GOAWAY.
const LAST_WORD: Duration = Duration::from_secs(5);

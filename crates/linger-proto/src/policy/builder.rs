//! The builder of a [`ClosePolicy`], with the bounds of each setting.

use std::time::Duration;

use super::ClosePolicy;
use super::check::check;
use crate::config_error::ConfigError;
use crate::outcome::Release;

/// Builds a [`ClosePolicy`].
///
/// ```
/// use std::time::Duration;
/// use linger_proto::ClosePolicy;
///
/// let policy = ClosePolicy::builder()
///     .drain_limit(Duration::from_secs(10))
///     .drain_limit_bytes(64 << 20)
///     .build()?;
/// # Ok::<(), linger_proto::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "a builder does nothing until `build`"]
pub struct ClosePolicyBuilder {
    pub(super) policy: ClosePolicy,
}

impl ClosePolicyBuilder {
    /// Longest time without progress while our own bytes, the `close_notify` included, are written: without
    /// a byte that the system takes or, on Linux and macOS, that the peer acknowledges. More than zero, at
    /// most `flush_limit`.
    pub const fn flush_idle_timeout(mut self, timeout: Duration) -> Self {
        self.policy.flush_idle_timeout = timeout;
        self
    }

    /// Longest time for flush, `close_notify` and FIN together. With `peer_closes_first` it applies twice: to
    /// the flush, and then to `close_notify` and FIN. More than zero, at most a day.
    pub const fn flush_limit(mut self, limit: Duration) -> Self {
        self.policy.flush_limit = limit;
        self
    }

    /// Longest silence of the peer while its bytes are discarded. More than zero, at most `drain_limit`.
    pub const fn drain_idle_timeout(mut self, timeout: Duration) -> Self {
        self.policy.drain_idle_timeout = timeout;
        self
    }

    /// Longest time for the drain, however busy the peer. More than zero, at most a day.
    pub const fn drain_limit(mut self, limit: Duration) -> Self {
        self.policy.drain_limit = limit;
        self
    }

    /// Most bytes to discard: exact, never one more. More than zero.
    pub const fn drain_limit_bytes(mut self, limit: u64) -> Self {
        self.policy.drain_limit_bytes = limit;
        self
    }

    /// Least rate of a peer that sends: the drain ends when `grace` is over and the peer has sent less than
    /// `bytes_per_second` for all the time since. Rate more than zero; grace more than zero and at most
    /// `drain_limit`.
    pub const fn drain_min_rate(mut self, bytes_per_second: u64, grace: Duration) -> Self {
        self.policy.drain_min_rate = Some((bytes_per_second, grace));
        self
    }

    /// Gives the peer this long, after the flush, to close first; then `close_notify` and FIN follow
    /// whatever it did. It moves `TIME_WAIT` to the peer, if the peer knows that it should close: by
    /// `Connection: close`, for one. Bytes that it sends meanwhile count as drained. More than zero, at most
    /// `drain_limit`.
    pub const fn peer_closes_first(mut self, grace: Duration) -> Self {
        self.policy.peer_closes_first = Some(grace);
        self
    }

    /// Flushes and closes our descriptor, and nothing more: the FIN follows when the last descriptor of the
    /// connection is closed, in a child process for one. `shutdown` acts on the connection, `close` on one
    /// reference to it; by default the FIN is sent by `shutdown`, whoever else holds a descriptor. There is
    /// no `close_notify` and no drain then.
    pub const fn without_half_close(mut self) -> Self {
        self.policy.without_half_close = true;
        self
    }

    /// Flushes, notifies, sends the FIN and releases the socket at once, as servers without a lingering
    /// close do: for abusive clients, for example. What has arrived by then is discarded; what comes
    /// later is answered by a RST.
    pub const fn without_drain(mut self) -> Self {
        self.policy.without_drain = true;
        self
    }

    /// Releases the socket before the peer's FIN when everything of ours, the FIN included, is acknowledged
    /// **and** the peer has been quiet for `quiet_round_trips` round trips since, as the kernel measures
    /// them (`TCP_INFO`), but for at least 50 ms, since below that a client's own scheduling is what is
    /// measured. More than zero. Linux TCP only; other transports wait as they would without it.
    ///
    /// The rule in closed form: release at `max(acknowledged, last byte received) + max(quiet_round_trips ×
    /// rtt, 50 ms)`.
    ///
    /// Acknowledged alone would not be safe: it means that the response is in the client's kernel, not that
    /// the client has read it. A client that is still uploading then runs into a closed socket, and the RST
    /// that answers its next byte can take the response away (RFC 9112 §9.6). Silence for some round trips
    /// says that no upload is in flight; a client that merely pauses can still be wrong about it, which is
    /// why this is an option. Without it, only those [silent peers](crate::CloseMachine#silent-peers) are
    /// released whose last request is known to have been read to its end.
    pub const fn early_release(mut self, quiet_round_trips: u32) -> Self {
        self.policy.early_release = Some(quiet_round_trips);
        self
    }

    /// How the socket is released when one of our own bounds ended the close.
    pub const fn at_limit(mut self, release: Release) -> Self {
        self.policy.at_limit = release;
        self
    }

    /// How long the kernel may go on delivering what the peer has not acknowledged after the release
    /// (`TCP_USER_TIMEOUT`, tcp(7)). More than zero, at most a day. Linux only.
    pub const fn orphan_timeout(mut self, timeout: Duration) -> Self {
        self.policy.orphan_timeout = Some(timeout);
        self
    }

    /// After our own `close_notify`, read through the TLS session until the peer's arrives: what OpenSSL
    /// users write as `SSL_shutdown() || SSL_shutdown()`. It ends the close at the peer's `close_notify`.
    ///
    /// Bounded by `limit` (more than zero, at most `drain_limit`) and `limit_bytes` of decrypted data (more
    /// than zero); when either is reached the session is dropped and the drain goes on below TLS. On plain
    /// transports it has no effect.
    pub const fn await_close_notify(mut self, limit: Duration, limit_bytes: u64) -> Self {
        self.policy.await_close_notify = Some((limit, limit_bytes));
        self
    }

    /// While the connection is *served*, the longest time that a write or a flush may make no progress
    /// before the connection is cut. The time begins when one finds no room, and begins anew with each byte
    /// that the system takes or, on Linux and macOS, that the peer acknowledges. More than zero, at most a
    /// day.
    ///
    /// Off by default: a client that never reads its response then holds the connection for as long as it
    /// likes, unless the HTTP engine has a bound of its own (hyper has none for writes).
    pub const fn write_idle_timeout(mut self, timeout: Duration) -> Self {
        self.policy.write_idle_timeout = Some(timeout);
        self
    }

    /// Checks the settings against each other.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names the first setting that makes no sense, and what would.
    pub fn build(self) -> Result<ClosePolicy, ConfigError> {
        check(&self.policy)?;
        Ok(self.policy)
    }
}

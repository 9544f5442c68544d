//! The bounds of a close.

use std::time::Duration;

use crate::config_error::ConfigError;
use crate::outcome::Release;

/// How long, and for how much, a close may go on. Every wait is bounded; there is no "for ever".
///
/// # Defaults
///
/// They follow nginx where it has the setting, so that its users can carry theirs over.
///
/// | setting | default | nginx | reason |
/// |---|---|---|---|
/// | `flush_idle_timeout` | 10 s | `send_timeout` 60 s | a peer that takes nothing for 10 s holds our memory, not the kernel's |
/// | `flush_limit` | 60 s | none | the total that nginx lacks: one byte per idle timeout must not be for ever |
/// | `drain_idle_timeout` | 5 s | `lingering_timeout` 5 s | the same |
/// | `drain_limit` | 30 s | `lingering_time` 30 s | the same, but checked inside the read loop |
/// | `drain_limit_bytes` | 1 GiB | none | a backstop on fast links: below 280 Mbit/s the time comes first |
/// | `drain_min_rate` | off | none | the total time bounds a slow peer as well; turn it on against slow-read abuse |
/// | `await_close_notify` | off | off | RFC 8446 §6.1 does not ask for it, and it costs the session's memory |
/// | `peer_closes_first` | off | off | the server ends HTTP and WebSocket connections (RFC 9112 §9.6, RFC 6455 §7.1.1) |
/// | `on_last_close` | off | off | a descriptor in a child process would keep the connection open unnoticed |
/// | `without_drain` | off | `lingering_close on` | without it a client that is still sending loses the response |
/// | `early_release` | off | none | a client that pauses its upload for longer than the quiet time loses the response |
/// | `at_limit` | `Close` | plain close | a RST throws away what the peer has not read yet |
/// | `orphan_timeout` | the kernel's | none | `tcp_orphan_retries` and the retransmission limit already bound it |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosePolicy {
    pub(crate) flush_idle_timeout: Duration,
    pub(crate) flush_limit: Duration,
    pub(crate) drain_idle_timeout: Duration,
    pub(crate) drain_limit: Duration,
    pub(crate) drain_limit_bytes: u64,
    pub(crate) drain_min_rate: Option<MinRate>,
    pub(crate) await_close_notify: Option<AwaitNotify>,
    pub(crate) peer_closes_first: Option<Duration>,
    pub(crate) half_closes: bool,
    pub(crate) drains: bool,
    pub(crate) early_release: Option<u32>,
    pub(crate) at_limit: Release,
    pub(crate) orphan_timeout: Option<Duration>,
}

/// A minimum rate, and the time before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MinRate {
    pub(crate) bytes_per_second: u64,
    pub(crate) grace: Duration,
}

/// Bounds of the wait for the peer's `close_notify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AwaitNotify {
    pub(crate) limit: Duration,
    pub(crate) limit_bytes: u64,
}

/// Longest time that any setting takes: a day. Longer is a mistake in the unit, and could overflow a deadline.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

impl ClosePolicy {
    /// Starts from the [defaults](ClosePolicy#defaults).
    pub const fn builder() -> ClosePolicyBuilder {
        ClosePolicyBuilder {
            policy: Self {
                flush_idle_timeout: Duration::from_secs(10),
                flush_limit: Duration::from_secs(60),
                drain_idle_timeout: Duration::from_secs(5),
                drain_limit: Duration::from_secs(30),
                drain_limit_bytes: 1 << 30,
                drain_min_rate: None,
                await_close_notify: None,
                peer_closes_first: None,
                half_closes: true,
                drains: true,
                early_release: None,
                at_limit: Release::Close,
                orphan_timeout: None,
            },
        }
    }

    /// The longest that a close by this policy can take, everything together.
    #[must_use]
    pub fn longest(&self) -> Duration {
        // The flush, and then close_notify and FIN, have the same limit each when the peer's turn is between them.
        let peers_turn = self.peer_closes_first.map_or(Duration::ZERO, |grace| grace + self.flush_limit);
        self.flush_limit + peers_turn + self.drain_limit
    }

    /// How long the kernel may go on delivering after the release, where it is set.
    #[must_use]
    pub fn orphan_timeout(&self) -> Option<Duration> {
        self.orphan_timeout
    }
}

impl Default for ClosePolicy {
    /// Safe and bounded: see the [table](ClosePolicy#defaults).
    fn default() -> Self {
        Self::builder().policy
    }
}

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
    policy: ClosePolicy,
}

impl ClosePolicyBuilder {
    /// Longest time without progress while our own bytes, the `close_notify` included, are written.
    /// More than zero, at most `flush_limit`.
    pub const fn flush_idle_timeout(mut self, timeout: Duration) -> Self {
        self.policy.flush_idle_timeout = timeout;
        self
    }

    /// Longest time for flush, `close_notify` and FIN together. More than zero, at most a day.
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
    /// `bytes_per_second` for all the time since. Rate more than zero; grace more than zero and at most `drain_limit`.
    pub const fn drain_min_rate(mut self, bytes_per_second: u64, grace: Duration) -> Self {
        self.policy.drain_min_rate = Some(MinRate { bytes_per_second, grace });
        self
    }

    /// Gives the peer this long, after the flush, to close first; then `close_notify` and FIN follow whatever it did.
    /// It moves `TIME_WAIT` to the peer, if the peer knows that it should close: by `Connection: close`, for one. Bytes
    /// that it sends meanwhile count as drained. More than zero, at most `drain_limit`.
    pub const fn peer_closes_first(mut self, grace: Duration) -> Self {
        self.policy.peer_closes_first = Some(grace);
        self
    }

    /// Flushes and closes our descriptor, and nothing more: the FIN follows when the last descriptor of the connection is
    /// closed, in a child process for one. `shutdown` acts on the connection, `close` on one reference to it; by default
    /// the FIN is sent by `shutdown`, whoever else holds a descriptor. There is no `close_notify` and no drain then.
    pub const fn on_last_close(mut self) -> Self {
        self.policy.half_closes = false;
        self
    }

    /// Flushes, notifies, sends the FIN and releases the socket at once, as servers without a lingering close do: for
    /// abusers, who are owed no socket. What has arrived by then is discarded; what comes later is answered by a RST.
    pub const fn without_drain(mut self) -> Self {
        self.policy.drains = false;
        self
    }

    /// Releases the socket before the peer's FIN when everything of ours, the FIN included, is acknowledged **and** the peer
    /// has been quiet for `quiet_round_trips` round trips since, as the kernel measures them (`TCP_INFO`), but for at least
    /// 50 ms, since below that a client's own scheduling is what is measured. More than zero. Linux TCP only; other
    /// transports wait as they would without it.
    ///
    /// The rule in closed form: release at `max(acknowledged, last byte received) + max(quiet_round_trips × rtt, 50 ms)`.
    ///
    /// Acknowledged alone would not be safe: it means that the response is in the client's kernel, not that the client has
    /// read it. A client that is still uploading then runs into a closed socket, and the RST that answers its next byte can
    /// take the response away (RFC 9112 §9.6). Silence for some round trips says that no upload is in flight; a client
    /// that merely pauses can still be wrong about it, which is why this is an option.
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

    /// After our own `close_notify`, read through the TLS session until the peer's arrives: what OpenSSL users
    /// write as `SSL_shutdown() || SSL_shutdown()`. It ends the close at the peer's `close_notify`.
    ///
    /// Bounded by `limit` (more than zero, at most `drain_limit`) and `limit_bytes` of decrypted data (more than
    /// zero); when either is reached the session is dropped and the drain goes on below TLS. On plain transports
    /// it has no effect.
    pub const fn await_close_notify(mut self, limit: Duration, limit_bytes: u64) -> Self {
        self.policy.await_close_notify = Some(AwaitNotify { limit, limit_bytes });
        self
    }

    /// Checks the settings against each other.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names the first setting that makes no sense, and what would.
    pub fn build(self) -> Result<ClosePolicy, ConfigError> {
        let policy = self.policy;
        let rate = policy.drain_min_rate;
        let wait = policy.await_close_notify;
        // Each time, and what bounds it besides the day that is too long for any.
        let flush = ("flush_limit", policy.flush_limit);
        let drain = ("drain_limit", policy.drain_limit);
        let times = [
            ("flush_idle_timeout", Some(policy.flush_idle_timeout), Some(flush)),
            (flush.0, Some(flush.1), None),
            ("drain_idle_timeout", Some(policy.drain_idle_timeout), Some(drain)),
            (drain.0, Some(drain.1), None),
            ("drain_min_rate.grace", rate.map(|rate| rate.grace), Some(drain)),
            ("await_close_notify.limit", wait.map(|wait| wait.limit), Some(drain)),
            ("peer_closes_first", policy.peer_closes_first, Some(drain)),
            ("orphan_timeout", policy.orphan_timeout, None),
        ];
        for (field, time, _) in times {
            match time {
                Some(time) if time.is_zero() => return Err(ConfigError::ZeroTime { field }),
                Some(time) if time > LONGEST => return Err(ConfigError::TooLong { field, time }),
                _ => {}
            }
        }
        let bytes = [
            ("drain_limit_bytes", Some(policy.drain_limit_bytes)),
            ("drain_min_rate.bytes_per_second", rate.map(|rate| rate.bytes_per_second)),
            ("await_close_notify.limit_bytes", wait.map(|wait| wait.limit_bytes)),
        ];
        if let Some((field, _)) = bytes.into_iter().find(|(_, limit)| *limit == Some(0)) {
            return Err(ConfigError::ZeroBytes { field });
        }
        for (field, time, total) in times {
            if let (Some(time), Some((total_field, total))) = (time, total) {
                if time > total {
                    return Err(ConfigError::OverTotal { field, time, total_field, total });
                }
            }
        }
        let on_last_close = ("on_last_close", !policy.half_closes);
        let without_drain = ("without_drain", !policy.drains);
        let early_release = ("early_release", policy.early_release.is_some());
        let await_notify = ("await_close_notify", wait.is_some());
        let min_rate = ("drain_min_rate", rate.is_some());
        let peer_first = ("peer_closes_first", policy.peer_closes_first.is_some());
        let without_half_close = [without_drain, early_release, await_notify, min_rate, peer_first];
        let without_drain_either = [early_release, await_notify, min_rate];
        for ((field, set), others) in
            [(on_last_close, &without_half_close[..]), (without_drain, &without_drain_either)]
        {
            if let Some((other, _)) = others.iter().find(|(_, other_set)| set && *other_set) {
                return Err(ConfigError::Exclusive { field, other });
            }
        }
        if policy.early_release == Some(0) {
            return Err(ConfigError::ZeroRoundTrips { field: "early_release" });
        }
        let linux_only = [
            ("early_release", policy.early_release.is_some()),
            ("orphan_timeout", policy.orphan_timeout.is_some()),
        ];
        match linux_only.into_iter().find(|(_, wanted)| *wanted) {
            Some((field, _)) if !cfg!(target_os = "linux") => return Err(ConfigError::Unsupported { field }),
            _ => {}
        }
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_defaults_pass_their_own_checks() {
        assert_eq!(ClosePolicy::builder().build(), Ok(ClosePolicy::default()));
        assert_eq!(ClosePolicy::default().longest(), 90 * SECOND);
    }

    #[test]
    fn each_nonsense_setting_is_named_together_with_its_fix() {
        let build = ClosePolicy::builder;
        let cases = [
            (
                build().flush_idle_timeout(Duration::ZERO),
                "flush_idle_timeout is zero: give it more than zero",
            ),
            (build().flush_limit(Duration::ZERO), "flush_limit is zero: give it more than zero"),
            (
                build().drain_idle_timeout(Duration::ZERO),
                "drain_idle_timeout is zero: give it more than zero",
            ),
            (build().drain_limit(Duration::ZERO), "drain_limit is zero: give it more than zero"),
            (build().drain_limit_bytes(0), "drain_limit_bytes is zero: give it at least 1 byte"),
            (build().await_close_notify(Duration::ZERO, 1), "await_close_notify.limit is zero"),
            (build().await_close_notify(SECOND, 0), "await_close_notify.limit_bytes is zero"),
            (
                build().drain_limit(Duration::MAX),
                "drain_limit is 18446744073709551615.999999999s: give it at most",
            ),
            (
                build().flush_limit(SECOND),
                "flush_idle_timeout (10s) is over flush_limit (1s): lower flush_idle_timeout or raise flush_limit",
            ),
            (build().drain_idle_timeout(31 * SECOND), "drain_idle_timeout (31s) is over drain_limit (30s)"),
            (
                build().await_close_notify(31 * SECOND, 1),
                "await_close_notify.limit (31s) is over drain_limit (30s)",
            ),
        ];
        for (builder, message) in cases {
            let error = builder.build().expect_err(message).to_string();
            assert!(error.starts_with(message), "{error:?} does not start with {message:?}");
        }
    }
}

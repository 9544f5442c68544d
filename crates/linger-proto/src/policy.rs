//! The bounds of a connection's end: the settings, their defaults, and how they are read.

use std::time::Duration;

use crate::outcome::Release;

mod builder;
mod check;
mod words;

pub use builder::ClosePolicyBuilder;

/// How long a close may take, and how many bytes it may read. Every wait is bounded.
///
/// Each setting has a getter of its own name. [`to_builder`](Self::to_builder) starts from a policy that
/// exists, to change one setting of it and to keep the others:
///
/// ```
/// use std::time::Duration;
/// use linger_proto::ClosePolicy;
///
/// let policy = ClosePolicy::builder().drain_limit_bytes(64 << 20).build()?;
/// let patient = policy.to_builder().drain_limit(Duration::from_secs(120)).build()?;
/// assert_eq!(patient.drain_limit(), Duration::from_secs(120));
/// assert_eq!(patient.drain_limit_bytes(), 64 << 20);
/// # Ok::<(), linger_proto::ConfigError>(())
/// ```
///
/// # Defaults
///
/// The times of the drain are nginx's. The table names nginx's own setting where it has one.
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
/// | `without_half_close` | off | off | a descriptor in a child process would keep the connection open unnoticed |
/// | `without_drain` | off | `lingering_close on` | without it a client that is still sending loses the response |
/// | `early_release` | of silent clients | none | off where the client may be uploading: one that pauses for longer than the quiet time loses the response |
/// | `at_limit` | `Close` | plain close | a RST throws away what the peer has not read yet |
/// | `orphan_timeout` | the kernel's | none | `tcp_orphan_retries` and the retransmission limit already bound it |
/// | `write_idle_timeout` | off | `send_timeout` 60 s | a client may stop reading on purpose (a paused player), and a layer must not cut what is served without it |
///
/// # Display
///
/// One line: the five bounds that are always there, then each option that differs from its default, in the
/// order of the table. Times and sizes have their unit and are exact. Order and words are stable; later
/// versions may add options.
///
/// ```
/// # use linger_proto::ClosePolicy;
/// let policy = ClosePolicy::builder().drain_min_rate(64 << 10, std::time::Duration::from_secs(5)).build()?;
/// assert_eq!(
///     policy.to_string(),
///     "flush_idle_timeout 10s, flush_limit 60s, drain_idle_timeout 5s, drain_limit 30s, \
///      drain_limit_bytes 1GiB, drain_min_rate 64KiB/s after 5s"
/// );
/// # Ok::<(), linger_proto::ConfigError>(())
/// ```
///
/// # Configuration from outside
///
/// With the feature `serde` a policy is read from every format that tells what stands in it, as TOML, JSON
/// and YAML do. It is a map, with a key for each setting and the words of `Display` as its values. The line
/// of `Display` is read as well, by serde and by [`FromStr`](std::str::FromStr): that is for one environment
/// variable, or one argument. A key or a setting that is left out has its default. What is read is checked
/// as the builder checks it. A key that does not exist, and one that is there twice, are errors.
///
/// | key | value | or |
/// |---|---|---|
/// | `flush_idle_timeout` | `"10s"` | |
/// | `flush_limit` | `"60s"` | |
/// | `drain_idle_timeout` | `"5s"` | |
/// | `drain_limit` | `"30s"` | |
/// | `drain_limit_bytes` | `"1GiB"` | `1073741824` |
/// | `drain_min_rate` | `"64KiB/s after 5s"` | `"off"` |
/// | `await_close_notify` | `"5s and 64KiB"` | `"off"` |
/// | `peer_closes_first` | `"2s"` | `"off"` |
/// | `without_half_close` | `true` | `false`, `"off"` |
/// | `without_drain` | `true` | `false`, `"off"` |
/// | `early_release` | `"3 round trips"` | `3`, `"off"` |
/// | `at_limit` | `"Abort"` | `"Close"` |
/// | `orphan_timeout` | `"10s"` | `"off"` |
/// | `write_idle_timeout` | `"60s"` | `"off"` |
///
/// A duration has a unit, and may have several: `"500ms"`, `"1.5s"`, `"1min 30s"`, `"1h"` (as the crate
/// `humantime` reads them). `KiB`, `MiB` and `GiB` are powers of 1024; `k`, `kB`, `M`, `MB`, `G` and `GB` are
/// powers of 1000, unlike nginx's `k` and `m`. A number without a unit is bytes (as the crate `bytesize`
/// reads them). In a line, `without_drain` and `without_half_close` stand alone.
///
/// Errors are one line that names the key and the fix:
///
#[cfg_attr(feature = "serde", doc = "```")]
#[cfg_attr(not(feature = "serde"), doc = "```ignore")]
/// use std::time::Duration;
/// use linger_proto::ClosePolicy;
///
/// let policy: ClosePolicy = toml::from_str(
///     r#"
///         drain_limit = "10s"
///         drain_limit_bytes = "64MiB"
///         write_idle_timeout = "1min"
///     "#,
/// )?;
/// assert_eq!(policy.drain_limit(), Duration::from_secs(10));
/// assert_eq!(policy.to_string().parse(), Ok(policy));
///
/// let variable = "drain_limit 10s, drain_limit_bytes 64MiB, write_idle_timeout 60s";
/// assert_eq!(variable.parse(), Ok(policy));
///
/// let error = "drain_limit 10".parse::<ClosePolicy>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     r#"drain_limit is "10": give it a duration with its unit, such as "30s" or "500ms""#
/// );
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClosePolicy {
    pub(crate) flush_idle_timeout: Duration,
    pub(crate) flush_limit: Duration,
    pub(crate) drain_idle_timeout: Duration,
    pub(crate) drain_limit: Duration,
    pub(crate) drain_limit_bytes: u64,
    pub(crate) drain_min_rate: Option<(u64, Duration)>,
    pub(crate) await_close_notify: Option<(Duration, u64)>,
    pub(crate) peer_closes_first: Option<Duration>,
    pub(crate) without_half_close: bool,
    pub(crate) without_drain: bool,
    pub(crate) early_release: Option<u32>,
    pub(crate) at_limit: Release,
    pub(crate) orphan_timeout: Option<Duration>,
    pub(crate) write_idle_timeout: Option<Duration>,
}

impl ClosePolicy {
    /// Starts from the [defaults](ClosePolicy#defaults).
    pub const fn builder() -> ClosePolicyBuilder {
        ClosePolicyBuilder { policy: Self::DEFAULT }
    }

    /// Starts from this policy, so that one setting can be changed and the others stay. An option that is on
    /// stays on: to turn one off, start from [`builder`](Self::builder).
    pub const fn to_builder(&self) -> ClosePolicyBuilder {
        ClosePolicyBuilder { policy: *self }
    }

    /// Whether the FIN waits when the connection's user ends its writes: until the peer has had its turn, or
    /// until the last descriptor is closed.
    #[must_use]
    pub const fn holds_fin_back(&self) -> bool {
        self.without_half_close || self.peer_closes_first.is_some()
    }

    /// The longest that a close by this policy can take, everything together. The time before the close,
    /// while the connection is served, is not part of it.
    #[must_use]
    pub fn longest(&self) -> Duration {
        // With a turn for the peer, `flush_limit` applies twice: to the flush, and then to close_notify and
        // FIN.
        let peers_turn = self.peer_closes_first.map_or(Duration::ZERO, |grace| grace + self.flush_limit);
        self.flush_limit + peers_turn + self.drain_limit
    }

    /// Longest time without progress while our own bytes are written.
    #[must_use]
    pub const fn flush_idle_timeout(&self) -> Duration {
        self.flush_idle_timeout
    }

    /// Longest time for flush, `close_notify` and FIN together.
    #[must_use]
    pub const fn flush_limit(&self) -> Duration {
        self.flush_limit
    }

    /// Longest silence of the peer while its bytes are discarded.
    #[must_use]
    pub const fn drain_idle_timeout(&self) -> Duration {
        self.drain_idle_timeout
    }

    /// Longest time for the drain.
    #[must_use]
    pub const fn drain_limit(&self) -> Duration {
        self.drain_limit
    }

    /// Most bytes to discard.
    #[must_use]
    pub const fn drain_limit_bytes(&self) -> u64 {
        self.drain_limit_bytes
    }

    /// Least rate of a peer that sends, in bytes per second, and the grace before it counts; `None` where it
    /// is off.
    #[must_use]
    pub const fn drain_min_rate(&self) -> Option<(u64, Duration)> {
        self.drain_min_rate
    }

    /// The bounds, in time and in decrypted bytes, of the wait for the peer's `close_notify`; `None` where
    /// there is no wait.
    #[must_use]
    pub const fn await_close_notify(&self) -> Option<(Duration, u64)> {
        self.await_close_notify
    }

    /// How long the peer has to close first; `None` where it is not waited for.
    #[must_use]
    pub const fn peer_closes_first(&self) -> Option<Duration> {
        self.peer_closes_first
    }

    /// Whether the FIN is left to whoever closes the connection's last descriptor.
    #[must_use]
    pub const fn without_half_close(&self) -> bool {
        self.without_half_close
    }

    /// Whether the socket is released right after the FIN.
    #[must_use]
    pub const fn without_drain(&self) -> bool {
        self.without_drain
    }

    /// The quiet round trips after which the socket is released early; `None` where it is not.
    #[must_use]
    pub const fn early_release(&self) -> Option<u32> {
        self.early_release
    }

    /// How the socket is released when one of our own bounds ended the close.
    #[must_use]
    pub const fn at_limit(&self) -> Release {
        self.at_limit
    }

    /// How long the kernel may go on delivering after the release; `None` where the kernel's own bounds hold.
    #[must_use]
    pub const fn orphan_timeout(&self) -> Option<Duration> {
        self.orphan_timeout
    }

    /// Longest time that a write may make no progress while the connection is served; `None` where that is
    /// unbounded.
    #[must_use]
    pub const fn write_idle_timeout(&self) -> Option<Duration> {
        self.write_idle_timeout
    }

    const DEFAULT: Self = Self {
        flush_idle_timeout: Duration::from_secs(10),
        flush_limit: Duration::from_secs(60),
        drain_idle_timeout: Duration::from_secs(5),
        drain_limit: Duration::from_secs(30),
        drain_limit_bytes: 1 << 30,
        drain_min_rate: None,
        await_close_notify: None,
        peer_closes_first: None,
        without_half_close: false,
        without_drain: false,
        early_release: None,
        at_limit: Release::Close,
        orphan_timeout: None,
        write_idle_timeout: None,
    };
}

impl Default for ClosePolicy {
    /// Safe and bounded: see the [table](ClosePolicy#defaults).
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Longest time that any setting takes: a day. Longer is a mistake in the unit, and could overflow a
/// deadline.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

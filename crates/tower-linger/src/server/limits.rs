//! What a client may hold of a server before and between its requests, and by not reading its response.

use std::num::NonZeroUsize;
use std::time::Duration;

use linger_proto::ConfigError;

use crate::clock::checked_time;
use crate::transport::descriptor_limit;

mod words;

/// What a client may hold of a [`serve`](crate::serve()) before and between its requests, and by not reading
/// its response. What it may hold while its connection closes is the [`ClosePolicy`](crate::ClosePolicy)'s.
///
/// ```
/// use std::time::Duration;
/// use tower_linger::Limits;
///
/// // Behind a balancer that keeps idle connections for ten minutes.
/// let limits = Limits::builder().idle_timeout(Duration::from_secs(620)).build()?;
/// # Ok::<(), tower_linger::ConfigError>(())
/// ```
///
/// # Defaults
///
/// | setting | default | reason |
/// |---|---|---|
/// | `max_connections` | 7/16 of the descriptors | with the half that may linger, a sixteenth is left for everything else |
/// | `handshake_timeout` | 10 s | as in axum-server and tls-listener |
/// | `first_byte_timeout` | 10 s | the same as the TLS handshake: a client connects in order to ask |
/// | `header_read_timeout` | 30 s | hyper's own; nginx's `client_header_timeout` is 60 s |
/// | `idle_timeout` | 75 s | nginx's `keepalive_timeout`, and longer than the 60 s of AWS's balancers and of nginx as a proxy |
/// | `write_idle_timeout` | 60 s | nginx's `send_timeout`: without it, clients that read nothing hold all of `max_connections` for ever |
/// | `keep_alive_hint` | off | nginx's default, too; a client that does not read it gains nothing |
///
/// # Display, and configuration from outside
///
/// They are shown in one line. With feature `serde` they are read from that line or from a map, as a
/// [`ClosePolicy`](crate::ClosePolicy#configuration-from-outside) is.
///
#[cfg_attr(feature = "serde", doc = "```")]
#[cfg_attr(not(feature = "serde"), doc = "```ignore")]
/// use tower_linger::Limits;
///
/// let line = "max_connections 1000, handshake_timeout 10s, first_byte_timeout 5s, \
///     header_read_timeout 30s, idle_timeout 620s, write_idle_timeout 60s";
/// let limits: Limits = line.parse()?;
/// assert_eq!(limits.to_string(), line);
/// let error = "idle_timeout 620".parse::<Limits>().unwrap_err().to_string();
/// assert_eq!(
///     error,
///     r#"idle_timeout is "620": give it a duration with its unit, such as "30s" or "500ms""#
/// );
/// # Ok::<(), tower_linger::SettingsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    max_connections: Option<NonZeroUsize>,
    handshake_timeout: Duration,
    first_byte_timeout: Duration,
    header_read_timeout: Duration,
    idle_timeout: Duration,
    write_idle_timeout: Duration,
    keep_alive_hint: Option<Duration>,
}

impl Limits {
    /// Starts from the [defaults](Limits#defaults).
    pub fn builder() -> LimitsBuilder {
        LimitsBuilder { limits: Self::default() }
    }

    /// Starts from these limits, so that one can be changed and the others stay.
    pub fn to_builder(&self) -> LimitsBuilder {
        LimitsBuilder { limits: *self }
    }

    /// Most connections that are served at once; `None` where there is no bound.
    #[must_use]
    pub const fn max_connections(&self) -> Option<NonZeroUsize> {
        self.max_connections
    }

    /// Longest time for the TLS handshake.
    #[must_use]
    pub const fn handshake_timeout(&self) -> Duration {
        self.handshake_timeout
    }

    /// Longest time from the accept, or from the end of the TLS handshake, to the first byte.
    #[must_use]
    pub const fn first_byte_timeout(&self) -> Duration {
        self.first_byte_timeout
    }

    /// Longest time from the first byte of a request to the end of its header.
    #[must_use]
    pub const fn header_read_timeout(&self) -> Duration {
        self.header_read_timeout
    }

    /// Longest time without a request.
    #[must_use]
    pub const fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// Longest time that a write may make no progress.
    #[must_use]
    pub const fn write_idle_timeout(&self) -> Duration {
        self.write_idle_timeout
    }

    /// The time in the `Keep-Alive` header; `None` where none is sent.
    #[must_use]
    pub const fn keep_alive_hint(&self) -> Option<Duration> {
        self.keep_alive_hint
    }
}

impl Default for Limits {
    /// See the [table](Limits#defaults). The number of connections depends on the process's soft
    /// `RLIMIT_NOFILE`, as it is now.
    fn default() -> Self {
        Self {
            max_connections: descriptor_limit().map(seven_sixteenths),
            handshake_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(10),
            header_read_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            write_idle_timeout: Duration::from_secs(60),
            keep_alive_hint: None,
        }
    }
}

/// Builds [`Limits`].
#[derive(Debug, Clone, Copy)]
#[must_use = "a builder does nothing until `build`"]
pub struct LimitsBuilder {
    limits: Limits,
}

impl LimitsBuilder {
    /// Most connections that are served at once, upgraded ones and TLS handshakes included. Clients beyond
    /// that wait in the kernel's queue. Connections that linger do not count: the
    /// [`Tracker`](crate::Tracker) has a bound for those.
    pub const fn max_connections(mut self, most: NonZeroUsize) -> Self {
        self.limits.max_connections = Some(most);
        self
    }

    /// Accepts any number of connections: where something in front of the server bounds them.
    pub const fn unlimited_connections(mut self) -> Self {
        self.limits.max_connections = None;
        self
    }

    /// Longest time for the TLS handshake, from the accept on. More than zero, at most a day.
    pub const fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.limits.handshake_timeout = timeout;
        self
    }

    /// Longest time from the accept, or from the end of the TLS handshake, to the first byte. More than zero,
    /// at most a day.
    pub const fn first_byte_timeout(mut self, timeout: Duration) -> Self {
        self.limits.first_byte_timeout = timeout;
        self
    }

    /// Longest time from the first byte of a request to the end of its header. For HTTP/2 it bounds the time
    /// to the first request. More than zero, at most a day.
    pub const fn header_read_timeout(mut self, timeout: Duration) -> Self {
        self.limits.header_read_timeout = timeout;
        self
    }

    /// Longest time without a request: from the end of the last response to the first byte of the next
    /// request. It has to be longer than the time for which a client or a balancer keeps an idle connection,
    /// because a request that is sent when the server closes is lost. More than zero, at most a day.
    pub const fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.limits.idle_timeout = timeout;
        self
    }

    /// Longest time that a write may make no progress, because the client does not read or acknowledge what it
    /// is sent. The connection is then reset, and reported as `flush_timeout`. A client that reads slowly and
    /// steadily is kept. The policy's
    /// [`write_idle_timeout`](crate::ClosePolicyBuilder::write_idle_timeout) goes before this one where it is
    /// set. More than zero, at most a day: give a day to clients that stop reading on purpose, as a paused
    /// player does.
    ///
    /// It is about the connection, also after an upgrade. A client of HTTP/2 can also refuse a response by the window of its stream,
    /// and this does not bound that.
    pub const fn write_idle_timeout(mut self, timeout: Duration) -> Self {
        self.limits.write_idle_timeout = timeout;
        self
    }

    /// Sends `Keep-Alive: timeout=N` in responses of HTTP/1.1 that leave the connection open, so that clients
    /// that read it close first: Node's undici and Apache's `HttpClient` do, hyper and Go do not. It is sent
    /// in whole seconds. At least one, less than `idle_timeout`.
    pub const fn keep_alive_hint(mut self, time: Duration) -> Self {
        self.limits.keep_alive_hint = Some(time);
        self
    }

    /// Checks the settings, each for itself and against each other.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first setting that makes no sense, and the fix.
    pub fn build(self) -> Result<Limits, ConfigError> {
        let limits = self.limits;
        checked_time("handshake_timeout", limits.handshake_timeout)?;
        checked_time("first_byte_timeout", limits.first_byte_timeout)?;
        checked_time("header_read_timeout", limits.header_read_timeout)?;
        checked_time("idle_timeout", limits.idle_timeout)?;
        checked_time("write_idle_timeout", limits.write_idle_timeout)?;
        if let Some(hint) = limits.keep_alive_hint {
            let field = "keep_alive_hint";
            if hint < Duration::from_secs(1) {
                return Err(ConfigError::ZeroTime { field });
            }
            if hint >= limits.idle_timeout {
                let (total_field, total) = ("idle_timeout", limits.idle_timeout);
                return Err(ConfigError::OverTotal { field, time: hint, total_field, total });
            }
        }
        Ok(limits)
    }
}

fn seven_sixteenths(descriptors: u64) -> NonZeroUsize {
    let most = usize::try_from(descriptors / 16 * 7).unwrap_or(usize::MAX);
    NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_nonsense_setting_is_named_together_with_its_fix() {
        let build = Limits::builder;
        let second = Duration::from_secs(1);
        let cases = [
            (build().handshake_timeout(Duration::ZERO), "handshake_timeout is zero: give it more than zero"),
            (
                build().write_idle_timeout(Duration::ZERO),
                "write_idle_timeout is zero: give it more than zero",
            ),
            (
                build().first_byte_timeout(Duration::ZERO),
                "first_byte_timeout is zero: give it more than zero",
            ),
            (build().header_read_timeout(Duration::MAX), "header_read_timeout is 18446744073709551615"),
            (build().idle_timeout(Duration::ZERO), "idle_timeout is zero: give it more than zero"),
            (build().keep_alive_hint(Duration::from_millis(999)), "keep_alive_hint is zero"),
            (
                build().idle_timeout(second).keep_alive_hint(second),
                "keep_alive_hint (1s) is over idle_timeout (1s): lower keep_alive_hint or raise idle_timeout",
            ),
        ];
        for (builder, message) in cases {
            let error = builder.build().expect_err(message).to_string();
            assert!(error.starts_with(message), "{error:?} does not start with {message:?}");
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn each_setting_is_read_as_it_is_shown() {
        let build = Limits::builder;
        let second = Duration::from_secs(1);
        let changed = [
            build(),
            build().unlimited_connections(),
            build().max_connections(NonZeroUsize::MIN),
            build().handshake_timeout(second / 9),
            build().first_byte_timeout(second / 3),
            build().header_read_timeout(second / 7),
            build().idle_timeout(600 * second),
            build().write_idle_timeout(90 * second),
            build().keep_alive_hint(5 * second),
        ];
        for builder in changed {
            let limits = builder.build().expect("it makes sense");
            assert_eq!(limits.to_string().parse(), Ok(limits), "{limits}");
        }
        let errors = ["max_connections 0", "first_byte_timeout 5", "idle 5s", "idle_timeout 0s"];
        for line in errors {
            let error = line.parse::<Limits>().expect_err(line).to_string();
            assert!(error.contains(line.split(' ').next().unwrap_or(line)), "{error}");
        }
    }

    #[test]
    fn the_defaults_pass_their_own_checks_and_leave_a_sixteenth_of_the_descriptors() {
        assert_eq!(Limits::builder().build(), Ok(Limits::default()));
        assert_eq!([0, 16, 1024].map(|descriptors| seven_sixteenths(descriptors).get()), [1, 7, 448]);
    }
}

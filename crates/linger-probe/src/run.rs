//! One try of a scenario: runs its steps in order, on a new connection.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::connection::{Connection, Ended, Moved};
use crate::model::{Side, What};
use crate::scenario::{Manner, Opening, Scenario, Step};
use crate::target::{Options, Target};

mod opening;
mod request;
mod upload;

pub(crate) use opening::{OLD_HELLO, session};
pub(crate) use request::fill;
use request::http2_request;

/// A connection after its last step, and what the steps found out.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "the facts are independent")]
pub(crate) struct Run {
    pub(crate) connection: Connection,
    /// When the first response was complete, counted from the connection's start.
    pub(crate) answered: Option<Duration>,
    /// Whether the client gave up, because a write failed or did not finish before the response was complete.
    pub(crate) gave_up: bool,
    /// Whether the TLS handshake was still under way when its time was up.
    pub(crate) no_handshake: bool,
    /// Whether the server stopped taking an upload but kept the connection open.
    pub(crate) stalled: bool,
    /// Whether the server gave no answer while the last bytes of an upload were held back.
    pub(crate) read_everything: bool,
    /// From the server's FIN (or from the response, if there was no FIN) to when its socket was known to be
    /// released. None if that did not happen in time.
    pub(crate) released: Option<Duration>,
    /// Whether the server kept an idle connection for longer than the client waited.
    pub(crate) stays_idle: bool,
}

/// Runs a scenario once.
///
/// # Errors
/// Connecting failed.
pub(crate) async fn run(scenario: &Scenario, target: &Target, options: &Options) -> io::Result<Run> {
    let session = target.tls.as_ref().map(|tls| session(tls, scenario.opening)).transpose()?.flatten();
    let receive_buffer = (scenario.opening == Opening::SmallBuffer).then_some(64 << 10);
    let http2 = scenario.opening == Opening::Http2;
    let connection = Connection::open(target, session, receive_buffer, http2, options.timeout).await?;
    let mut run = Run {
        connection,
        answered: None,
        gave_up: false,
        no_handshake: false,
        stalled: false,
        read_everything: false,
        released: None,
        stays_idle: false,
    };
    let deadline = Instant::now() + options.timeout;
    match scenario.opening {
        Opening::OldVersion => run.connection.send_raw(OLD_HELLO, deadline).await,
        // The scenario waits for the answer to the `ClientHello`, so do not drive the handshake.
        Opening::UnknownProtocol => _ = run.connection.send(&[], false, deadline).await,
        Opening::Plain | Opening::SmallBuffer | Opening::NoCertificate | Opening::Http1 | Opening::Http2 => {
            run.connection.handshake(options.timeout).await;
            run.no_handshake = run.connection.is_handshaking() && !run.connection.is_over();
            if run.no_handshake {
                return Ok(run);
            }
        }
    }
    for step in scenario.steps {
        run.step(*step, scenario.manner, target, options).await;
        let gives_up = match scenario.manner {
            Manner::StopsAtError => run.connection.write_failed || run.stalled,
            Manner::WritesThenReads => run.stalled,
            Manner::ReadsWhileWriting => false,
        };
        if gives_up && run.answered.is_none() {
            run.gave_up = true;
            if run.stalled {
                // Note a response that had arrived all the same.
                run.connection.receive(Instant::now() + LATE).await;
            }
            break;
        }
    }
    Ok(run)
}

impl Run {
    async fn step(&mut self, step: Step, manner: Manner, target: &Target, options: &Options) {
        let timeout = options.timeout;
        let deadline = Instant::now() + timeout;
        let reading = manner == Manner::ReadsWhileWriting;
        match step {
            Step::Send(text) => {
                self.connection.send(fill(text, target, options).as_bytes(), reading, deadline).await;
            }
            Step::SendBytes(bytes) => _ = self.connection.send(bytes, reading, deadline).await,
            Step::Upload => self.upload(options.upload_bytes, reading, timeout).await,
            Step::UploadChunked => self.upload_chunked(options.upload_bytes, reading, timeout).await,
            Step::UploadSlowly { pieces, bytes, pause } => {
                self.upload_slowly(pieces, bytes, pause, reading, timeout).await;
            }
            Step::Repeat(bytes, sum) => {
                let block = bytes.repeat(ZEROS.len().div_ceil(bytes.len()));
                self.repeat(&block, sum as u64, reading, deadline).await;
            }
            Step::RepeatRaw(sum) => {
                for _ in 0..sum / ZEROS.len() {
                    self.connection.send_raw(&ZEROS, deadline).await;
                }
            }
            Step::Http2Request => {
                let request = http2_request("GET", target, options, true);
                self.connection.send(&request, true, deadline).await;
            }
            Step::Http2Upload => {
                let request = http2_request(&options.method, target, options, false);
                self.connection.send(&request, true, deadline).await;
                self.http2_upload(options.upload_bytes, timeout).await;
            }
            Step::AwaitContinue => self.await_continue(timeout).await,
            Step::AwaitResponse => self.await_response(timeout).await,
            Step::AwaitIdleEnd => {
                self.connection.receive_to_end(Instant::now() + options.idle_timeout).await;
                self.stays_idle = !self.connection.is_over();
                if !self.stays_idle {
                    self.await_end(timeout).await;
                }
            }
            // This fails if the connection is gone; the next read then tells how it ended.
            Step::HalfClose => drop(self.connection.half_close(deadline).await),
            Step::AwaitEnd => {
                self.await_response(timeout).await;
                // A server that has sent nothing has used up its time.
                if self.answered.is_some() || self.connection.is_over() {
                    self.await_end(timeout).await;
                }
            }
            Step::AnswerCloseNotify => self.connection.say_close_notify(deadline).await,
            Step::LookForReset => self.look_for_reset().await,
            Step::Trickle(pause) => {
                let deadline = Instant::now() + options.release_timeout;
                while self.released.is_none() && Instant::now() < deadline {
                    self.poke(deadline).await;
                    self.watch(Instant::now() + pause).await;
                }
            }
            Step::Stay => {
                self.watch(Instant::now() + options.release_timeout).await;
                // A released socket answers a byte with a reset. The first byte may only find it half-closed.
                for _ in 0..2 {
                    if self.released.is_none() {
                        self.poke(Instant::now() + timeout).await;
                        self.watch(Instant::now() + LATE).await;
                    }
                }
            }
        }
    }

    /// Sends a block again and again, until `sum` bytes are sent.
    async fn repeat(&mut self, block: &[u8], sum: u64, reading: bool, deadline: Instant) {
        let mut sent = 0;
        let whole = deadline.saturating_duration_since(Instant::now());
        while sent < sum && !self.connection.write_failed {
            let done = reading && (self.is_answered() || self.connection.is_over());
            let some = usize::try_from(sum - sent).unwrap_or(usize::MAX).min(block.len());
            let begun = Instant::now();
            if done || self.connection.send(&block[..some], reading, deadline).await == Moved::TimedOut {
                // Stalled, not slow: one block alone took more than half of the time.
                self.stalled = !done && begun.elapsed() * 2 > whole;
                return;
            }
            sent += some as u64;
        }
    }

    /// Waits for the whole response, or for the end of the connection.
    async fn await_response(&mut self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        while !self.is_answered() && !self.connection.is_over() {
            if self.connection.receive(deadline).await != Moved::Some {
                return;
            }
        }
        self.is_answered();
    }

    /// Waits a second for an interim response. If a final one comes, reads it.
    async fn await_continue(&mut self, timeout: Duration) {
        let deadline = Instant::now() + CONTINUE;
        while !self.connection.received.http1.has_answered() && !self.connection.is_over() {
            if self.connection.receive(deadline).await != Moved::Some {
                break;
            }
        }
        if self.connection.received.http1.head().is_some() {
            self.await_response(timeout).await;
        }
    }

    /// Waits for the end of the server's data, then for the end of the connection. If only `close_notify`
    /// comes, answers it, because some servers wait for that before they close.
    async fn await_end(&mut self, timeout: Duration) {
        self.connection.receive_to_end(Instant::now() + timeout).await;
        if self.connection.ended.is_some() || !self.connection.is_over() {
            return;
        }
        let soon = self.connection.round_trip.clamp(SOON, LATE);
        self.connection.receive_to_fin(Instant::now() + soon).await;
        if self.connection.ended.is_none() {
            self.connection.say_close_notify(Instant::now() + timeout).await;
            self.connection.receive_to_fin(Instant::now() + timeout.min(AFTER_NOTIFY)).await;
        }
    }

    /// Whether the response is complete. Notes when that is first seen.
    fn is_answered(&mut self) -> bool {
        if self.answered.is_none() && self.connection.response().is_some_and(|response| response.complete) {
            self.answered = Some(self.connection.trace.elapsed());
        }
        self.answered.is_some()
    }

    /// Waits for more than a round trip to see whether a reset follows.
    async fn look_for_reset(&mut self) {
        let until = Instant::now() + LATE.max(3 * self.connection.round_trip);
        self.connection.receive_to_fin(until).await;
        if self.connection.ended == Some(Ended::Fin) {
            sleep_until(until).await;
            self.connection.was_reset_late();
        }
    }

    /// Sends a byte, which a released socket answers with a reset. Over TLS it is a valid record, so that the
    /// server has no reason to end the connection except its own timeouts.
    async fn poke(&mut self, deadline: Instant) {
        if self.connection.can_encrypt() {
            self.connection.send(&[0], false, deadline).await;
        } else {
            self.connection.send_raw(&[0], deadline).await;
        }
    }

    /// Watches the connection until this time, or until the server is known to have released its socket.
    async fn watch(&mut self, until: Instant) {
        while self.released.is_none() {
            self.connection.receive_to_fin(until.min(Instant::now() + WATCH)).await;
            // `Ended::Failed` does not count: invalid TLS ends the session but not the socket.
            let gone = self.connection.was_reset_late()
                || self.connection.write_failed
                || self.connection.ended == Some(Ended::Reset);
            if gone {
                let begin = self.connection.trace.server_fin().or(self.answered).unwrap_or_default();
                self.connection.trace.add(Side::Server, What::Release);
                self.released = Some(self.connection.trace.elapsed().saturating_sub(begin));
            } else if Instant::now() >= until {
                return;
            } else if self.connection.ended.is_some() {
                sleep_until(until.min(Instant::now() + WATCH)).await;
            }
        }
    }
}

pub(crate) static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
/// How long the client waits for `100 Continue`, as curl does. RFC 9110 §10.1.1 only forbids waiting
/// forever.
const CONTINUE: Duration = Duration::from_secs(1);
/// How long to look for a reset that follows a response or a FIN: more than a round trip.
const LATE: Duration = Duration::from_millis(150);
/// How long to wait, at least, for a FIN that follows `close_notify` in its own segment.
const SOON: Duration = Duration::from_millis(5);
/// How long to wait for the FIN after answering `close_notify`.
const AFTER_NOTIFY: Duration = Duration::from_secs(2);
/// How often to look for a reset on a connection from which nothing more can be read.
const WATCH: Duration = Duration::from_millis(100);

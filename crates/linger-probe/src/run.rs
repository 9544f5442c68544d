//! One try of a scenario: its steps, one after the other, on a connection of its own.

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

/// A connection after its last step, and what only the steps know.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Run {
    pub(crate) connection: Connection,
    /// Since the connection's beginning: when the first response was whole.
    pub(crate) answered: Option<Duration>,
    /// Whether a write failed or never ended before there was a response, and the client looked no further.
    pub(crate) gave_up: bool,
    /// Whether the TLS handshake was still under way when its time was up.
    pub(crate) no_handshake: bool,
    /// Whether the server took none of an upload any more, and kept the connection.
    pub(crate) stalled: bool,
    /// Whether nothing came before the last byte of an upload was sent, which was held back.
    pub(crate) read_everything: bool,
    /// From the server's FIN, or from the response where there is none, to when its socket was known to be
    /// gone; none if it was not, in time.
    pub(crate) released: Option<Duration>,
    /// Whether the server kept an idle connection for longer than the client waited.
    pub(crate) stays_idle: bool,
}

/// Tries it once.
///
/// # Errors
/// Those of connecting.
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
        // Its answer is what the scenario waits for.
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
                // Whether there was something to be read, all the same.
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
            // It fails where the connection is gone, which the next read tells.
            Step::HalfClose => drop(self.connection.half_close(deadline).await),
            Step::AwaitEnd => {
                self.await_response(timeout).await;
                // Who says nothing has had its time.
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
                // A socket that is gone answers a byte by a reset; the first may only find the way closed.
                for _ in 0..2 {
                    if self.released.is_none() {
                        self.poke(Instant::now() + timeout).await;
                        self.watch(Instant::now() + LATE).await;
                    }
                }
            }
        }
    }

    /// Sends this again and again, up to a sum of bytes.
    async fn repeat(&mut self, block: &[u8], sum: u64, reading: bool, deadline: Instant) {
        let mut sent = 0;
        let whole = deadline.saturating_duration_since(Instant::now());
        while sent < sum && !self.connection.write_failed {
            let done = reading && (self.is_answered() || self.connection.is_over());
            let some = usize::try_from(sum - sent).unwrap_or(usize::MAX).min(block.len());
            let begun = Instant::now();
            if done || self.connection.send(&block[..some], reading, deadline).await == Moved::TimedOut {
                // Other than slow: a block alone took half of the time.
                self.stalled = !done && begun.elapsed() * 2 > whole;
                return;
            }
            sent += some as u64;
        }
    }

    /// Waits for a whole response, or for the end without one.
    async fn await_response(&mut self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        while !self.is_answered() && !self.connection.is_over() {
            if self.connection.receive(deadline).await != Moved::Some {
                return;
            }
        }
        self.is_answered();
    }

    /// Waits a second for an interim response. A final one is the answer, and is read.
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

    /// Waits for the end of the server's data, answers a `close_notify` that is not followed by a FIN, as
    /// some servers wait for it, and looks for the end of the connection.
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

    /// Notes when the response is whole.
    fn is_answered(&mut self) -> bool {
        if self.answered.is_none() && self.connection.response().is_some_and(|response| response.complete) {
            self.answered = Some(self.connection.trace.elapsed());
        }
        self.answered.is_some()
    }

    /// Whether a reset follows, within more than a round trip.
    async fn look_for_reset(&mut self) {
        let until = Instant::now() + LATE.max(3 * self.connection.round_trip);
        self.connection.receive_to_fin(until).await;
        if self.connection.ended == Some(Ended::Fin) {
            sleep_until(until).await;
            self.connection.was_reset_late();
        }
    }

    /// Sends a byte: over TLS in a record, so that nothing but patience speaks against it. Bytes that find no
    /// socket are answered by a reset.
    async fn poke(&mut self, deadline: Instant) {
        if self.connection.can_encrypt() {
            self.connection.send(&[0], false, deadline).await;
        } else {
            self.connection.send_raw(&[0], deadline).await;
        }
    }

    /// Watches the connection until then, or until the server's socket is known to be gone.
    async fn watch(&mut self, until: Instant) {
        while self.released.is_none() {
            self.connection.receive_to_fin(until.min(Instant::now() + WATCH)).await;
            // Bytes that are no TLS end the session, and say nothing of the socket.
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
/// How long a client waits for `100 Continue` (RFC 9110 §10.1.1 says only: not for ever); curl's time.
const CONTINUE: Duration = Duration::from_secs(1);
/// More than a round trip, for a reset that follows a response or a FIN.
const LATE: Duration = Duration::from_millis(150);
/// For a FIN that follows `close_notify` in a segment of its own.
const SOON: Duration = Duration::from_millis(5);
/// For the FIN of a server whose `close_notify` has been answered.
const AFTER_NOTIFY: Duration = Duration::from_secs(2);
/// Between looks at a connection of which nothing is left to be read.
const WATCH: Duration = Duration::from_millis(100);

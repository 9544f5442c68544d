//! One try of a scenario: its steps, one after the other, on a connection of its own.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_rustls::rustls::{ClientConfig, ClientConnection};

use crate::connection::{Connection, Ended, Moved};
use crate::model::{Side, What};
use crate::response;
use crate::scenario::{Manner, Opening, Scenario, Step};
use crate::target::{Options, Target, Tls};

/// A connection after its last step, and what only the steps know.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) connection: Connection,
    /// Since the connection's beginning: when the first response was whole.
    pub(crate) answered: Option<Duration>,
    /// From the server's FIN to when its socket was known to be gone; none if it was not, in time.
    pub(crate) released: Option<Duration>,
    /// Whether an idle connection was ended in time.
    pub(crate) idle_ended: bool,
}

/// Tries it once.
///
/// # Errors
/// Those of connecting.
pub(crate) async fn run(scenario: &Scenario, target: &Target, options: &Options) -> io::Result<Run> {
    let session = target.tls.as_ref().map(|tls| session(tls, scenario.opening)).transpose()?.flatten();
    let receive_buffer = (scenario.opening == Opening::SmallBuffer).then_some(64 << 10);
    let connection = Connection::open(target, session, receive_buffer, options.timeout).await?;
    let mut run = Run { connection, answered: None, released: None, idle_ended: false };
    let deadline = Instant::now() + options.timeout;
    match scenario.opening {
        Opening::OldVersion => run.connection.send_raw(OLD_HELLO, deadline).await,
        // Its answer is what the scenario waits for.
        Opening::UnknownProtocol => _ = run.connection.send(&[], false, deadline).await,
        _ => run.connection.handshake(options.timeout).await,
    }
    let gives_up = scenario.manner == Manner::StopsAtError;
    for step in scenario.steps {
        run.step(*step, scenario.manner, target, options).await;
        if run.connection.write_failed && gives_up {
            break;
        }
    }
    Ok(run)
}

impl Run {
    async fn step(&mut self, step: Step, manner: Manner, target: &Target, options: &Options) {
        let deadline = Instant::now() + options.timeout;
        let reading = manner == Manner::ReadsWhileWriting;
        match step {
            Step::Send(text) => {
                self.send(fill(text, target, options).as_bytes(), reading, deadline).await;
            }
            Step::SendBytes(bytes) => _ = self.send(bytes, reading, deadline).await,
            Step::Upload => self.repeat(&ZEROS, options.upload_bytes, reading, deadline).await,
            Step::UploadChunked => {
                // Whole chunks only: one that is cut would spoil the end.
                let (block, times) = (chunk(), options.upload_bytes / ZEROS.len() as u64);
                self.repeat(&block, times * block.len() as u64, reading, deadline).await;
                self.send(b"0\r\n\r\n", reading, deadline).await;
            }
            Step::UploadSlowly { pieces, bytes, pause } => {
                for _ in 0..pieces {
                    self.send(&ZEROS[..bytes], reading, deadline).await;
                    sleep(pause).await;
                }
            }
            Step::Repeat(bytes, sum) => {
                let block = bytes.repeat(ZEROS.len() / bytes.len());
                self.repeat(&block, sum as u64, reading, deadline).await;
            }
            Step::RepeatRaw(sum) => {
                for _ in 0..sum / ZEROS.len() {
                    self.connection.send_raw(&ZEROS, deadline).await;
                }
            }
            Step::AwaitContinue => self.await_response(Instant::now() + CONTINUE, true).await,
            Step::AwaitResponse => self.await_response(deadline, false).await,
            Step::AwaitIdleEnd => {
                self.connection.receive_to_end(Instant::now() + options.idle_timeout).await;
                self.idle_ended = self.connection.ended.is_some();
            }
            // It fails where the connection is gone, which the next read tells.
            Step::HalfClose => drop(self.connection.half_close()),
            Step::AwaitEnd => {
                self.await_response(deadline, false).await;
                self.connection.receive_to_end(deadline).await;
            }
            Step::AnswerCloseNotify => {
                self.connection.answer_close_notify(deadline).await;
                sleep(LATE).await;
                self.connection.was_reset_late();
            }
            Step::Trickle(pause) => self.trickle(pause, options.release_timeout).await,
            Step::Stay => {
                sleep(options.release_timeout).await;
                self.trickle(LATE, LATE * 2).await;
            }
        }
    }

    async fn send(&mut self, bytes: &[u8], reading: bool, deadline: Instant) -> Moved {
        let moved = self.connection.send(bytes, reading, deadline).await;
        self.note_answer();
        moved
    }

    /// Ends early where the server has said everything to a client that reads on.
    async fn repeat(&mut self, block: &[u8], sum: u64, reading: bool, deadline: Instant) {
        let mut sent = 0;
        while sent < sum && !self.connection.write_failed {
            let done = reading && (self.answered.is_some() || self.connection.ended.is_some());
            let some = usize::try_from(sum - sent).unwrap_or(usize::MAX).min(block.len());
            if done || self.send(&block[..some], reading, deadline).await == Moved::TimedOut {
                return;
            }
            sent += some as u64;
        }
    }

    async fn await_response(&mut self, deadline: Instant, or_interim: bool) {
        self.note_answer();
        while self.answered.is_none() && (!or_interim || self.connection.received.is_empty()) {
            if self.connection.receive(deadline).await != Moved::Some {
                return;
            }
            self.note_answer();
        }
    }

    fn note_answer(&mut self) {
        let ended = self.connection.ended == Some(Ended::Fin);
        if self.answered.is_none()
            && let Ok(Some(response)) = response::parse(&self.connection.received, ended)
            && response.complete
        {
            self.answered = Some(self.connection.trace.elapsed());
        }
    }

    /// Bytes that find no socket are answered by a reset.
    async fn trickle(&mut self, pause: Duration, bound: Duration) {
        let Some(fin) = self.connection.trace.server_fin() else { return };
        let deadline = Instant::now() + bound;
        while Instant::now() < deadline && !self.connection.write_failed {
            self.connection.send_raw(&[0], deadline).await;
            sleep(pause).await;
            if self.connection.write_failed || self.connection.was_reset_late() {
                self.connection.trace.add(Side::Server, What::Release);
                self.released = Some(self.connection.trace.elapsed().saturating_sub(fin));
                return;
            }
        }
    }
}

/// The session of a TLS opening; none where the handshake is sent by hand.
pub(crate) fn session(tls: &Tls, opening: Opening) -> io::Result<Option<ClientConnection>> {
    let with = |change: fn(&mut ClientConfig)| {
        let mut config = ClientConfig::clone(&tls.config);
        change(&mut config);
        Arc::new(config)
    };
    let config = match opening {
        Opening::OldVersion => return Ok(None),
        Opening::UnknownProtocol => with(|config| config.alpn_protocols = vec![b"linger-probe".to_vec()]),
        Opening::Http2 => with(|config| config.alpn_protocols = vec![b"h2".to_vec()]),
        Opening::NoCertificate => with(|config| config.client_auth_cert_resolver = Arc::new(NoCertificate)),
        Opening::Plain | Opening::SmallBuffer => Arc::clone(&tls.config),
    };
    ClientConnection::new(config, tls.name.clone()).map(Some).map_err(io::Error::other)
}

#[derive(Debug)]
struct NoCertificate;

impl tokio_rustls::rustls::client::ResolvesClientCert for NoCertificate {
    fn resolve(
        &self,
        _: &[&[u8]],
        _: &[tokio_rustls::rustls::SignatureScheme],
    ) -> Option<Arc<tokio_rustls::rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

pub(crate) fn fill(text: &str, target: &Target, options: &Options) -> String {
    let headers: String = options.headers.iter().flat_map(|header| [header, "\r\n"]).collect();
    text.replace("{path}", &target.path)
        .replace("{large}", options.large_path.as_deref().unwrap_or("/"))
        .replace("{websocket}", options.websocket_path.as_deref().unwrap_or("/"))
        .replace("{authority}", &target.authority)
        .replace("{method}", &options.method)
        .replace("{upload}", &options.upload_bytes.to_string())
        .replace("{headers}", &headers)
}

fn chunk() -> Vec<u8> {
    [format!("{:x}\r\n", ZEROS.len()).as_bytes(), &ZEROS, b"\r\n"].concat()
}

pub(crate) static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
/// How long a client waits for `100 Continue` (RFC 9110 §10.1.1 says only: not for ever); curl's time.
const CONTINUE: Duration = Duration::from_secs(1);
/// More than a round trip, for a reset that follows a FIN.
const LATE: Duration = Duration::from_millis(250);

/// TLS 1.1 (RFC 4346 §7.4.1.2): record, handshake, version, random, no session, three suites, no compression.
pub(crate) const OLD_HELLO: &[u8] = &[
    22, 3, 1, 0, 49, 1, 0, 0, 45, 3, 2, //
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
    29, 30, 31, 32, //
    0, 0, 6, 0, 0x2f, 0, 0x35, 0xc0, 0x13, 1, 0, //
];

//! A client connection that shows how it ends.
//!
//! It drives TCP and TLS itself instead of using an async TLS stream. So it can tell `close_notify`, FIN and
//! reset apart, knows their order, and can send while it receives.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::rustls::{self, ClientConnection};

use crate::dial::dial;
use crate::model::{Side, What};
use crate::received::{LIMIT, Received};
use crate::response::Response;
use crate::target::Target;
use crate::trace::Trace;

mod exchange;

/// A connection, what arrived on it, and how it ended.
#[derive(Debug)]
pub(crate) struct Connection {
    tcp: TcpStream,
    tls: Option<Box<ClientConnection>>,
    pub(crate) trace: Trace,
    pub(crate) received: Received,
    /// Whether the server sent `close_notify`.
    pub(crate) close_notify: bool,
    /// The name of the server's fatal alert.
    pub(crate) alert: Option<String>,
    /// The error that ended the TLS session.
    pub(crate) tls_error: Option<rustls::Error>,
    /// How the server's data ended. After that nothing more is read.
    pub(crate) ended: Option<Ended>,
    /// Whether a write failed. After that nothing more is written.
    pub(crate) write_failed: bool,
    /// Whether the client has sent `close_notify`.
    has_said_close_notify: bool,
    /// How long connecting took, which is about a round trip.
    pub(crate) round_trip: Duration,
}

/// How the server's data ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    Fin,
    Reset,
    /// It did not end: more came than the probe reads.
    Endless,
    /// Invalid TLS, or an I/O error other than a reset.
    Failed(String),
}

/// The result of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved {
    /// Some bytes were sent or received.
    Some,
    /// There is nothing left to read or write.
    Nothing,
    /// Nothing happened in time.
    TimedOut,
}

impl Connection {
    /// Connects, without a handshake.
    pub(crate) async fn open(
        target: &Target,
        tls: Option<ClientConnection>,
        receive_buffer: Option<u32>,
        http2: bool,
        bound: Duration,
    ) -> io::Result<Self> {
        let mut trace = Trace::begin();
        trace.add(Side::Client, What::Connect);
        let begun = Instant::now();
        let tcp = timeout(bound, dial(target, receive_buffer)).await??;
        trace.add(Side::Server, What::Connect);
        Ok(Self {
            tcp,
            tls: tls.map(Box::new),
            trace,
            received: Received::new(http2, LIMIT),
            close_notify: false,
            alert: None,
            tls_error: None,
            ended: None,
            write_failed: false,
            has_said_close_notify: false,
            round_trip: begun.elapsed(),
        })
    }

    /// Whether this is a TLS connection that is still in its handshake.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// The client's address.
    pub(crate) fn local_address(&self) -> Option<SocketAddr> {
        self.tcp.local_addr().ok()
    }

    /// Forgets the last response, so that the next request can be sent.
    pub(crate) fn forget(&mut self) {
        self.received.forget();
        self.trace = Trace::begin();
    }

    /// Whether the server sends nothing more: it sent `close_notify`, a fatal alert or FIN, or the connection
    /// failed.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.is_some() || self.close_notify || self.alert.is_some()
    }

    /// Whether the server's data ended in a way that cannot be a truncation. Over TLS only `close_notify`
    /// does (RFC 9112 §9.8).
    pub(crate) fn ended_cleanly(&self) -> bool {
        if self.tls.is_some() { self.close_notify } else { self.ended == Some(Ended::Fin) }
    }

    /// The response, as far as it has arrived.
    pub(crate) fn response(&self) -> Option<Response> {
        match &self.received.http2 {
            Some(frames) => frames.response(),
            None => self.received.http1.response(self.ended_cleanly()),
        }
    }

    /// The TLS session, if this is TLS.
    pub(crate) fn session(&self) -> Option<&ClientConnection> {
        self.tls.as_deref()
    }

    /// Drives the TLS handshake until it completes or the connection ends. Does nothing on plain TCP.
    pub(crate) async fn handshake(&mut self, bound: Duration) {
        let deadline = Instant::now() + bound;
        while self.is_handshaking() && self.ended.is_none() && self.alert.is_none() {
            match self.exchange(&mut &[][..], true, deadline).await {
                Moved::Some => {}
                Moved::Nothing | Moved::TimedOut => return,
            }
        }
        if self.tls.is_some() && !self.is_handshaking() {
            // The client's last flight may not be sent yet.
            self.send(&[], false, deadline).await;
            self.trace.add(Side::Client, What::Handshake);
        }
    }

    /// Sends these bytes, and reads meanwhile if `reading` is set. Stops early when a write fails or at the
    /// deadline.
    pub(crate) async fn send(&mut self, mut bytes: &[u8], reading: bool, deadline: Instant) -> Moved {
        while (!bytes.is_empty() || self.wants_write()) && !self.write_failed {
            if self.exchange(&mut bytes, reading, deadline).await == Moved::TimedOut {
                return Moved::TimedOut;
            }
        }
        if self.write_failed { Moved::Nothing } else { Moved::Some }
    }

    /// Sends bytes directly on the TCP connection, below TLS.
    pub(crate) async fn send_raw(&mut self, mut bytes: &[u8], deadline: Instant) {
        while !bytes.is_empty() && !self.write_failed {
            if timeout_at(deadline, self.tcp.writable()).await.is_err() {
                return;
            }
            match self.tcp.try_write(bytes) {
                Ok(sent) => {
                    self.trace.data(Side::Client, sent as u64);
                    bytes = &bytes[sent..];
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => self.write_error(&error),
            }
        }
    }

    /// Waits for the next bytes, and answers HTTP/2 frames among them.
    pub(crate) async fn receive(&mut self, deadline: Instant) -> Moved {
        let moved = self.exchange(&mut &[][..], true, deadline).await;
        self.reply(deadline).await;
        moved
    }

    /// Sends the answers that the server's HTTP/2 frames require.
    pub(crate) async fn reply(&mut self, deadline: Instant) {
        let replies = self.received.http2.as_mut().map(|frames| frames.replies()).unwrap_or_default();
        if !replies.is_empty() {
            self.send(&replies, false, deadline).await;
        }
    }

    /// Whether the client can still send data over TLS.
    pub(crate) fn can_encrypt(&self) -> bool {
        self.tls.is_some() && !self.is_handshaking() && !self.has_said_close_notify && self.alert.is_none()
    }

    /// Reads until the server sends nothing more.
    pub(crate) async fn receive_to_end(&mut self, deadline: Instant) {
        while !self.is_over() && self.receive(deadline).await == Moved::Some {}
    }

    /// Reads to the end of the TCP connection.
    pub(crate) async fn receive_to_fin(&mut self, deadline: Instant) {
        while self.ended.is_none() && self.receive(deadline).await == Moved::Some {}
    }

    /// Half-closes: sends FIN, and over TLS `close_notify` before it.
    pub(crate) async fn half_close(&mut self, deadline: Instant) -> io::Result<()> {
        self.say_close_notify(deadline).await;
        SockRef::from(&self.tcp).shutdown(std::net::Shutdown::Write)?;
        self.trace.add(Side::Client, What::Fin);
        Ok(())
    }

    /// Sends `close_notify`, which RFC 8446 §6.1 requires of a side that ends its data. Does nothing the
    /// second time, during the handshake, and on plain TCP.
    pub(crate) async fn say_close_notify(&mut self, deadline: Instant) {
        let Some(tls) = self.tls.as_mut().filter(|tls| !self.has_said_close_notify && !tls.is_handshaking())
        else {
            return;
        };
        self.has_said_close_notify = true;
        tls.send_close_notify();
        self.trace.add(Side::Client, What::CloseNotify);
        self.send(&[], false, deadline).await;
    }

    /// Whether a reset has come after the server's FIN. Only the socket's error shows it, no read does.
    pub(crate) fn was_reset_late(&mut self) -> bool {
        let error = SockRef::from(&self.tcp).take_error();
        let reset = matches!(error, Ok(Some(_)) | Err(_));
        if reset {
            self.note_reset();
        }
        reset
    }
}

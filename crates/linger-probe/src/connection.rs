//! A client's connection that shows how it ends: plain TCP or TLS, driven by hand, so that a `close_notify`,
//! a FIN and a reset are told apart and in order, and so that bytes can be sent while others arrive.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::rustls::{self, ClientConnection};

use crate::dial::dial;
use crate::model::{Side, What};
use crate::received::{LIMIT, Received};
use crate::response::Response;
use crate::target::Target;
use crate::tls_words;
use crate::trace::Trace;

/// A connection, what arrived on it, and how it ended.
#[derive(Debug)]
pub(crate) struct Connection {
    tcp: TcpStream,
    tls: Option<Box<ClientConnection>>,
    pub(crate) trace: Trace,
    /// What arrived.
    pub(crate) received: Received,
    /// Whether the server said `close_notify`.
    pub(crate) close_notify: bool,
    /// A fatal alert of the server's, by its name.
    pub(crate) alert: Option<String>,
    /// What made TLS give up.
    pub(crate) tls_error: Option<rustls::Error>,
    /// What ended what the server sends. After it there is nothing to read.
    pub(crate) ended: Option<Ended>,
    /// Whether a write failed. After it there is nothing to write.
    pub(crate) write_failed: bool,
    /// Whether this side has said `close_notify`.
    has_said_close_notify: bool,
    /// How long it took to connect: a round trip.
    pub(crate) round_trip: Duration,
}

/// How what the server sends ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    Fin,
    Reset,
    /// None: more came than is taken.
    Endless,
    /// Not TLS, or not as TLS should be.
    Failed(String),
}

/// What a wait came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved {
    /// Some bytes were sent or received.
    Some,
    /// Reading and writing both are at their end.
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

    /// Whether this is TLS, and still in its handshake.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// Its own address.
    pub(crate) fn local_address(&self) -> Option<SocketAddr> {
        self.tcp.local_addr().ok()
    }

    /// Makes ready for the next request: what came of the last one is forgotten.
    pub(crate) fn forget(&mut self) {
        self.received.forget();
        self.trace = Trace::begin();
    }

    /// Whether the server has said that it will send nothing more: by `close_notify` or a fatal alert, by
    /// FIN, or by a reset.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.is_some() || self.close_notify || self.alert.is_some()
    }

    /// Whether its data has an end that cannot be mistaken for a cut: over TLS that is `close_notify` alone
    /// (RFC 9112 §9.8).
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

    /// Drives the handshake to its end, which may be the connection's. Does nothing on plain TCP.
    pub(crate) async fn handshake(&mut self, bound: Duration) {
        let deadline = Instant::now() + bound;
        while self.is_handshaking() && self.ended.is_none() && self.alert.is_none() {
            match self.exchange(&mut &[][..], true, deadline).await {
                Moved::Some => {}
                Moved::Nothing | Moved::TimedOut => return,
            }
        }
        if self.tls.is_some() && !self.is_handshaking() {
            // The client's last flight may still be here.
            self.send(&[], false, deadline).await;
            self.trace.add(Side::Client, What::Handshake);
        }
    }

    /// Sends all of it; where `reading`, takes what arrives meanwhile. Ends early at a failed write, or when
    /// time is up.
    pub(crate) async fn send(&mut self, mut bytes: &[u8], reading: bool, deadline: Instant) -> Moved {
        while (!bytes.is_empty() || self.wants_write()) && !self.write_failed {
            if self.exchange(&mut bytes, reading, deadline).await == Moved::TimedOut {
                return Moved::TimedOut;
            }
        }
        if self.write_failed { Moved::Nothing } else { Moved::Some }
    }

    /// Sends bytes below TLS.
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

    /// Waits for the next bytes.
    pub(crate) async fn receive(&mut self, deadline: Instant) -> Moved {
        let moved = self.exchange(&mut &[][..], true, deadline).await;
        self.reply(deadline).await;
        moved
    }

    /// Sends what the frames of HTTP/2 that have come ask for.
    pub(crate) async fn reply(&mut self, deadline: Instant) {
        let replies = self.received.http2.as_mut().map(|frames| frames.replies()).unwrap_or_default();
        if !replies.is_empty() {
            self.send(&replies, false, deadline).await;
        }
    }

    /// Whether what is sent goes through TLS.
    pub(crate) fn can_encrypt(&self) -> bool {
        self.tls.is_some() && !self.is_handshaking() && !self.has_said_close_notify && self.alert.is_none()
    }

    /// Reads until the server has said that it will send nothing more.
    pub(crate) async fn receive_to_end(&mut self, deadline: Instant) {
        while !self.is_over() && self.receive(deadline).await == Moved::Some {}
    }

    /// Reads to the end of the TCP connection.
    pub(crate) async fn receive_to_fin(&mut self, deadline: Instant) {
        while self.ended.is_none() && self.receive(deadline).await == Moved::Some {}
    }

    /// Ends this side's data: FIN, and over TLS `close_notify` before it.
    pub(crate) async fn half_close(&mut self, deadline: Instant) -> io::Result<()> {
        self.say_close_notify(deadline).await;
        SockRef::from(&self.tcp).shutdown(std::net::Shutdown::Write)?;
        self.trace.add(Side::Client, What::Fin);
        Ok(())
    }

    /// Says `close_notify`, as RFC 8446 §6.1 asks of a side that ends its data. Does nothing the second time,
    /// and on plain TCP.
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

    /// Whether a reset has come after the server's FIN: then no read shows it any more.
    pub(crate) fn was_reset_late(&mut self) -> bool {
        let error = SockRef::from(&self.tcp).take_error();
        let reset = matches!(error, Ok(Some(_)) | Err(_));
        if reset {
            self.note_reset();
        }
        reset
    }

    /// One wait for what can be moved, and the moving.
    async fn exchange(&mut self, bytes: &mut &[u8], reading: bool, deadline: Instant) -> Moved {
        let reading = reading && self.ended.is_none();
        let writing = (!bytes.is_empty() || self.wants_write()) && !self.write_failed;
        let interest = match (reading, writing) {
            (true, true) => Interest::READABLE | Interest::WRITABLE,
            (true, false) => Interest::READABLE,
            (false, true) => Interest::WRITABLE,
            (false, false) => return Moved::Nothing,
        };
        // A socket that is always ready would keep the timeout from being looked at.
        if Instant::now() >= deadline {
            return Moved::TimedOut;
        }
        let Ok(ready) = timeout_at(deadline, self.tcp.ready(interest)).await else { return Moved::TimedOut };
        match ready {
            Ok(ready) => {
                if reading && (ready.is_readable() || ready.is_read_closed()) {
                    self.read();
                }
                if writing && (ready.is_writable() || ready.is_write_closed()) {
                    self.write(bytes);
                }
            }
            Err(error) => self.ended = Some(Ended::Failed(error.to_string())),
        }
        Moved::Some
    }

    fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// What the socket takes without waiting. Over TLS it is encrypted a chunk at a time.
    fn write(&mut self, bytes: &mut &[u8]) {
        let Some(tls) = &mut self.tls else {
            match self.tcp.try_write(&bytes[..bytes.len().min(CHUNK_BYTES)]) {
                Ok(sent) => {
                    self.trace.data(Side::Client, sent as u64);
                    *bytes = &bytes[sent..];
                }
                Err(error) => self.write_error(&error),
            }
            return;
        };
        if !tls.wants_write() {
            // Into memory, which does not fail.
            let taken = tls.writer().write(&bytes[..bytes.len().min(RECORD_BYTES)]).unwrap_or_default();
            if taken == 0 && !bytes.is_empty() {
                // The session is over, or was never there: trying again would not end.
                self.write_failed = true;
                self.trace.add(Side::Client, What::WriteFailed(self.trace.bytes_sent()));
                return;
            }
            self.trace.data(Side::Client, taken as u64);
            *bytes = &bytes[taken..];
        }
        if let Err(error) = tls.write_tls(&mut Nonblocking(&self.tcp)) {
            self.write_error(&error);
        }
    }

    fn write_error(&mut self, error: &io::Error) {
        if error.kind() != ErrorKind::WouldBlock {
            self.write_failed = true;
            self.trace.add(Side::Client, What::WriteFailed(self.trace.bytes_sent()));
            if is_reset(error) {
                self.note_reset();
            }
        }
    }

    fn read(&mut self) {
        let over = self.close_notify || self.alert.is_some();
        match &mut self.tls {
            Some(tls) if !over => match tls.read_tls(&mut Nonblocking(&self.tcp)) {
                Ok(0) => self.end(Ended::Fin),
                Ok(_) => self.decrypt(),
                Err(error) => self.read_error(&error),
            },
            _ => SCRATCH.with_borrow_mut(|scratch| match self.tcp.try_read(scratch) {
                Ok(0) => self.end(Ended::Fin),
                // Below a TLS session that is over, it is nobody's.
                Ok(_) if over => {}
                Ok(read) => self.take(&scratch[..read]),
                Err(error) => self.read_error(&error),
            }),
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.trace.data(Side::Server, bytes.len() as u64);
        self.received.take(bytes);
        if self.received.is_endless() {
            self.ended = Some(Ended::Endless);
        }
    }

    fn decrypt(&mut self) {
        let Some(tls) = &mut self.tls else { return };
        match tls.process_new_packets() {
            Ok(state) => {
                let has_closed = state.peer_has_closed();
                SCRATCH.with_borrow_mut(|scratch| {
                    while let Some(tls) = &mut self.tls
                        && let Ok(read @ 1..) = tls.reader().read(scratch)
                    {
                        self.take(&scratch[..read]);
                    }
                });
                if has_closed {
                    self.close_notify = true;
                    self.trace.add(Side::Server, What::CloseNotify);
                }
            }
            Err(rustls::Error::AlertReceived(alert)) => {
                let name = tls_words::alert(alert);
                self.trace.add(Side::Server, What::Alert(name.clone()));
                self.alert = Some(name);
            }
            Err(error) => {
                self.ended = Some(Ended::Failed(tls_words::failure(&error)));
                self.tls_error = Some(error);
            }
        }
    }

    fn read_error(&mut self, error: &io::Error) {
        match error.kind() {
            ErrorKind::WouldBlock => {}
            _ if is_reset(error) => {
                self.note_reset();
                self.ended = Some(Ended::Reset);
            }
            _ => self.ended = Some(Ended::Failed(error.to_string())),
        }
    }

    fn end(&mut self, ended: Ended) {
        self.trace.add(Side::Server, What::Fin);
        self.ended = Some(ended);
    }

    /// A reset shows itself to the read and to the write.
    fn note_reset(&mut self) {
        if !self.trace.has(Side::Server, &What::Reset) {
            self.trace.add(Side::Server, What::Reset);
        }
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// A socket as rustls takes one.
struct Nonblocking<'a>(&'a TcpStream);

impl io::Read for Nonblocking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl io::Write for Nonblocking<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

thread_local! {
    /// What is read goes through here, whatever the connection: many of them cost no memory of their own.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK_BYTES].into());
}

/// What is moved at once.
const CHUNK_BYTES: usize = 64 << 10;
/// Plaintext of one TLS record (RFC 8446 §5.1).
const RECORD_BYTES: usize = 16 << 10;

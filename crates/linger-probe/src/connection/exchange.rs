//! Moves bytes between the socket, TLS and the client.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read as _, Write as _};

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::rustls;

use super::{Connection, Ended, Moved};
use crate::model::{Side, What};
use crate::tls_words;

impl Connection {
    /// Waits until the socket is ready, then reads and writes once.
    pub(super) async fn exchange(&mut self, bytes: &mut &[u8], reading: bool, deadline: Instant) -> Moved {
        let reading = reading && self.ended.is_none();
        let writing = (!bytes.is_empty() || self.wants_write()) && !self.write_failed;
        let interest = match (reading, writing) {
            (true, true) => Interest::READABLE | Interest::WRITABLE,
            (true, false) => Interest::READABLE,
            (false, true) => Interest::WRITABLE,
            (false, false) => return Moved::Nothing,
        };
        // `timeout_at` polls the socket first, so it never times out while the socket is always ready.
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

    pub(super) fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Writes what the socket takes without waiting. Over TLS, encrypts one chunk at a time.
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
            // This writes to memory, which cannot fail.
            let taken = tls.writer().write(&bytes[..bytes.len().min(RECORD_BYTES)]).unwrap_or_default();
            if taken == 0 && !bytes.is_empty() {
                // The session is over or was never set up: trying again would loop forever.
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

    pub(super) fn write_error(&mut self, error: &io::Error) {
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
                // The TLS session is over, so these bytes are no data.
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

    /// Notes a reset once, although both a read and a write can meet it.
    pub(super) fn note_reset(&mut self) {
        if !self.trace.has(Side::Server, &What::Reset) {
            self.trace.add(Side::Server, What::Reset);
        }
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// A socket as the blocking reader and writer that rustls needs.
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
    /// The read buffer, shared by all connections of a thread to save memory.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK_BYTES].into());
}

/// The most that one read or write moves.
const CHUNK_BYTES: usize = 64 << 10;
/// Plaintext of one TLS record (RFC 8446 §5.1).
const RECORD_BYTES: usize = 16 << 10;

//! The client: a rustls session, and a pipe into which it writes what it likes.

use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arbitrary::Arbitrary;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, split};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::rustls::ClientConnection;

use super::configs::{self, Version};

/// Something that the client sends.
#[derive(Debug, Clone, Arbitrary)]
pub enum Piece {
    /// These bytes, below the session.
    Raw(Vec<u8>),
    /// Bytes in the shape of a record.
    Record { kind: u8, version: u8, payload: Vec<u8> },
    /// A record that says that it is this long, and is not.
    Short { kind: u8, length: u16 },
    /// A flood of this many bytes.
    Flood(u16),
    /// Data of the session.
    Data(Vec<u8>),
    /// This much data of the session.
    Long(u16),
    /// Data of the session, of which a byte is changed on the way.
    Damaged { at: u8, by: u8 },
    /// `close_notify`.
    Notify,
    /// A fatal alert.
    Alert,
    /// A request for new keys, which TLS 1.3 has.
    Rekey,
    /// Nothing for so many milliseconds.
    Wait(u16),
}

/// What the client has seen.
#[derive(Debug)]
pub(super) struct Seen {
    /// When the server's data ended.
    pub(super) eof_at: Option<Instant>,
    pub(super) close_notify: bool,
    /// Whether the session can tell what came.
    pub(super) is_intact: bool,
}

pub(super) struct Client {
    session: ClientConnection,
    writer: Option<WriteHalf<DuplexStream>>,
    reader: Option<ReadHalf<DuplexStream>>,
    reading: Option<JoinHandle<()>>,
    received: Arc<Mutex<Vec<u8>>>,
    ended: watch::Receiver<Option<Instant>>,
    tell: Option<watch::Sender<Option<Instant>>>,
    close_notify: bool,
    has_ended: bool,
    is_intact: bool,
}

impl Client {
    pub(super) fn new(io: DuplexStream, version: Version) -> Self {
        let name = "localhost".try_into().expect("a name");
        let session = ClientConnection::new(configs::client(version), name).expect("makes sense");
        let (reader, writer) = split(io);
        let (tell, ended) = watch::channel(None);
        Self {
            session,
            writer: Some(writer),
            reader: Some(reader),
            reading: None,
            received: Arc::default(),
            ended,
            tell: Some(tell),
            close_notify: false,
            has_ended: false,
            is_intact: true,
        }
    }

    /// Does the handshake, which succeeds.
    pub(super) async fn handshake(&mut self) {
        while self.session.is_handshaking() {
            self.write_session().await;
            if !self.session.is_handshaking() {
                break;
            }
            let mut buffer = [0; 4096];
            let read = self.reader.as_mut().expect("nobody else reads yet").read(&mut buffer).await;
            let read = read.expect("memory does not fail");
            assert!(read > 0, "the server ended the handshake");
            self.session.read_tls(&mut &buffer[..read]).expect("from memory");
            // The server may have ended right behind its own last flight.
            self.close_notify |= self.session.process_new_packets().expect("a handshake").peer_has_closed();
        }
        self.write_session().await;
    }

    /// Sends the first flight, or a part of it, with a byte of it changed.
    pub(super) async fn first_flight(&mut self, cut_at: Option<u16>, damage: Option<(u16, u8)>) {
        let mut flight = self.take_output();
        if let Some((at, by)) = damage {
            let at = usize::from(at) % flight.len();
            flight[at] ^= by;
        }
        let end = cut_at.map_or(flight.len(), |at| usize::from(at).min(flight.len()));
        self.write(&flight[..end]).await;
        // What the server answers is of a handshake that does not go on.
        self.is_intact = false;
    }

    /// Reads to the server's end, beginning after this time.
    pub(super) fn read_from_now_on(&mut self, after: Duration) {
        let mut reader = self.reader.take().expect("it is called once");
        let tell = self.tell.take().expect("it is called once");
        let received = self.received.clone();
        self.reading = Some(tokio::spawn(async move {
            if !after.is_zero() {
                sleep(after).await;
            }
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut buffer).await {
                received.lock().unwrap_or_else(PoisonError::into_inner).extend(&buffer[..read]);
            }
            tell.send_replace(Some(Instant::now()));
        }));
    }

    /// Waits until the server's data has ended, but not for long.
    pub(super) async fn until_the_end(&mut self) {
        let _late = timeout(PATIENCE, self.ended.wait_for(Option::is_some)).await;
    }

    /// Sends one thing.
    pub(super) async fn send(&mut self, piece: &Piece) {
        match piece {
            Piece::Raw(bytes) => self.write(bytes).await,
            Piece::Record { kind, version, payload } => {
                let payload = &payload[..payload.len().min(1 << 14)];
                let length = u16::try_from(payload.len()).expect("it is cut");
                let kind = 20 + kind % 6;
                let header = [&[kind, 3, version % 5][..], &length.to_be_bytes()].concat();
                self.write(&[&header, payload].concat()).await;
            }
            Piece::Short { kind, length } => {
                let header = [&[20 + kind % 6, 3, 3][..], &length.to_be_bytes(), &[*kind; 40]].concat();
                self.write(&header).await;
            }
            Piece::Flood(bytes) => self.write(&vec![b'x'; usize::from(*bytes)]).await,
            Piece::Data(bytes) => self.write_data(bytes).await,
            Piece::Long(bytes) => self.write_data(&vec![b'd'; usize::from(*bytes)]).await,
            Piece::Damaged { at, by } => {
                let _full = self.session.writer().write(b"some data");
                let mut record = self.take_output();
                if let Some(at) = usize::from(*at).checked_rem(record.len()) {
                    record[at] ^= by;
                }
                self.write(&record).await;
            }
            // The client's own session says nothing after its end.
            Piece::Notify | Piece::Alert | Piece::Rekey if self.has_ended => {}
            Piece::Notify => {
                self.has_ended = true;
                self.session.send_close_notify();
                self.write_session().await;
            }
            Piece::Alert => {
                // It makes an alert of its own, and knows no more what comes.
                let _read = self.session.read_tls(&mut &[0xff; 40][..]);
                let _alert = self.session.process_new_packets();
                (self.has_ended, self.is_intact) = (true, false);
                self.write_session().await;
            }
            Piece::Rekey => {
                let _only_tls13 = self.session.refresh_traffic_keys();
                self.write_session().await;
            }
            Piece::Wait(millis) => sleep(Duration::from_millis((*millis).into())).await,
        }
    }

    async fn write_data(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(1 << 14) {
            let _full = self.session.writer().write(chunk);
            self.write_session().await;
        }
    }

    /// Sends its FIN.
    pub(super) async fn end(&mut self) {
        if let Some(mut writer) = self.writer.take() {
            let _gone = timeout(PATIENCE, writer.shutdown()).await;
            self.writer = Some(writer);
        }
    }

    /// Reads to the end, and says what was there.
    pub(super) async fn leave(mut self) -> Seen {
        let reading = self.reading.take().expect("it reads");
        reading.await.expect("reading does not panic");
        let eof_at = *self.ended.borrow();
        let received = self.received.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (mut rest, mut close_notify) = (&received[..], self.close_notify);
        while !rest.is_empty() && self.is_intact {
            self.is_intact &= self.session.read_tls(&mut rest).is_ok();
            match self.session.process_new_packets() {
                Ok(state) => close_notify |= state.peer_has_closed(),
                Err(_) => self.is_intact = false,
            }
            let mut plain = Vec::new();
            let _end = std::io::Read::read_to_end(&mut self.session.reader(), &mut plain);
        }
        Seen { eof_at, close_notify, is_intact: self.is_intact }
    }

    fn take_output(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.session.wants_write() {
            self.session.write_tls(&mut bytes).expect("into memory");
        }
        bytes
    }

    async fn write_session(&mut self) {
        let bytes = self.take_output();
        self.write(&bytes).await;
    }

    /// Writes for as long as the server takes something.
    async fn write(&mut self, bytes: &[u8]) {
        let Some(mut writer) = self.writer.take() else { return };
        if let Ok(Ok(())) = timeout(PATIENCE, writer.write_all(bytes)).await {
            self.writer = Some(writer);
        }
    }
}

/// The longest that the client waits for anything. It is longer than a drain, so that the server ends first.
const PATIENCE: Duration = Duration::from_secs(300);

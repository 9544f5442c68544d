//! What both directions of a connection share: the version, the keys, and how far the handshake is.

use std::sync::Arc;

use super::current::{Kind, Opened, Record};
use super::hello::{ClientHello, ServerHello};
use super::keys::Keys;
use super::record::{ALERT, APPLICATION_DATA};
use crate::secrets::Secrets;
use crate::transcript::Side;

/// What the scanners of both directions of a connection share.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// The version that the server chose.
    pub(super) version: Option<u16>,
    pub(super) server_name: Option<Box<str>>,
    client_flight: Flight,
    secrets: Option<Arc<Secrets>>,
    /// If the secrets have keys of this session.
    keys: Option<Box<Keys>>,
}

/// The client's encrypted handshake messages in TLS 1.3.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Flight {
    #[default]
    Before,
    Sending,
    Done,
}

impl Session {
    /// The session of a new connection, whose alerts are decrypted if these secrets have its keys.
    pub(crate) fn new(secrets: Option<Arc<Secrets>>) -> Self {
        Self { secrets, ..Self::default() }
    }

    /// Reads what there is of a side's first handshake message. Returns whether it is a hello.
    pub(super) fn read_hello(&mut self, side: Side, message: &[u8]) -> bool {
        match side {
            Side::Client => {
                let Some(hello) = ClientHello::parse(message) else { return false };
                self.server_name = hello.server_name.map(String::into_boxed_str);
                let keys = self.secrets.as_ref().and_then(|secrets| Keys::find(secrets, &hello.random));
                self.keys = keys.map(Box::new);
            }
            Side::Server => {
                let Some(hello) = ServerHello::parse(message) else { return false };
                self.version = hello.version;
                if let Some(keys) = &mut self.keys {
                    keys.choose(&hello);
                }
            }
        }
        true
    }

    /// A segment begins. The client's flight ends with the segment in which it began.
    pub(super) fn begin_segment(&mut self, side: Side) {
        if side == Side::Client && self.client_flight == Flight::Sending {
            self.client_flight = Flight::Done;
        }
    }

    /// A record begins. `after_gap` says whether others before it may be missing.
    pub(super) fn begin_record(&mut self, side: Side, kind: u8, length: u16, after_gap: bool) -> Record {
        let keys = self.keys.as_mut();
        let is_kept = keys.is_some_and(|keys| keys.begin(side, kind, length, after_gap));
        let kind = match Kind::visible(kind) {
            Kind::Data => self.infer(side, length),
            kind => kind,
        };
        Record::new(kind, length, is_kept)
    }

    /// Keeps bytes of a record that is to be decrypted.
    pub(super) fn keep(&mut self, side: Side, bytes: &[u8]) {
        if let Some(keys) = &mut self.keys {
            keys.keep(side, bytes);
        }
    }

    /// What a complete record is, and the description of an alert.
    pub(super) fn end_record(&mut self, side: Side, record: Record) -> (Kind, Option<u8>) {
        let opened = self.keys.as_mut().filter(|_| record.is_whole_and_kept());
        let kind = if self.version == Some(TLS13) { APPLICATION_DATA } else { ALERT };
        let opened = opened.and_then(|keys| keys.open(side, kind));
        let is_finished = match opened {
            Some(opened) => opened == Opened::Finished,
            None => record.kind == Kind::Hidden && HIDDEN_FINISHED.contains(&record.length),
        };
        if side == Side::Client && is_finished {
            self.client_flight = Flight::Done;
        }
        match opened {
            Some(Opened::Alert(description)) => (Kind::Alert, Some(description)),
            Some(Opened::Data) => (Kind::Data, None),
            Some(Opened::Finished | Opened::Handshake) => (Kind::Hidden, None),
            None => (record.kind, record.clear_description()),
        }
    }

    /// Bytes of this side are missing.
    pub(super) fn lose(&mut self, side: Side) {
        if side == Side::Client && self.version == Some(TLS13) {
            // Its Finished may have been there.
            self.client_flight = Flight::Done;
        }
    }

    /// What a record of the type `application_data` is, as far as its length and place tell.
    fn infer(&mut self, side: Side, length: u16) -> Kind {
        let is_tls13 = self.version == Some(TLS13);
        if length == HIDDEN_ALERT && (is_tls13 || self.version.is_none()) {
            return Kind::Alert;
        }
        if is_tls13 && side == Side::Client && self.client_flight == Flight::Before {
            self.client_flight = Flight::Sending;
        }
        let is_handshake = match side {
            Side::Client => self.client_flight == Flight::Sending,
            Side::Server => self.client_flight == Flight::Before,
        };
        if is_tls13 && is_handshake { Kind::Hidden } else { Kind::Data }
    }
}

pub(super) const TLS13: u16 = 0x0304;
/// An alert in TLS 1.3: two bytes, the hidden type, the tag.
const HIDDEN_ALERT: u16 = 2 + 1 + 16;
/// Finished in TLS 1.3: a header of four bytes, a SHA-256 or SHA-384 value, the hidden type, the tag.
const HIDDEN_FINISHED: [u16; 2] = [4 + 32 + 1 + 16, 4 + 48 + 1 + 16];

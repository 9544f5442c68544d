//! What the scanners of a connection have seen of its TLS session.

use super::current::Kind;
use super::{Mode, Scanner, Session};
use crate::trace::{Tls, TlsSide};

/// What one direction has shown so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// How many records were complete. It counts to 255.
    records: u8,
    /// Whether something was there that hardly anything but TLS begins with: a hello, or an alert in the
    /// clear.
    has_proof: bool,
    side: TlsSide,
}

impl Seen {
    pub(super) fn begin(&mut self) {
        self.side.ends_with_alert = false;
        self.side.lost = false;
    }

    /// A record turns out to be one after it has passed.
    pub(super) fn pass(&mut self, kind: Kind) {
        self.records = self.records.saturating_add(1);
        if kind == Kind::Data {
            self.data();
        }
    }

    pub(super) fn complete(&mut self, kind: Kind, description: Option<u8>) {
        self.pass(kind);
        if kind == Kind::Alert {
            self.has_proof |= description.is_some();
            self.side.alerts = self.side.alerts.saturating_add(1);
            self.side.last_alert = description;
            self.side.ends_with_alert = true;
        }
    }

    pub(super) fn data(&mut self) {
        self.side.has_data = true;
    }

    pub(super) fn hello(&mut self) {
        self.has_proof = true;
    }

    /// Bytes are missing here, or stand between boundaries that are not known.
    pub(super) fn lose(&mut self) {
        self.side.ends_with_alert = false;
        self.side.lost = true;
    }

    pub(super) fn end(&mut self, is_within_record: bool) {
        self.side.cut_in_record |= is_within_record;
    }

    pub(super) fn is_lost(&self) -> bool {
        self.side.lost
    }

    /// Whether this direction alone shows that it is TLS.
    pub(super) fn is_tls(&self) -> bool {
        self.has_proof || self.records >= 2
    }
}

impl Session {
    /// What both directions have shown. `None` if it is not TLS, or too little was captured to say so: that
    /// takes a hello, an alert in the clear, or two whole records and nothing that is not TLS.
    pub(crate) fn facts(&self, client: &Scanner, server: &Scanner) -> Option<Tls> {
        let both = [client, server];
        let has_proof = both.iter().any(|scanner| scanner.seen.has_proof);
        let records: u16 = both.iter().map(|scanner| u16::from(scanner.seen.records)).sum();
        let is_plain = both.iter().any(|scanner| scanner.mode == Mode::Plain);
        (has_proof || records >= 2 && !is_plain).then(|| Tls {
            version: self.version,
            server_name: self.server_name.as_deref().map(str::to_owned),
            client: client.facts(),
            server: server.facts(),
        })
    }
}

impl Scanner {
    fn facts(&self) -> TlsSide {
        let mut side = self.seen.side;
        side.cut_in_record |= self.is_within_record();
        side.ends_with_alert &= !side.cut_in_record;
        side
    }
}

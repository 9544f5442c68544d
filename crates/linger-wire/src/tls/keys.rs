//! Opens the short records of a session whose secrets are known.

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::current::Opened;
use super::hello::ServerHello;
use super::record::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE};
use super::session::TLS13;
use crate::secrets::cipher::{Content, RECORD_LIMIT, RecordKey, Suite};
use crate::secrets::{Label, Secrets, SessionSecrets};
use crate::transcript::Side;

/// The keys of a session.
#[derive(Debug)]
pub(super) struct Keys {
    client_random: [u8; 32],
    secrets: Arc<SessionSecrets>,
    suite: Option<Suite>,
    is_tls13: bool,
    client: Direction,
    server: Direction,
}

/// One direction, and how many records have passed in it.
#[derive(Debug, Default)]
struct Direction {
    /// In the order of their use.
    keys: Vec<Key>,
    /// Whether what passes is encrypted.
    is_protected: bool,
    /// The number of the current record among the encrypted ones, as far as they were seen.
    number: u64,
    /// What has arrived of the current record, if it is short.
    record: Vec<u8>,
    /// Whether records before the current one may be missing, since one was last opened.
    has_gap: bool,
    /// How often opening a record has failed.
    failed: u32,
}

#[derive(Debug)]
struct Key {
    cipher: RecordKey,
    /// In TLS 1.3, by which the key that follows is found.
    secret: Option<Vec<u8>>,
    /// The number of the first record of this key, if it is known. It wraps around if records are missing.
    first: Option<u64>,
}

impl Keys {
    /// The keys of the session with this random, if the secrets have any.
    pub(super) fn find(secrets: &Secrets, client_random: &[u8; 32]) -> Option<Self> {
        Some(Self {
            client_random: *client_random,
            secrets: secrets.of(client_random)?,
            suite: None,
            is_tls13: false,
            client: Direction::default(),
            server: Direction::default(),
        })
    }

    pub(super) fn choose(&mut self, hello: &ServerHello) {
        let Some(version) = hello.version else { return };
        self.suite = Suite::of(version, hello.suite);
        self.is_tls13 = version == TLS13;
        let Some(suite) = self.suite else { return };
        let secret = |label| self.secrets.get(label);
        if self.is_tls13 {
            let traffic = |label| {
                let secret = secret(label)?;
                Some(Key { cipher: suite.traffic_key(secret)?, secret: Some(secret.to_vec()), first: None })
            };
            let both = |handshake, data| [traffic(handshake), traffic(data)].into_iter().flatten().collect();
            self.client.keys = both(Label::ClientHandshake, Label::ClientTraffic);
            self.server.keys = both(Label::ServerHandshake, Label::ServerTraffic);
        } else if let Some(master) = secret(Label::Master) {
            let keys = suite.session_keys(master, &self.client_random, &hello.random);
            let key = |key| vec![Key { cipher: key, secret: None, first: Some(0) }];
            if let Some([client, server]) = keys {
                (self.client.keys, self.server.keys) = (key(client), key(server));
            }
        }
    }

    /// Counts a record that begins. Returns whether it is to be opened when it is complete.
    pub(super) fn begin(&mut self, side: Side, kind: u8, length: u16, after_gap: bool) -> bool {
        let is_tls13 = self.is_tls13;
        let can_open = self.suite.is_some();
        let direction = self.direction(side);
        direction.has_gap |= after_gap;
        direction.record.clear();
        if is_tls13 && kind != APPLICATION_DATA || !can_open {
            return false;
        }
        if kind == CHANGE_CIPHER_SPEC {
            (direction.is_protected, direction.number) = (true, u64::MAX);
            return false;
        }
        if !direction.is_protected && kind == APPLICATION_DATA {
            // In TLS 1.2, the record that says so was not captured.
            direction.has_gap |= !is_tls13;
            (direction.is_protected, direction.number) = (true, u64::MAX);
        }
        direction.number = direction.number.wrapping_add(u64::from(direction.is_protected));
        let is_hidden = kind == if is_tls13 { APPLICATION_DATA } else { ALERT };
        is_hidden
            && direction.is_protected
            && usize::from(length) <= RECORD_LIMIT
            && direction.failed < PATIENCE
    }

    /// Takes bytes of a record that is to be opened.
    pub(super) fn keep(&mut self, side: Side, bytes: &[u8]) {
        self.direction(side).record.extend_from_slice(bytes);
    }

    /// Opens the record that was kept.
    pub(super) fn open(&mut self, side: Side, kind: u8) -> Option<Opened> {
        let suite = self.suite?;
        let content = self.direction(side).open(suite, kind)?;
        Some(match (content.kind, content.length, content.head) {
            (ALERT, 2, [_, description]) => Opened::Alert(description),
            (HANDSHAKE, _, [FINISHED, _]) => Opened::Finished,
            (HANDSHAKE, ..) => Opened::Handshake,
            _ => Opened::Data,
        })
    }

    fn direction(&mut self, side: Side) -> &mut Direction {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }
}

impl Direction {
    fn open(&mut self, suite: Suite, kind: u8) -> Option<Content> {
        let found = (0..self.keys.len()).find_map(|index| {
            let key = &self.keys[index];
            let numbers = key.numbers(self.number, self.has_gap);
            let (sequence, content) =
                try_numbers(&key.cipher, numbers, kind, &self.record, &mut self.failed)?;
            Some((index, sequence, content))
        });
        let (index, sequence, content) = match found {
            Some(found) => found,
            // The record that announces the next key may be among the missing ones.
            None if self.has_gap => {
                let next = self.keys.last()?.next(suite)?;
                let numbers = 0..=MISSING;
                let (sequence, content) =
                    try_numbers(&next.cipher, numbers, kind, &self.record, &mut self.failed)?;
                self.keys.push(next);
                (self.keys.len() - 1, sequence, content)
            }
            None => return None,
        };
        self.keys.drain(..index);
        self.has_gap = false;
        let after = Some(self.number.wrapping_add(1));
        let key = self.keys.first_mut()?;
        key.first = Some(self.number.wrapping_sub(sequence));
        match (content.kind, content.head[0]) {
            (HANDSHAKE, KEY_UPDATE) => *key = Key { first: after, ..key.next(suite)? },
            (HANDSHAKE, FINISHED) => {
                if let Some(data) = self.keys.get_mut(1) {
                    data.first = after;
                }
            }
            _ => {}
        }
        Some(content)
    }
}

impl Key {
    /// The sequence numbers that the record with this number may have under this key.
    fn numbers(&self, number: u64, has_gap: bool) -> RangeInclusive<u64> {
        let (start, end) = match self.first {
            Some(first) => (number.wrapping_sub(first), number.wrapping_sub(first)),
            None => (number.saturating_sub(HANDSHAKE_RECORDS), number),
        };
        start..=end.saturating_add(if has_gap { MISSING } else { 0 })
    }

    fn next(&self, suite: Suite) -> Option<Self> {
        let secret = suite.next_secret(self.secret.as_ref()?)?;
        Some(Self { cipher: suite.traffic_key(&secret)?, secret: Some(secret), first: None })
    }
}

/// Tries to open a record under each of these numbers: the record's tag proves the right one.
fn try_numbers(
    key: &RecordKey,
    mut numbers: impl Iterator<Item = u64>,
    kind: u8,
    record: &[u8],
    failed: &mut u32,
) -> Option<(u64, Content)> {
    numbers.find_map(|number| {
        let opened = key.open(number, kind, record);
        *failed = failed.saturating_add(u32::from(opened.is_none()));
        Some((number, opened?))
    })
}

/// The encrypted records of a handshake, at most: more certificates than any server sends.
const HANDSHAKE_RECORDS: u64 = 32;
/// How many records may be missing in a gap: 64 MiB of the longest.
const MISSING: u64 = 1 << 12;
/// How many attempts may fail in one direction before no more are made.
const PATIENCE: u32 = 1 << 14;
const FINISHED: u8 = 20;
const KEY_UPDATE: u8 = 24;

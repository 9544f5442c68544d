//! Opens records of TLS 1.3, and of TLS 1.2 with an AEAD cipher suite.

use std::fmt;

use ring::aead::{self, AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{self, HKDF_SHA256, HKDF_SHA384};
use ring::hmac;

/// A cipher suite whose records can be opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Suite {
    aead: &'static aead::Algorithm,
    hash: hkdf::Algorithm,
    is_tls13: bool,
}

/// The key of one direction.
pub(crate) struct RecordKey {
    key: LessSafeKey,
    iv: [u8; aead::NONCE_LEN],
    suite: Suite,
}

/// What was in a record: its real type, its length and its first two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) kind: u8,
    pub(crate) length: usize,
    pub(crate) head: [u8; 2],
}

impl Suite {
    /// The suite with this number in the registry of the IANA. CBC suites and AES-CCM are not known here.
    pub(crate) fn of(version: u16, number: u16) -> Option<Self> {
        let (aead, hash) = match (version, number) {
            (TLS13, 0x1303) | (TLS12, 0xcca8..=0xccae) => (&CHACHA20_POLY1305, HKDF_SHA256),
            (TLS13, 0x1301) | (TLS12, 0xc02b | 0xc02d | 0xc02f | 0xc031 | 0xd001) => {
                (&AES_128_GCM, HKDF_SHA256)
            }
            (TLS13, 0x1302) | (TLS12, 0xc02c | 0xc02e | 0xc030 | 0xc032 | 0xd002) => {
                (&AES_256_GCM, HKDF_SHA384)
            }
            // RSA, DHE, DH and PSK: the even ones have the shorter key.
            (TLS12, 0x009c..=0x00ad) if number % 2 == 0 => (&AES_128_GCM, HKDF_SHA256),
            (TLS12, 0x009c..=0x00ad) => (&AES_256_GCM, HKDF_SHA384),
            _ => return None,
        };
        Some(Self { aead, hash, is_tls13: version == TLS13 })
    }

    /// The key of a traffic secret (RFC 8446 §7.3).
    pub(crate) fn traffic_key(self, secret: &[u8]) -> Option<RecordKey> {
        let mut key = [0; 32];
        let key = key.get_mut(..self.aead.key_len())?;
        let mut iv = [0; aead::NONCE_LEN];
        self.expand(secret, b"key", key)?;
        self.expand(secret, b"iv", &mut iv)?;
        self.key(key, iv)
    }

    /// The secret that follows a traffic secret after a key update (RFC 8446 §7.2).
    pub(crate) fn next_secret(self, secret: &[u8]) -> Option<Vec<u8>> {
        let mut next = vec![0; secret.len()];
        self.expand(secret, b"traffic upd", &mut next)?;
        Some(next)
    }

    /// The client's and the server's key of a master secret (RFC 5246 §6.3).
    pub(crate) fn session_keys(
        self,
        master: &[u8],
        client_random: &[u8; 32],
        server_random: &[u8; 32],
    ) -> Option<[RecordKey; 2]> {
        let seed = [&b"key expansion"[..], server_random, client_random].concat();
        let block = pseudo_random(self.hash.hmac_algorithm(), master, &seed);
        let (client_key, rest) = block.split_at_checked(self.aead.key_len())?;
        let (server_key, rest) = rest.split_at_checked(self.aead.key_len())?;
        let implicit = if self.has_explicit_nonce() { SALT } else { aead::NONCE_LEN };
        let (client_iv, rest) = rest.split_at_checked(implicit)?;
        let key = |key, iv: &[u8]| {
            let mut whole = [0; aead::NONCE_LEN];
            whole.get_mut(..implicit)?.copy_from_slice(iv);
            self.key(key, whole)
        };
        Some([key(client_key, client_iv)?, key(server_key, rest.get(..implicit)?)?])
    }

    fn key(self, key: &[u8], iv: [u8; aead::NONCE_LEN]) -> Option<RecordKey> {
        let key = LessSafeKey::new(UnboundKey::new(self.aead, key).ok()?);
        Some(RecordKey { key, iv, suite: self })
    }

    /// `HKDF-Expand-Label` without a context (RFC 8446 §7.1).
    fn expand(self, secret: &[u8], label: &[u8], out: &mut [u8]) -> Option<()> {
        let [high, low] = u16::try_from(out.len()).ok()?.to_be_bytes();
        let label_length = u8::try_from(PREFIX.len() + label.len()).ok()?;
        let info = [&[high, low, label_length], PREFIX, label, &[0]];
        let secret = hkdf::Prk::new_less_safe(self.hash, secret);
        secret.expand(&info, Length(out.len())).ok()?.fill(out).ok()
    }

    /// Whether a part of each record's nonce stands before it (RFC 5288 §3).
    fn has_explicit_nonce(self) -> bool {
        !self.is_tls13 && self.aead != &CHACHA20_POLY1305
    }
}

impl RecordKey {
    /// Opens a record of at most [`RECORD_LIMIT`] bytes without its header, if it has this sequence number.
    pub(crate) fn open(&self, sequence: u64, kind: u8, record: &[u8]) -> Option<Content> {
        let mut buffer = [0; RECORD_LIMIT];
        let mut nonce = self.iv;
        let sealed = if self.suite.has_explicit_nonce() {
            let (explicit, sealed) = record.split_at_checked(aead::NONCE_LEN - SALT)?;
            nonce[SALT..].copy_from_slice(explicit);
            sealed
        } else {
            let (_, end) = nonce.split_at_mut(aead::NONCE_LEN - 8);
            end.iter_mut().zip(sequence.to_be_bytes()).for_each(|(byte, number)| *byte ^= number);
            record
        };
        let sealed_length = u16::try_from(sealed.len()).ok()?;
        let plain_length = sealed_length.checked_sub(TAG)?;
        let buffer = buffer.get_mut(..sealed.len())?;
        buffer.copy_from_slice(sealed);

        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = if self.suite.is_tls13 {
            let [high, low] = sealed_length.to_be_bytes();
            self.key.open_in_place(nonce, Aad::from([kind, 3, 3, high, low]), buffer)
        } else {
            let mut additional = [0; 13];
            additional[..8].copy_from_slice(&sequence.to_be_bytes());
            let [high, low] = plain_length.to_be_bytes();
            additional[8..].copy_from_slice(&[kind, 3, 3, high, low]);
            self.key.open_in_place(nonce, Aad::from(additional), buffer)
        };
        let plain: &[u8] = opened.ok()?;
        let (kind, plain) = if self.suite.is_tls13 { unpadded(plain)? } else { (kind, plain) };
        let byte = |at| plain.get(at).copied().unwrap_or_default();
        Some(Content { kind, length: plain.len(), head: [byte(0), byte(1)] })
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordKey").finish_non_exhaustive()
    }
}

/// The real type and the content of an opened record of TLS 1.3 (RFC 8446 §5.2).
fn unpadded(plain: &[u8]) -> Option<(u8, &[u8])> {
    let end = plain.iter().rposition(|byte| *byte != 0)?;
    Some((*plain.get(end)?, plain.get(..end)?))
}

/// The pseudo-random function of TLS 1.2 (RFC 5246 §5), as long as the longest key block.
fn pseudo_random(algorithm: hmac::Algorithm, secret: &[u8], seed: &[u8]) -> Vec<u8> {
    let secret = hmac::Key::new(algorithm, secret);
    let mut out = Vec::new();
    let mut step = hmac::sign(&secret, seed);
    while out.len() < 2 * (32 + aead::NONCE_LEN) {
        out.extend_from_slice(hmac::sign(&secret, &[step.as_ref(), seed].concat()).as_ref());
        step = hmac::sign(&secret, step.as_ref());
    }
    out
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// The longest record that is opened, without its header: an alert has 26 bytes at most unless it is padded,
/// and the longest Finished of TLS 1.3 has 69.
pub(crate) const RECORD_LIMIT: usize = 80;
const TLS12: u16 = 0x0303;
const TLS13: u16 = 0x0304;
const PREFIX: &[u8] = b"tls13 ";
const TAG: u16 = 16;
/// The part of a nonce of AES-GCM that is not in the record, in TLS 1.2.
const SALT: usize = 4;

#[cfg(test)]
impl RecordKey {
    /// What [`open`](Self::open) opens, for tests: the content of TLS 1.3 without its type.
    pub(crate) fn seal(&self, sequence: u64, kind: u8, content: &[u8]) -> Vec<u8> {
        let mut nonce = self.iv;
        let mut explicit = Vec::new();
        if self.suite.has_explicit_nonce() {
            explicit = sequence.to_be_bytes().to_vec();
            nonce[SALT..].copy_from_slice(&explicit);
        } else {
            nonce.iter_mut().rev().zip(sequence.to_le_bytes()).for_each(|(byte, number)| *byte ^= number);
        }
        let mut record = content.to_vec();
        let additional = if self.suite.is_tls13 {
            record.push(kind);
            let length = u8::try_from(record.len()).expect("a short record") + 16;
            vec![23, 3, 3, 0, length]
        } else {
            let length = u8::try_from(record.len()).expect("a short record");
            [&sequence.to_be_bytes()[..], &[kind, 3, 3, 0, length]].concat()
        };
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce, Aad::from(additional), &mut record).expect("sealed");
        [explicit, record].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: String = hex.split_whitespace().collect();
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
        (0..digits.len()).step_by(2).map(byte).collect()
    }

    /// The alerts of RFC 8448 §3, the traces of TLS 1.3.
    #[test]
    fn opens_the_alerts_of_the_rfc() {
        let suite = Suite::of(TLS13, 0x1301).expect("a known suite");
        let client = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
        let server = "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";
        let alert = Some(Content { kind: 21, length: 2, head: [1, 0] });
        for (secret, sequence, record) in [
            (client, 1, "c9872760655666b74d7ff1153efd6db6d0b0e3"),
            (server, 2, "b58fd67166ebf599d24720cfbe7efa7a8864a9"),
        ] {
            let key = suite.traffic_key(&bytes(secret)).expect("a key");
            let record = bytes(record);
            assert_eq!(key.open(sequence, 23, &record), alert);
            assert_eq!(key.open(sequence + 1, 23, &record), None);
            assert_eq!(key.open(sequence, 23, &record[..15]), None);
            assert_eq!(key.open(sequence, 23, &[0; RECORD_LIMIT + 1]), None);
            assert_eq!(format!("{key:?}"), "RecordKey { .. }");
        }
    }
}

//! The parts of TLS records and of a `ServerHello` that are not encrypted.

/// The type and length of a record; `None` if these bytes cannot be its header.
pub(crate) fn parse_header([kind, major, minor, high, low]: [u8; HEADER]) -> Option<(u8, usize)> {
    let length = usize::from(u16::from_be_bytes([high, low]));
    let known = (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&kind) && major == 3 && minor <= 4;
    (known && length <= RECORD_LIMIT).then_some((kind, length))
}

/// Whether a segment consists of whole records.
pub(crate) fn is_whole_records(mut bytes: &[u8]) -> bool {
    while let Some((header, rest)) = bytes.split_first_chunk() {
        let Some((_, length)) = parse_header(*header) else { return false };
        let Some(rest) = rest.get(length..) else { return false };
        bytes = rest;
        if bytes.is_empty() {
            return true;
        }
    }
    false
}

/// Whether a handshake record begins with a `ServerHello` (or `HelloRetryRequest`) that selects TLS 1.3 in
/// its `supported_versions` extension (RFC 8446 §4.2.1).
pub(crate) fn chooses_tls13(record: &[u8]) -> bool {
    /// Splits off a vector that begins with its length in `N` bytes.
    fn vector<const N: usize>(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
        let (length, rest) = bytes.split_first_chunk::<N>()?;
        rest.split_at_checked(length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    }
    fn version(record: &[u8]) -> Option<[u8; 2]> {
        let (&[SERVER_HELLO], rest) = record.split_first_chunk()? else { return None };
        let (hello, _) = vector::<3>(rest)?;
        // The session id follows the legacy version and the random.
        let (_session_id, rest) = vector::<1>(hello.get(2 + 32..)?)?;
        // The extensions follow the cipher suite and the compression method.
        let (mut extensions, _) = vector::<2>(rest.get(2 + 1..)?)?;
        while let Some((kind, rest)) = extensions.split_first_chunk() {
            let (value, rest) = vector::<2>(rest)?;
            if *kind == SUPPORTED_VERSIONS {
                return value.try_into().ok();
            }
            extensions = rest;
        }
        None
    }
    version(record) == Some([3, 4])
}

pub(crate) const HEADER: usize = 5;
/// The longest record: the largest plaintext with the largest expansion that any version allows.
const RECORD_LIMIT: usize = (1 << 14) + 2048;

const CHANGE_CIPHER_SPEC: u8 = 20;
pub(crate) const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const APPLICATION_DATA: u8 = 23;
const SERVER_HELLO: u8 = 2;
const SUPPORTED_VERSIONS: [u8; 2] = [0, 43];

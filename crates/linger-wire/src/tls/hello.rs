//! What `ClientHello` and `ServerHello` say in the clear.

/// What is used of a `ClientHello`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientHello {
    pub(crate) random: [u8; 32],
    pub(crate) server_name: Option<String>,
}

/// What is used of a `ServerHello`. A `HelloRetryRequest` is one, with a random of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServerHello {
    pub(crate) random: [u8; 32],
    /// `None` if the message was cut, so that what selects TLS 1.3 may be missing.
    pub(crate) version: Option<u16>,
    pub(crate) suite: u16,
}

/// Collects the first handshake message of one side, which may be cut into several records.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    bytes: Vec<u8>,
    done: bool,
}

impl Collector {
    /// Takes the next bytes of handshake messages. Returns the first message once it is complete, or as much
    /// of it as is kept.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.done {
            return None;
        }
        let room = LIMIT - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let is_complete = match self.bytes.as_slice() {
            [CLIENT_HELLO | SERVER_HELLO] => false,
            // Other messages are of no use.
            [kind, ..] if !matches!(*kind, CLIENT_HELLO | SERVER_HELLO) => true,
            [_, high, middle, low, body @ ..] => {
                body.len() >= u32::from_be_bytes([0, *high, *middle, *low]) as usize
            }
            _ => false,
        };
        if is_complete || self.bytes.len() == LIMIT { self.finish() } else { None }
    }

    /// What there is of the message, when it is known that no more of it comes.
    pub(crate) fn finish(&mut self) -> Option<Vec<u8>> {
        self.done = true;
        Some(std::mem::take(&mut self.bytes)).filter(|bytes| !bytes.is_empty())
    }
}

impl ClientHello {
    /// Reads a message, or the beginning of one.
    pub(crate) fn parse(message: &[u8]) -> Option<Self> {
        let (random, rest) = parse_start(message, CLIENT_HELLO)?;
        let mut server_name = None;
        // The cipher suites and the compression methods come before the extensions.
        let extensions = vector::<2>(rest).and_then(|(_, rest)| vector::<1>(rest)).map(|(_, rest)| rest);
        each_extension(extensions.unwrap_or_default(), |kind, value| {
            if kind == SERVER_NAME {
                server_name = parse_server_name(value);
            }
        });
        Some(Self { random, server_name })
    }
}

impl ServerHello {
    /// Reads a message, or the beginning of one.
    pub(crate) fn parse(message: &[u8]) -> Option<Self> {
        let (random, rest) = parse_start(message, SERVER_HELLO)?;
        let (suite, rest) = rest.split_first_chunk()?;
        let mut version = None;
        // The compression method is one byte.
        each_extension(rest.get(1..).unwrap_or_default(), |kind, value| {
            if let (SUPPORTED_VERSIONS, Ok(chosen)) = (kind, value.try_into()) {
                version = Some(u16::from_be_bytes(chosen));
            }
        });
        let is_complete = vector::<3>(message.get(1..)?).is_some();
        let legacy = u16::from_be_bytes([*message.get(4)?, *message.get(5)?]);
        let version = version.or((is_complete || legacy < 0x0303).then_some(legacy));
        Some(Self { random, version, suite: u16::from_be_bytes(*suite) })
    }
}

/// Reads what both begin with: version, random, session id. Returns the random and what follows.
fn parse_start(message: &[u8], expected: u8) -> Option<([u8; 32], &[u8])> {
    let ([kind, _, _, _, 3, _], rest) = message.split_first_chunk()? else { return None };
    let (random, rest) = rest.split_first_chunk()?;
    let (session_id, rest) = vector::<1>(rest)?;
    (*kind == expected && session_id.len() <= 32).then_some((*random, rest))
}

/// Splits off a vector that begins with its length in `N` bytes.
fn vector<const N: usize>(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<N>()?;
    rest.split_at_checked(length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
}

/// Calls `visit` with the type and value of each extension that is there completely.
fn each_extension(bytes: &[u8], mut visit: impl FnMut(u16, &[u8])) {
    let Some((length, rest)) = bytes.split_first_chunk() else { return };
    let mut rest = &rest[..rest.len().min(u16::from_be_bytes(*length).into())];
    while let Some((kind, after)) = rest.split_first_chunk() {
        let Some((value, after)) = vector::<2>(after) else { return };
        visit(u16::from_be_bytes(*kind), value);
        rest = after;
    }
}

/// The host name in a `server_name` extension (RFC 6066 §3), if it can be one.
fn parse_server_name(value: &[u8]) -> Option<String> {
    let (list, _) = vector::<2>(value)?;
    let ([HOST_NAME], rest) = list.split_first_chunk()? else { return None };
    let (name, _) = vector::<2>(rest)?;
    let is_valid = (1..=253).contains(&name.len())
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte));
    if is_valid { String::from_utf8(name.to_vec()).ok() } else { None }
}

pub(crate) const CLIENT_HELLO: u8 = 1;
pub(crate) const SERVER_HELLO: u8 = 2;
const SERVER_NAME: u16 = 0;
const SUPPORTED_VERSIONS: u16 = 43;
const HOST_NAME: u8 = 0;
/// Enough for hellos with a post-quantum key share.
const LIMIT: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn with_length<const N: usize>(bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).expect("a short vector").to_be_bytes();
        [&length[4 - N..], bytes].concat()
    }

    fn hello(kind: u8, middle: &[u8], extensions: &[u8]) -> Vec<u8> {
        let body = [&[3, 3][..], &[7; 32], &[0], middle, &with_length::<2>(extensions)].concat();
        [vec![kind], with_length::<3>(&body)].concat()
    }

    fn client_hello(name: &[u8]) -> Vec<u8> {
        let entry = [vec![HOST_NAME], with_length::<2>(name)].concat();
        let names = with_length::<2>(&with_length::<2>(&entry));
        // An extension of another type comes first.
        hello(CLIENT_HELLO, &[0, 2, 19, 1, 1, 0], &[&[0, 5, 0, 1, 9, 0, 0], names.as_slice()].concat())
    }

    fn server_name(name: &[u8]) -> Option<String> {
        ClientHello::parse(&client_hello(name)).expect("a ClientHello").server_name
    }

    #[test]
    fn only_host_names_are_names_of_servers() {
        assert_eq!(server_name(b"a-1.example").as_deref(), Some("a-1.example"));
        for bad in [&b""[..], b"a b", b"a\x1b[2Jb", "\u{e4}.example".as_bytes(), &[b'a'; 254]] {
            assert_eq!(server_name(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_hello_may_come_byte_by_byte_and_is_followed_by_others() {
        let message = client_hello(b"localhost");
        let mut collector = Collector::default();
        let (last, before) = message.split_last().expect("bytes");
        for byte in before {
            assert_eq!(collector.take(&[*byte]), None);
        }
        assert_eq!(collector.take(&[*last, 11, 0]).map(|bytes| bytes.len()), Some(message.len() + 2));
        assert_eq!(collector.take(&message), None, "only the first message is collected");
    }

    #[test]
    fn any_cut_of_a_hello_is_read_as_far_as_it_goes() {
        let message = client_hello(b"localhost");
        for length in 0..message.len() {
            let parsed = ClientHello::parse(&message[..length]);
            assert_eq!(parsed.is_some(), length > 4 + 2 + 32, "{length}");
            assert_eq!(parsed.and_then(|hello| hello.server_name), None);
        }
        let mut endless = Collector::default();
        assert!((0..2 * LIMIT).any(|_| endless.take(&[CLIENT_HELLO, 0xff]).is_some()));
        assert!(endless.bytes.is_empty());
    }

    #[test]
    fn the_version_is_the_servers_choice() {
        let version = |extensions: &[u8]| {
            let parsed = ServerHello::parse(&hello(SERVER_HELLO, &[0x13, 2, 0], extensions));
            parsed.map(|hello| (hello.version, hello.suite))
        };
        assert_eq!(version(&[0, 43, 0, 2, 3, 4]), Some((Some(0x0304), 0x1302)));
        assert_eq!(version(&[]), Some((Some(0x0303), 0x1302)));
        assert_eq!(ServerHello::parse(&client_hello(b"localhost")), None);
    }
}

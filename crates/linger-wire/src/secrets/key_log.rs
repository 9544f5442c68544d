//! Reads the NSS key log format.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufRead, Read as _};
use std::sync::Arc;

/// Secrets of TLS sessions, found by the random of their `ClientHello`. `Debug` shows only their
/// number.
pub struct Secrets {
    sessions: HashMap<[u8; RANDOM], Arc<SessionSecrets>>,
}

/// What a key log has of one session.
#[derive(Default, Clone)]
pub(crate) struct SessionSecrets {
    by_label: [Option<Box<[u8]>>; Label::ALL.len()],
}

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    /// The master secret, up to TLS 1.2.
    Master,
    ClientHandshake,
    ServerHandshake,
    ClientTraffic,
    ServerTraffic,
}

impl Label {
    const ALL: [(&'static str, Self); 5] = [
        ("CLIENT_RANDOM", Self::Master),
        ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", Self::ClientHandshake),
        ("SERVER_HANDSHAKE_TRAFFIC_SECRET", Self::ServerHandshake),
        ("CLIENT_TRAFFIC_SECRET_0", Self::ClientTraffic),
        ("SERVER_TRAFFIC_SECRET_0", Self::ServerTraffic),
    ];

    /// Whether a secret of this length can be one: a master secret has 48 bytes, the others are as long as
    /// the hash of the cipher suite, SHA-256 or SHA-384.
    fn allows(self, length: usize) -> bool {
        length == 48 || length == 32 && self != Self::Master
    }
}

impl Secrets {
    /// Reads a key log: lines of a label, the client's random and the secret, in hexadecimal digits.
    ///
    /// Comments, empty lines and labels without use here are skipped. So is a last line that is not complete,
    /// because a program may be writing it. The memory grows with the number of sessions. An empty log
    /// is no error: perhaps there was no handshake so far.
    ///
    /// # Errors
    ///
    /// The file cannot be read, a line is malformed, or no line is one of a key log.
    pub fn read(mut log: impl BufRead) -> Result<Self, SecretsError> {
        let mut sessions = HashMap::<_, Arc<SessionSecrets>>::new();
        let mut line = Vec::new();
        let mut has_other_lines = false;
        for number in 1.. {
            line.clear();
            log.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line).map_err(SecretsError::Read)?;
            if line.is_empty() {
                break;
            }
            let is_complete = line.ends_with(b"\n");
            if !is_complete && line.len() as u64 == LINE_LIMIT {
                return Err(SecretsError::Line { number, problem: LineProblem::TooLong });
            }
            match parse(&line) {
                Ok(Some((label, random, secret))) => {
                    let session = Arc::make_mut(sessions.entry(random).or_default());
                    session.by_label[label as usize] = Some(secret);
                }
                Ok(None) => has_other_lines |= !matches!(line.trim_ascii(), [] | [b'#', ..]),
                Err(_) if !is_complete => break,
                Err(problem) => return Err(SecretsError::Line { number, problem }),
            }
        }
        if sessions.is_empty() && has_other_lines {
            Err(SecretsError::NotAKeyLog)
        } else {
            Ok(Self { sessions })
        }
    }

    /// Of how many sessions there are secrets.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn of(&self, client_random: &[u8; RANDOM]) -> Option<Arc<SessionSecrets>> {
        self.sessions.get(client_random).cloned()
    }
}

impl SessionSecrets {
    pub(crate) fn get(&self, label: Label) -> Option<&[u8]> {
        self.by_label[label as usize].as_deref()
    }
}

type Entry = (Label, [u8; RANDOM], Box<[u8]>);

/// Reads a line. `None` if nothing of use is in it.
fn parse(line: &[u8]) -> Result<Option<Entry>, LineProblem> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let name = words.next().unwrap_or_default();
    let Some((_, label)) = Label::ALL.iter().find(|(known, _)| known.as_bytes() == name) else {
        return Ok(None);
    };
    let random = words.next().and_then(hex).and_then(|bytes| bytes.try_into().ok());
    let random = random.ok_or(LineProblem::Random)?;
    let secret = words.next().and_then(hex).filter(|secret| label.allows(secret.len()));
    let secret = secret.ok_or(LineProblem::Secret)?;
    if words.next().is_some() {
        return Err(LineProblem::Rest);
    }
    Ok(Some((*label, random, secret.into())))
}

fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8]| match *pair {
        [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
        _ => None,
    };
    digits.chunks(2).map(byte).collect()
}

/// Why a file is no key log.
#[derive(Debug)]
#[non_exhaustive]
pub enum SecretsError {
    /// It cannot be read.
    Read(io::Error),
    /// A line is malformed.
    Line {
        /// Its number, from 1.
        number: u64,
        /// What is wrong with it.
        problem: LineProblem,
    },
    /// It has lines, but no secret of a session.
    NotAKeyLog,
}

/// What is wrong with a line of a key log. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineProblem {
    /// It is longer than any line of a key log.
    TooLong,
    /// Its second word is not the random of a `ClientHello`.
    Random,
    /// Its third word is not a secret of this label.
    Secret,
    /// It has more than three words.
    Rest,
}

impl fmt::Display for SecretsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "the key log cannot be read: {error}"),
            Self::Line { number, problem } => write!(f, "line {number} of the key log {problem}"),
            Self::NotAKeyLog => f.write_str(
                "this is no key log, which has lines that begin with CLIENT_RANDOM or \
                 CLIENT_TRAFFIC_SECRET_0: let a program write one by setting SSLKEYLOGFILE; \
                 a private key is of no use here",
            ),
        }
    }
}

impl fmt::Display for LineProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "is longer than 4096 bytes",
            Self::Random => "has no client random of 64 hexadecimal digits after its label",
            Self::Secret => {
                "has no secret of 96 hexadecimal digits (or 64 in TLS 1.3) after the client random"
            }
            Self::Rest => "has more than a label, a client random and a secret",
        })
    }
}

impl std::error::Error for SecretsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(error) => Some(error),
            Self::Line { .. } | Self::NotAKeyLog => None,
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").field("sessions", &self.sessions.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for SessionSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionSecrets").finish_non_exhaustive()
    }
}

const RANDOM: usize = 32;
const LINE_LIMIT: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(label: &str, random: u8, secret: u8, length: usize) -> String {
        let hex = |byte: u8, length: usize| format!("{byte:02x}").repeat(length);
        format!("{label} {} {}\n", hex(random, 32), hex(secret, length))
    }

    fn problem(log: &str) -> (u64, LineProblem) {
        match Secrets::read(log.as_bytes()).expect_err("not a key log") {
            SecretsError::Line { number, problem } => (number, problem),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn secrets_are_found_by_session_and_label() {
        let log = [
            "# a comment\r\n\n".to_owned(),
            line("CLIENT_TRAFFIC_SECRET_0", 1, 0xAB, 32).to_uppercase(),
            line("SERVER_TRAFFIC_SECRET_0", 1, 3, 48).replace('\n', "\r\n"),
            line("EXPORTER_SECRET", 1, 4, 32),
            "RSA 0011 zz".to_owned() + "\n",
            line("CLIENT_RANDOM", 2, 5, 48),
        ];
        let secrets = Secrets::read(log.concat().as_bytes()).expect("a key log");
        let one = secrets.of(&[1; 32]).expect("a session");
        assert_eq!(one.get(Label::ClientTraffic), Some(&[0xab; 32][..]));
        assert_eq!(one.get(Label::ServerTraffic), Some(&[3; 48][..]));
        assert_eq!(one.get(Label::Master), None);
        assert!(secrets.of(&[2; 32]).is_some() && secrets.of(&[3; 32]).is_none());
        assert_eq!(format!("{secrets:?}"), "Secrets { sessions: 2, .. }");
        assert_eq!(format!("{one:?}"), "SessionSecrets { .. }");
    }

    #[test]
    fn a_malformed_line_is_named() {
        let good = line("CLIENT_RANDOM", 1, 2, 48);
        let with = |bad: &str| problem(&format!("{good}{bad}\n"));
        assert_eq!(with("CLIENT_RANDOM"), (2, LineProblem::Random));
        assert_eq!(with(line("CLIENT_RANDOM", 1, 2, 32).trim_end()), (2, LineProblem::Secret));
        assert_eq!(with(&good.replace("01", "0x")), (2, LineProblem::Random));
        assert_eq!(with(&good.replace("02\n", "0\n")), (2, LineProblem::Secret));
        assert_eq!(with(&good.replace('\n', " 00")), (2, LineProblem::Rest));
        assert_eq!(with(&"x".repeat(5000)), (2, LineProblem::TooLong));
        // A program may still be writing the last line.
        let partial = format!("{good}{}", &good[..90]);
        assert_eq!(Secrets::read(partial.as_bytes()).expect("a key log").sessions(), 1);
    }

    #[test]
    fn a_file_of_other_lines_is_no_key_log() {
        for log in ["-----BEGIN PRIVATE KEY-----\nMIIB\n", "EXPORTER_SECRET 00 00\n", "\0\x01"] {
            assert!(matches!(Secrets::read(log.as_bytes()), Err(SecretsError::NotAKeyLog)), "{log:?}");
        }
        for log in ["", "# SSL/TLS secrets log file, generated by OpenSSL\n\n"] {
            assert_eq!(Secrets::read(log.as_bytes()).expect("an empty log").sessions(), 0);
        }
    }
}

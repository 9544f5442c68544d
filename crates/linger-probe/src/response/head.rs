//! The head of a response, and what it says about the body.

use httparse::{Header, ParserConfig, Status};

/// What a head says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// The minor version of HTTP/1.
    pub(crate) minor: u8,
    /// The `Server` field.
    pub(crate) server: Option<String>,
    /// Where a redirect leads (RFC 9110 §10.2.2).
    pub(crate) location: Option<String>,
    /// Whether this response is the connection's last (RFC 9112 §9.3).
    pub(crate) closes: bool,
    pub(super) body: Body,
}

impl Head {
    /// The length that it states.
    pub(crate) fn length(&self) -> Option<u64> {
        match self.body {
            Body::Length(length) => Some(length),
            Body::None | Body::Chunked | Body::ToEnd | Body::Invalid(_) => None,
        }
    }
}

/// What delimits a body (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    None,
    Length(u64),
    Chunked,
    ToEnd,
    /// The fields are invalid, for this reason.
    Invalid(&'static str),
}

/// Where a head among these bytes ends. The search starts at `from`.
pub(super) fn end(bytes: &[u8], from: usize) -> Option<usize> {
    let begin = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let from = from.max(begin);
    let mut lines =
        bytes[from..].iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| from + at);
    lines.find_map(|at| match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// Whether these can be the first bytes of an HTTP/1 head.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    let begin = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    let (bytes, version) = (&bytes[begin..], b"HTTP/1.");
    let both = bytes.len().min(version.len());
    bytes[..both] == version[..both]
}

/// Parses a complete head.
///
/// # Errors
/// Why it is invalid, in a few words.
pub(super) fn parse(bytes: &[u8]) -> Result<Head, &'static str> {
    let few = read(bytes, &mut [httparse::EMPTY_HEADER; 64]);
    let more =
        || [1024, 64 << 10].into_iter().find_map(|room| read(bytes, &mut vec![httparse::EMPTY_HEADER; room]));
    few.or_else(more).unwrap_or(Err("more than 65536 header fields"))
}

/// Parses a head. None if `room` is too small for its fields.
fn read<'a>(bytes: &'a [u8], room: &mut [Header<'a>]) -> Option<Result<Head, &'static str>> {
    let mut config = ParserConfig::default();
    // Clients differ in strictness. What a lenient client accepts counts as an answer.
    config
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true);
    let mut response = httparse::Response::new(room);
    Some(match config.parse_response(&mut response, bytes) {
        Ok(Status::Complete(_)) => {
            let (status, minor) = (response.code.unwrap_or_default(), response.version.unwrap_or_default());
            Ok(of(status, minor, response.headers))
        }
        Ok(Status::Partial) => Err("a head that does not end"),
        Err(httparse::Error::TooManyHeaders) => return None,
        Err(httparse::Error::Version | httparse::Error::Token) => Err(super::NOT_HTTP),
        Err(httparse::Error::Status) => Err("an invalid status line"),
        Err(_) => Err("an invalid header field"),
    })
}

fn of(status: u16, minor: u8, headers: &[Header<'_>]) -> Head {
    let values = |name: &'static str| {
        headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    };
    let text = |name| values(name).next().map(|value| String::from_utf8_lossy(value).into_owned());
    let coding = values("transfer-encoding").next_back();
    let is_chunked = coding.and_then(|coding| coding.rsplit(|byte| *byte == b',').next());
    let is_chunked = is_chunked.map(|last| last.trim_ascii().eq_ignore_ascii_case(b"chunked"));
    let body = match (status, is_chunked) {
        (101 | 204 | 304, _) => Body::None,
        (_, Some(true)) => Body::Chunked,
        (_, Some(false)) => Body::ToEnd,
        (_, None) => length(values("content-length")),
    };
    let says = |option: &[u8]| {
        let mut options = values("connection").flat_map(|value| value.split(|byte| *byte == b','));
        options.any(|found| found.trim_ascii().eq_ignore_ascii_case(option))
    };
    let closes = says(b"close") || (minor == 0 && !says(b"keep-alive"));
    Head { status, minor, closes, server: text("server"), location: text("location"), body }
}

/// The length, if all `Content-Length` values are equal (RFC 9110 §8.6).
fn length<'a>(values: impl Iterator<Item = &'a [u8]>) -> Body {
    let mut found = None;
    for part in values.flat_map(|value| value.split(|byte| *byte == b',')) {
        let digits = part.trim_ascii();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Body::Invalid("an invalid Content-Length");
        }
        let Some(length) = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok())
        else {
            return Body::Invalid("a Content-Length beyond 64 bits");
        };
        if *found.get_or_insert(length) != length {
            return Body::Invalid("two Content-Lengths that differ");
        }
    }
    found.map_or(Body::ToEnd, Body::Length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_kept_as_its_response_says() {
        for (head, kept) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\nconnection: x, close\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", true),
        ] {
            assert_eq!(parse(head.as_bytes()).map(|head| !head.closes), Ok(kept), "{head}");
        }
    }

    #[test]
    fn many_and_folded_fields_are_read() {
        let fields: String = "X: a\r\n".repeat(1500);
        let head = format!("HTTP/1.1 200 OK\r\n{fields}X: a\r\n  folded\r\nContent-Length: 2\r\n\r\n");
        assert_eq!(parse(head.as_bytes()).map(|head| head.length()), Ok(Some(2)));
    }
}

//! Is the whole response there?

/// The first final response among some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Bytes of body that arrived.
    pub(crate) body_bytes: u64,
    /// Whether the whole body did. One that the connection's end delimits is complete at the end only.
    pub(crate) complete: bool,
}

/// Finds it. `ended`: whether a clean end followed these bytes, which delimits a body without a length (RFC 9112 §6.3).
///
/// # Errors
/// The first bytes are no response.
pub(crate) fn parse(mut bytes: &[u8], ended: bool) -> Result<Option<Response>, httparse::Error> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head) = response.parse(bytes)? else { return Ok(None) };
        let status = response.code.unwrap_or_default();
        let body = &bytes[head..];
        // An interim response: another follows (RFC 9110 §15.2). 101 ends HTTP on this connection.
        if (100..200).contains(&status) && status != 101 {
            bytes = body;
            continue;
        }
        let value = |name: &str| {
            let mut headers = response.headers.iter();
            let header = headers.find(|header| header.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(header.value).ok()
        };
        let chunked = value("transfer-encoding").is_some_and(|coding| coding.contains("chunked"));
        let length = value("content-length").and_then(|length| length.trim().parse::<u64>().ok());
        let (body_bytes, complete) = match (chunked, length) {
            (true, _) => dechunk(body),
            (false, Some(length)) => (length.min(body.len() as u64), body.len() as u64 >= length),
            (false, None) if matches!(status, 101 | 204 | 304) => (0, true),
            (false, None) => (body.len() as u64, ended),
        };
        return Ok(Some(Response { status, body_bytes, complete }));
    }
}

/// Where a redirect leads (RFC 9110 §10.2.2).
pub(crate) fn location(bytes: &[u8]) -> Option<String> {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(bytes).ok()?;
    let header = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("location"))?;
    Some(String::from_utf8_lossy(header.value).into_owned())
}

/// Bytes of data in the chunks that are there, and whether the last one is (RFC 9112 §7.1).
fn dechunk(mut body: &[u8]) -> (u64, bool) {
    let mut sum = 0;
    while let Ok(httparse::Status::Complete((begin, size))) = httparse::parse_chunk_size(body) {
        let here = (body.len() - begin) as u64;
        if size == 0 {
            let trailers = &body[begin..];
            return (sum, trailers.starts_with(b"\r\n") || trailers.windows(4).any(|end| end == b"\r\n\r\n"));
        }
        if here < size + 2 {
            return (sum + here.min(size), false);
        }
        sum += size;
        // Fits, since that many are here.
        body = &body[begin + usize::try_from(size).unwrap_or(usize::MAX - begin - 2) + 2..];
    }
    (sum, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8], ended: bool) -> Response {
        parse(bytes, ended).expect("a response").expect("its head is whole")
    }

    #[test]
    fn a_length_delimits() {
        let bytes = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nabcnext";
        assert_eq!(whole(bytes, false), Response { status: 413, body_bytes: 3, complete: true });
        assert_eq!(
            whole(&bytes[..bytes.len() - 5], true),
            Response { status: 413, body_bytes: 2, complete: false }
        );
        assert_eq!(parse(&bytes[..20], true), Ok(None));
    }

    #[test]
    fn chunks_delimit() {
        let bytes =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n";
        assert_eq!(whole(bytes, false), Response { status: 200, body_bytes: 13, complete: true });
        for cut in 1..=28 {
            assert!(!whole(&bytes[..bytes.len() - cut], true).complete, "{cut} bytes");
        }
    }

    #[test]
    fn the_end_delimits_where_nothing_else_does() {
        let bytes = b"HTTP/1.0 200 OK\r\n\r\nabc";
        assert!(whole(bytes, true).complete);
        assert!(!whole(bytes, false).complete);
    }

    #[test]
    fn an_interim_response_is_not_the_response() {
        let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(whole(bytes, false).status, 204);
        assert_eq!(parse(&bytes[..25], false), Ok(None));
    }

    #[test]
    fn something_else_is_an_error() {
        assert!(parse(b"SSH-2.0-OpenSSH\r\n", false).is_err());
    }
}

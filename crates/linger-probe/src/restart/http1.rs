//! HTTP/1.1, as far as a restart needs it: one request, and what becomes of it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::stream::{Seen, Stream};
use crate::model::restart::{Ending, Fate};
use crate::response::Reader;
use crate::target::{Options, Target};

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) fate: Fate,
    pub(super) status: Option<u16>,
    /// Whether the connection can take another request.
    pub(super) is_kept: bool,
}

/// A request's head. `length` is that of its body.
pub(super) fn head(
    target: &Target,
    options: &Options,
    method: &str,
    path: &str,
    length: Option<u64>,
) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", target.authority);
    for field in target.header_fields(options) {
        head += field;
        head += "\r\n";
    }
    if let Some(length) = length {
        head += "Content-Length: ";
        head += &length.to_string();
        head += "\r\n";
    }
    head += "\r\n";
    head.into_bytes()
}

/// A connection without a request under way.
pub(super) struct Http1 {
    stream: Stream,
}

impl Http1 {
    pub(super) async fn open(target: &Target) -> io::Result<Self> {
        Ok(Self { stream: Stream::open(target, false).await? })
    }

    pub(super) fn seen(&self) -> Seen {
        self.stream.seen()
    }

    pub(super) fn split(self) -> (impl AsyncRead + Unpin, impl AsyncWrite + Unpin, Seen) {
        let seen = self.seen();
        let (reader, writer) = tokio::io::split(self.stream);
        (reader, writer, seen)
    }

    /// Sends a request, and returns its outcome.
    pub(super) async fn ask(&mut self, request: &[u8]) -> Outcome {
        let written = async {
            self.stream.write_all(request).await?;
            self.stream.flush().await
        };
        // If the write fails, what can be read afterwards explains it.
        let _ = written.await;
        let seen = self.seen();
        outcome(&mut self.stream, &seen).await
    }

    /// Whether the connection has ended already. This does not wait.
    pub(super) async fn has_ended(&mut self) -> bool {
        let mut bytes = [0; 1024];
        let mut buffer = ReadBuf::new(&mut bytes);
        let stream = &mut self.stream;
        poll_fn(|cx| Poll::Ready(_ = Pin::new(&mut *stream).poll_read(cx, &mut buffer))).await;
        self.stream.seen().end().is_some()
    }

    /// Reads until the connection ends, and closes this side.
    pub(super) async fn drain(&mut self) {
        drain(&mut self.stream).await;
        // Over TLS this sends a close_notify, to which no answer is needed.
        let _ = self.stream.shutdown().await;
    }
}

/// Reads until the end.
pub(super) async fn drain(reader: &mut (impl AsyncRead + Unpin)) {
    let mut bytes = [0; 4096];
    while matches!(reader.read(&mut bytes).await, Ok(read) if read > 0) {}
}

/// Reads a response until it is whole or the connection ends.
pub(super) async fn outcome(reader: &mut (impl AsyncRead + Unpin), seen: &Seen) -> Outcome {
    let (mut response, mut bytes) = (Reader::new(), vec![0; 16 << 10]);
    let mut is_empty = true;
    loop {
        let read = reader.read(&mut bytes).await.unwrap_or(0);
        is_empty &= read == 0;
        response.take(&bytes[..read]);
        let end = seen.end().filter(|_| read == 0).map(|end| end.ending);
        let found = response.response(end == Some(Ending::Fin));
        let status = found.map(|found| found.status);
        let fate = match end {
            _ if found.is_some_and(|found| found.complete) => Fate::Answered,
            Some(Ending::Reset) => Fate::Reset,
            _ if response.fault().is_some() => Fate::Cut,
            _ if read > 0 => continue,
            _ if is_empty => Fate::Unanswered,
            _ => Fate::Cut,
        };
        let takes_more = response.head().is_some_and(|head| !head.closes);
        let is_kept = fate == Fate::Answered && end.is_none() && takes_more;
        return Outcome { fate, status, is_kept };
    }
}

//! Uploads.
//!
//! The client holds the last bytes of each upload back for a moment. A server that refuses the upload answers
//! before it has them; one that does not answer has read everything else and waits for them.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Run, ZEROS};
use crate::connection::Moved;

impl Run {
    pub(super) async fn upload(&mut self, bytes: u64, reading: bool, timeout: Duration) {
        if self.answered.is_some() {
            return;
        }
        self.repeat(&ZEROS, bytes - 1, reading, Instant::now() + timeout).await;
        self.finish(b"\0", reading, timeout).await;
    }

    /// Sends whole chunks only, so that the last chunk can follow at any point.
    pub(super) async fn upload_chunked(&mut self, bytes: u64, reading: bool, timeout: Duration) {
        let block = [format!("{:x}\r\n", ZEROS.len()).as_bytes(), &ZEROS, b"\r\n"].concat();
        let times = (bytes / ZEROS.len() as u64).max(1);
        self.repeat(&block, times * block.len() as u64, reading, Instant::now() + timeout).await;
        self.finish(b"0\r\n\r\n", reading, timeout).await;
    }

    pub(super) async fn upload_slowly(
        &mut self,
        pieces: u32,
        bytes: usize,
        pause: Duration,
        reading: bool,
        timeout: Duration,
    ) {
        for piece in 1..=pieces {
            let some = if piece == pieces { bytes - 1 } else { bytes };
            self.connection.send(&ZEROS[..some], reading, Instant::now() + timeout).await;
            if self.connection.write_failed {
                return;
            }
            sleep(pause).await;
        }
        self.finish(b"\0", reading, timeout).await;
    }

    /// Sends as much as flow control allows, and reads meanwhile.
    pub(super) async fn http2_upload(&mut self, bytes: u64, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let mut left = bytes;
        while left > 0 && !self.http2_is_done() {
            let Some(frames) = &mut self.connection.received.http2 else { return };
            if frames.room() == 0 {
                if self.connection.receive(deadline).await != Moved::Some {
                    return;
                }
                continue;
            }
            let frame = if left > 1 { frames.data(left - 1, false) } else { frames.data(1, true) };
            left -= (frame.len() - crate::http2::HEADER) as u64;
            if self.connection.send(&frame, true, deadline).await == Moved::TimedOut {
                return;
            }
            self.connection.reply(deadline).await;
            if left == 1 {
                self.hold().await;
            }
        }
    }

    /// Sends the end of an upload, after giving the server a moment to answer without it.
    async fn finish(&mut self, end: &[u8], reading: bool, timeout: Duration) {
        if self.connection.write_failed || self.is_answered() {
            return;
        }
        self.hold().await;
        self.connection.send(end, reading, Instant::now() + timeout).await;
    }

    /// Waits a moment for an answer, and notes whether none came.
    async fn hold(&mut self) {
        let until = Instant::now() + HOLD;
        while self.connection.received.http1.head().is_none() && !self.http2_is_done() {
            if self.connection.receive(until).await != Moved::Some {
                break;
            }
        }
        let answers = self.connection.received.http1.head().is_some() || self.http2_is_done();
        self.read_everything = !answers && !self.connection.write_failed;
    }

    /// Whether sending more of an HTTP/2 upload is pointless.
    fn http2_is_done(&mut self) -> bool {
        let frames = self.connection.received.http2.as_ref();
        let done = frames
            .is_some_and(|frames| frames.is_answered() || frames.status.is_some() || frames.goaway.is_some());
        self.is_answered() || done || self.connection.is_over() || self.connection.write_failed
    }
}

/// More than a server needs to refuse a request on a busy machine.
const HOLD: Duration = Duration::from_secs(1);

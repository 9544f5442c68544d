//! What the server's side does with its connection before the close.

use std::io;
use std::time::Duration;

use arbitrary::Arbitrary;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use tower_linger::{LingerIo, Transport};

/// What a service does.
#[derive(Debug, Clone, Arbitrary)]
pub(super) struct Service {
    /// How many reads it does.
    reads: u8,
    /// The length of its response.
    writes: u16,
    /// Whether the response has a head that frames it.
    is_http: bool,
    /// Whether it flushes what it wrote.
    flushes: bool,
    /// Whether it ends its writes.
    pub(super) shuts_down: bool,
    /// How many more reads it does after that, as a tunnel would.
    then_reads: u8,
    /// Whether it aborts the connection, or resets it.
    pub(super) abort: bool,
    reset: bool,
    /// Whether it fails.
    fails: bool,
}

impl Service {
    /// The longest that it takes.
    pub(super) const LONGEST: Duration = Duration::from_secs(60);

    /// Serves one connection. Each of its waits is bounded.
    pub(super) async fn serve<T: Transport>(self, mut io: LingerIo<T>) -> io::Result<()> {
        self.use_up(&mut io).await.ok();
        if self.abort {
            io.abort();
        } else if self.reset {
            io.reset();
        }
        if self.fails { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
    }

    async fn use_up<T: Transport>(&self, io: &mut LingerIo<T>) -> io::Result<()> {
        let mut buffer = [0; 4096];
        for _ in 0..self.reads % 16 {
            if timeout(STEP, io.read(&mut buffer)).await?? == 0 {
                break;
            }
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", self.writes);
        if self.is_http {
            timeout(STEP, io.write_all(head.as_bytes())).await??;
        }
        timeout(STEP, io.write_all(&vec![b'.'; self.writes.into()])).await??;
        if self.flushes {
            timeout(STEP, io.flush()).await??;
        }
        if self.shuts_down {
            timeout(STEP, io.shutdown()).await??;
            for _ in 0..self.then_reads % 16 {
                if timeout(STEP, io.read(&mut buffer)).await?? == 0 {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// The longest that a step takes.
const STEP: Duration = Duration::from_secs(1);

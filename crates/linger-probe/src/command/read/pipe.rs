//! Reads a file on a thread of its own, so that Ctrl-C need not wait for a standard input on which nothing
//! comes, and unpacking has a core to itself.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use linger_probe::read::input::{Input, InputError};

use super::each::Lines;

/// How much is read at once, and how many such chunks may wait.
const CHUNK: usize = 256 << 10;
const WAITING: usize = 8;
/// How often a reader that waits looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// What another thread reads.
#[derive(Debug)]
pub(super) struct Pipe {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    taken: usize,
    /// They are written before there is a wait.
    lines: Option<Lines>,
    stop: Arc<AtomicBool>,
    /// How many bytes have been read, packed as they are.
    pub(super) counter: Arc<AtomicU64>,
    /// How many there are, if that is known.
    pub(super) total: Option<u64>,
}

/// The counter of a file and its size, or why it cannot be opened.
type Opened = Result<(Arc<AtomicU64>, Option<u64>), InputError>;

impl Pipe {
    /// Waits for the first bytes. `None` if it is stopped before.
    pub(super) fn open(
        path: &Path,
        lines: Option<Lines>,
        stop: &Arc<AtomicBool>,
    ) -> Option<Result<Self, InputError>> {
        let (give_opened, opened) = sync_channel(1);
        let (give_chunk, chunks) = sync_channel(WAITING);
        let path = path.to_owned();
        // It is left behind if nothing comes until the process ends.
        thread::spawn(move || pump(&path, &give_opened, &give_chunk));
        let opened = receive(&opened, stop)?;
        Some(opened.map(|(counter, total)| Self {
            chunks,
            chunk: Vec::new(),
            taken: 0,
            lines,
            stop: Arc::clone(stop),
            counter,
            total,
        }))
    }
}

fn pump(path: &Path, opened: &SyncSender<Opened>, chunks: &SyncSender<io::Result<Vec<u8>>>) {
    let mut input = match Input::open(path) {
        Ok(input) => input,
        Err(error) => {
            _ = opened.send(Err(error));
            return;
        }
    };
    _ = opened.send(Ok((input.counter(), input.total())));
    loop {
        let mut chunk = vec![0; CHUNK];
        match input.read(&mut chunk) {
            Ok(0) => return,
            Ok(read) => {
                chunk.truncate(read);
                // A short chunk of a slow pipe does not hold on to the memory of a whole one.
                chunk.shrink_to_fit();
                if chunks.send(Ok(chunk)).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                _ = chunks.send(Err(error));
                return;
            }
        }
    }
}

/// The next thing, or `None` at the end or if it is to stop.
fn receive<T>(from: &Receiver<T>, stop: &AtomicBool) -> Option<T> {
    loop {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        match from.recv_timeout(LOOK) {
            Ok(thing) => return Some(thing),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

impl Read for Pipe {
    /// Where it is stopped, it ends.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.chunk.len() {
            let chunk = match self.chunks.try_recv() {
                Ok(chunk) => Some(chunk),
                Err(TryRecvError::Disconnected) => None,
                Err(TryRecvError::Empty) => {
                    // If it fails, it also fails at the end, where that is said.
                    self.lines.iter().for_each(|lines| drop(lines.flush()));
                    receive(&self.chunks, &self.stop)
                }
            };
            match chunk {
                None => return Ok(0),
                Some(chunk) => (self.chunk, self.taken) = (chunk?, 0),
            }
        }
        let rest = self.chunk.get(self.taken..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        Ok(count)
    }
}

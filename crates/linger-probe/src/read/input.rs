//! Opens what is to be read: a file or standard input, compressed or not.

mod zstd;

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Cursor, ErrorKind, IsTerminal as _, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use zstd::ZstdDecoder;

/// What is to be read, unpacked on the way: gzip and zstd are recognised by how they begin, and may consist
/// of several parts.
///
/// Reading fails with [`ErrorKind::UnexpectedEof`] where compressed data is cut off, and with
/// [`ErrorKind::InvalidData`] where it is damaged.
pub struct Input {
    source: Source,
    counter: Arc<AtomicU64>,
    total: Option<u64>,
}

enum Source {
    Plain(Raw),
    Gzip(Box<MultiGzDecoder<BufReader<Raw>>>),
    Zstd(Box<ZstdDecoder<BufReader<Raw>>>),
}

/// The bytes that were read to find out what it is, and then the others.
type Raw = io::Chain<Cursor<Vec<u8>>, Counted>;

impl Input {
    /// Opens this file, or standard input if the path is `-`. Waits for its first bytes.
    ///
    /// # Errors
    /// See [`InputError`].
    pub fn open(path: &Path) -> Result<Self, InputError> {
        if path == Path::new("-") {
            let input = io::stdin();
            if input.is_terminal() {
                return Err(InputError::Terminal);
            }
            return Self::new(Box::new(input), None, path);
        }
        let failed = |error| InputError::of(path, error);
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(InputError::Directory(path.to_owned()));
        }
        let total = metadata.is_file().then_some(metadata.len());
        Self::new(Box::new(file), total, path)
    }

    fn new(input: Box<dyn Read + Send>, total: Option<u64>, path: &Path) -> Result<Self, InputError> {
        let counter = Arc::new(AtomicU64::new(0));
        let mut input = Counted { input, counter: Arc::clone(&counter) };
        let mut start = Vec::new();
        let failed = |error| InputError::of(path, error);
        input.by_ref().take(LONGEST_MAGIC).read_to_end(&mut start).map_err(failed)?;
        if start.is_empty() {
            return Err(InputError::Empty(path.to_owned()));
        }
        let packed = PACKED.into_iter().find(|(magic, ..)| start.starts_with(magic));
        let raw = Cursor::new(start).chain(input);
        let source = match packed {
            None => Source::Plain(raw),
            Some((_, _, Packing::Gzip)) => {
                Source::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, raw))))
            }
            Some((_, _, Packing::Zstd)) => {
                Source::Zstd(Box::new(ZstdDecoder::new(BufReader::with_capacity(BUFFER, raw))))
            }
            Some((_, name, Packing::Unknown(command))) => {
                return Err(InputError::Packed { path: path.to_owned(), name, command });
            }
        };
        Ok(Self { source, counter, total })
    }

    /// How many bytes there are to be read, packed as they are. `None` if that is not known, as for a pipe.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// Counts the bytes that have been read so far, packed as they are. It can be looked at from elsewhere
    /// while the input is read.
    #[must_use]
    pub fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.counter)
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.source {
            Source::Plain(raw) => raw.read(buffer),
            // Damage is what flate2 calls invalid input.
            Source::Gzip(gzip) => gzip.read(buffer).map_err(|error| match error.kind() {
                ErrorKind::InvalidInput => damaged("gzip", &error),
                _ => error,
            }),
            Source::Zstd(zstd) => zstd.read(buffer),
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("counter", &self.counter)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

fn damaged(name: &str, error: &dyn Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("the {name} data is damaged: {error}"))
}

struct Counted {
    input: Box<dyn Read + Send>,
    counter: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.counter.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Why something cannot be opened. Its `Display` is one line that names the file, and the fix where there is
/// one.
#[derive(Debug)]
#[non_exhaustive]
pub enum InputError {
    /// There is no such file.
    NotFound(PathBuf),
    /// It is a directory.
    Directory(PathBuf),
    /// This process may not read it.
    NotPermitted(PathBuf),
    /// It has no bytes.
    Empty(PathBuf),
    /// Standard input is a terminal.
    Terminal,
    /// It is packed in a way that is not known.
    Packed {
        /// The file.
        path: PathBuf,
        /// What packed it.
        name: &'static str,
        /// What unpacks it to standard output.
        command: &'static str,
    },
    /// Reading failed.
    Io {
        /// The file.
        path: PathBuf,
        /// How it failed.
        error: io::Error,
    },
}

impl InputError {
    fn of(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound(path),
            // Windows does not permit to open directories.
            ErrorKind::PermissionDenied if path.is_dir() => Self::Directory(path),
            ErrorKind::PermissionDenied => Self::NotPermitted(path),
            _ => Self::Io { path, error },
        }
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(path) => write!(f, "{}: there is no such file", path.display()),
            Self::Directory(path) => {
                write!(f, "{}: this is a directory: name the capture files in it", path.display())
            }
            Self::NotPermitted(path) => {
                write!(f, "{}: no permission to read it", path.display())
            }
            Self::Empty(path) => write!(f, "{}: it is empty", path.display()),
            Self::Terminal => f.write_str(
                "-: standard input is a terminal: pipe a capture into it, as in `tcpdump -w - | …`",
            ),
            Self::Packed { path, name, command } => {
                let path = path.display();
                write!(f, "{path}: it is packed with {name}: unpack it first, as in `{command} {path} | …`")
            }
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl Error for InputError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

#[derive(Clone, Copy)]
enum Packing {
    Gzip,
    Zstd,
    /// What unpacks it.
    Unknown(&'static str),
}

/// How packed files begin, and what packs them so.
const PACKED: [(&[u8], &str, Packing); 6] = [
    (&[0x1f, 0x8b], "gzip", Packing::Gzip),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd", Packing::Zstd),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz", Packing::Unknown("xz -dc")),
    (b"BZh", "bzip2", Packing::Unknown("bzip2 -dc")),
    (&[0x04, 0x22, 0x4d, 0x18], "lz4", Packing::Unknown("lz4 -dc")),
    (b"PK\x03\x04", "zip", Packing::Unknown("unzip -p")),
];
const LONGEST_MAGIC: u64 = 6;
const BUFFER: usize = 64 * 1024;

#[cfg(test)]
mod tests;

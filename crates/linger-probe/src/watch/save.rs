//! Writes the packets of connections into files, on a thread of its own: a slow disk must not delay the
//! capture.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, UNIX_EPOCH};

use linger_probe::read::Kind;
use linger_probe::shown::escaped;
use linger_wire::decode::LinkType;
use linger_wire::file::Writer;
use linger_wire::trace::Connection;

use super::rings::Kept;

/// Which connections are saved, and where.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) kinds: BTreeSet<Kind>,
    pub(crate) folder: PathBuf,
    pub(crate) most_files: u64,
}

impl Wanted {
    /// Creates the folder and checks that files can be created in it.
    pub(crate) fn prepare(&self) -> Result<(), String> {
        fs::create_dir_all(&self.folder)
            .and_then(|()| tempfile::tempfile_in(&self.folder))
            .map(drop)
            .map_err(|error| format!("--save {}: {error}", self.folder.display()))
    }
}

/// What became of the connections of the wanted kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Saved {
    /// Files that were written.
    pub(crate) files: u64,
    /// Connections beyond the limit of files.
    pub(crate) over_limit: u64,
    /// Connections whose packets had been forgotten, because memory for packets was short.
    pub(crate) forgotten: u64,
    /// Connections that the disk was too slow for.
    pub(crate) too_slow: u64,
    /// Files that could not be written.
    pub(crate) failed: u64,
}

impl Saved {
    /// What was not saved and why, in clauses.
    pub(crate) fn missed(&self) -> Vec<String> {
        let reasons = [
            (self.over_limit, "beyond --save-limit"),
            (self.forgotten, "for which --save-memory was too little"),
            (self.too_slow, "for which the disk was too slow"),
            (self.failed, "because their file could not be written"),
        ];
        let missed = reasons.into_iter().filter(|(count, _)| *count > 0);
        missed.map(|(count, why)| format!("{count} {why}")).collect()
    }
}

/// Saves connections.
#[derive(Debug)]
pub(crate) struct Saver {
    wanted: Wanted,
    sender: SyncSender<Job>,
    writer: JoinHandle<Written>,
    saved: Saved,
    /// How many were handed to the writer.
    begun: u64,
}

#[derive(Debug)]
struct Job {
    name: String,
    packets: Vec<Kept>,
}

#[derive(Debug, Default)]
struct Written {
    files: u64,
    failed: u64,
}

impl Saver {
    pub(crate) fn start(wanted: Wanted) -> io::Result<Self> {
        let (sender, jobs) = sync_channel(WAITING);
        let folder = wanted.folder.clone();
        let writer =
            std::thread::Builder::new().name("save".to_owned()).spawn(move || write_all(&jobs, &folder))?;
        Ok(Self { wanted, sender, writer, saved: Saved::default(), begun: 0 })
    }

    pub(crate) fn wants(&self, kind: Kind) -> bool {
        self.wanted.kinds.contains(&kind)
    }

    /// Saves the packets of a connection of a wanted kind.
    pub(crate) fn save(&mut self, connection: &Connection, kind: Kind, packets: Vec<Kept>) {
        if packets.is_empty() {
            self.saved.forgotten += 1;
        } else if self.begun >= self.wanted.most_files {
            if self.saved.over_limit == 0 {
                eprintln!("--save-limit {} is reached: no more files are written", self.wanted.most_files);
            }
            self.saved.over_limit += 1;
        } else {
            let job = Job { name: name(connection.end.at, kind, connection.client), packets };
            match self.sender.try_send(job) {
                Ok(()) => self.begun += 1,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.saved.too_slow += 1,
            }
        }
    }

    /// How many files were begun.
    pub(crate) fn begun(&self) -> u64 {
        self.begun
    }

    /// Waits until everything is written.
    pub(crate) fn finish(self) -> Saved {
        drop(self.sender);
        let written = self.writer.join().unwrap_or_default();
        Saved { files: written.files, failed: written.failed, ..self.saved }
    }
}

fn write_all(jobs: &Receiver<Job>, folder: &Path) -> Written {
    let mut written = Written::default();
    for job in jobs {
        match write(folder, &job) {
            Ok(()) => written.files += 1,
            Err(error) => {
                if written.failed == 0 {
                    let path = folder.join(&job.name).display().to_string();
                    eprintln!("--save: {}: {error}", escaped(&path));
                }
                written.failed += 1;
            }
        }
    }
    written
}

fn write(folder: &Path, job: &Job) -> io::Result<()> {
    let mut writer = Writer::new(BufWriter::new(create(folder, &job.name)?), LinkType::Ip)?;
    for packet in &job.packets {
        writer.write(&packet.frame())?;
    }
    writer.flush()
}

/// Creates a file that was not there. Only its owner may read it: packets may hold passwords and cookies.
fn create(folder: &Path, name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut result = options.open(folder.join(format!("{name}.pcapng")));
    for number in 2..=SAME_NAME {
        match result {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                result = options.open(folder.join(format!("{name}-{number}.pcapng")));
            }
            result => return result,
        }
    }
    result
}

/// The name of a file: when the connection ended, how, and whose it was. It has no colons, which other
/// systems do not allow.
fn name(at: Duration, kind: Kind, client: SocketAddr) -> String {
    let time = humantime::format_rfc3339_micros(UNIX_EPOCH + at).to_string();
    format!("{time}-{kind}-{}-{}", client.ip(), client.port()).replace(':', "-")
}

/// How many connections may wait for the disk.
const WAITING: usize = 256;
/// How many connections of one client may end in the same way at the same microsecond.
const SAME_NAME: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_when_how_and_whose() {
        let at = Duration::from_micros(1_795_709_965_123_456);
        let client = "[2001:db8::1]:50123".parse().expect("an address");
        let found = name(at, Kind::ServerReset, client);
        assert_eq!(found, "2026-11-26T16-19-25.123456Z-server_reset-2001-db8--1-50123");
    }

    #[test]
    fn no_file_is_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        for expected in ["a.pcapng", "a-2.pcapng", "a-3.pcapng"] {
            create(folder.path(), "a").expect("creates");
            assert!(folder.path().join(expected).is_file(), "{expected}");
        }
        let refused = Wanted {
            kinds: BTreeSet::new(),
            folder: folder.path().join("a.pcapng").join("b"),
            most_files: 1,
        };
        let error = refused.prepare().expect_err("a file is no folder");
        assert!(error.starts_with("--save ") && !error.contains('\n'), "{error}");
    }
}

//! `--anonymise`: a copy of the trace without payload, names and addresses.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use linger_wire::decode::{Frame, LinkType};
use linger_wire::file::{Anonymiser, Writer};

use crate::command::CommandError;

/// Writes the copy while the trace is read.
#[derive(Debug)]
pub(super) struct Anonymous {
    path: PathBuf,
    anonymiser: Anonymiser,
    writer: Writer<BufWriter<File>>,
}

impl Anonymous {
    /// Begins the file. One that is there is overwritten, unless it is one of those that are read.
    pub(super) fn create(path: &Path, files: &[PathBuf]) -> Result<Self, CommandError> {
        let is_read = fs::canonicalize(path)
            .is_ok_and(|path| files.iter().any(|file| fs::canonicalize(file).is_ok_and(|file| file == path)));
        if is_read {
            return Err(wrong(path, &"this is one of the files to read: name another one"));
        }
        let writer = File::create(path).and_then(|file| Writer::new(BufWriter::new(file), LinkType::Ip));
        let writer = writer.map_err(|error| wrong(path, &error))?;
        Ok(Self { path: path.to_owned(), anonymiser: Anonymiser::new(), writer })
    }

    pub(super) fn push(&mut self, frame: &Frame<'_>) -> Result<(), CommandError> {
        self.anonymiser.push(frame);
        self.write()
    }

    pub(super) fn finish(&mut self) -> Result<(), CommandError> {
        self.anonymiser.finish();
        self.write()?;
        self.writer.flush().map_err(|error| wrong(&self.path, &error))
    }

    fn write(&mut self) -> Result<(), CommandError> {
        while let Some(frame) = self.anonymiser.next_frame() {
            self.writer.write(&frame).map_err(|error| wrong(&self.path, &error))?;
        }
        Ok(())
    }
}

fn wrong(path: &Path, why: &dyn Display) -> CommandError {
    CommandError(format!("--anonymise {}: {why}", path.display()))
}

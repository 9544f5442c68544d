//! From files to sums: frames, packets, connections, verdicts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use linger_probe::read::Tally;
use linger_probe::read::filter::{Filter, lets_pass};
use linger_probe::read::input::Input;
use linger_probe::read::model::{ConnectionReport, Reading, Source};
use linger_wire::decode::{Decoded, Frame, decode};
use linger_wire::file::{Ending, FileError, Reader};
use linger_wire::trace::{Analyser, Connection, Settings};

use super::anonymous::Anonymous;
use super::each::{Each, Lines};
use super::pipe::Pipe;
use crate::command::CommandError;

/// After how many frames the progress is shown, and it is looked at whether to stop.
const LOOK: u64 = 4096;

/// What connections go through.
#[derive(Debug)]
pub(super) struct Pipeline {
    analyser: Analyser,
    filters: Vec<Filter>,
    lines: Option<Lines>,
    anonymous: Option<Anonymous>,
    tally: Tally,
}

/// What was read, and why it is not everything.
type Read = (Reading, Option<String>);

impl Pipeline {
    pub(super) fn new(
        settings: Settings,
        filters: Vec<Filter>,
        each: Option<Each>,
        anonymous: Option<Anonymous>,
    ) -> Self {
        let (analyser, lines) = (Analyser::new(settings), each.map(Lines::new));
        Self { analyser, filters, lines, anonymous, tally: Tally::default() }
    }

    /// Reads these files one after the other as one trace. What cannot be read to its end has its results so
    /// far, and no further file is read.
    ///
    /// # Errors
    /// If a file cannot be opened or is no capture, or the connections cannot be written.
    pub(super) fn read(mut self, files: &[PathBuf], stop: &Arc<AtomicBool>) -> Result<Read, CommandError> {
        let mut sources = Vec::new();
        let mut trouble = None;
        for file in files {
            let source = self.file(file, stop)?;
            let Some((source, failure)) = source else { break };
            sources.push(source);
            if stop.load(Ordering::Relaxed) {
                break;
            }
            if let Some(why) = failure {
                trouble = Some(format!("{}: {why}", file.display()));
                break;
            }
        }
        self.analyser.finish();
        self.take_ended()?;
        if let Some(lines) = &self.lines {
            lines.flush()?;
        }
        if let Some(anonymous) = &mut self.anonymous {
            anonymous.finish()?;
        }
        Ok((self.tally.finish(sources), trouble))
    }

    /// Reads one file. Returns what it was, and why there may be more in it; `None` if it was stopped before it
    /// began.
    fn file(
        &mut self,
        file: &Path,
        stop: &Arc<AtomicBool>,
    ) -> Result<Option<(Source, Option<String>)>, CommandError> {
        let Some(pipe) = Pipe::open(file, self.lines.clone(), stop) else { return Ok(None) };
        let pipe = pipe?;
        let (counter, bar) = (Arc::clone(&pipe.counter), progress(file, pipe.total));
        let mut reader = match Reader::new(pipe) {
            Ok(reader) => reader,
            Err(_) if stop.load(Ordering::Relaxed) => return Ok(None),
            Err(error) => return Err(wrong(file, &error)),
        };
        let mut source = Source { name: file.display().to_string(), ..Source::default() };
        let mut frames = 0u64;
        let failure = loop {
            match reader.next_frame() {
                Ok(Some(frame)) => self.frame(&frame, &mut source)?,
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
            frames += 1;
            if frames.is_multiple_of(LOOK) {
                bar.set_position(counter.load(Ordering::Relaxed));
                if stop.load(Ordering::Relaxed) {
                    break None;
                }
            }
        };
        bar.finish_and_clear();
        source.bytes = counter.load(Ordering::Relaxed);
        source.dropped = reader.dropped();
        source.unknown = reader.skipped();
        source.trouble = match &failure {
            // Nothing in it could be read.
            Some(error @ FileError::LinkType(_)) => return Err(wrong(file, error)),
            Some(error) => Some(format!("it could not be read to its end: {error}")),
            None if stop.load(Ordering::Relaxed) => None,
            None => ending(reader.ending()),
        };
        // A program that is killed while it captures cuts its last packet off: there is no more.
        let is_all = failure.is_none() && !matches!(reader.ending(), Ending::Damaged(_));
        let why = source.trouble.clone().filter(|_| !is_all);
        Ok(Some((source, why)))
    }

    fn frame(&mut self, frame: &Frame<'_>, source: &mut Source) -> Result<(), CommandError> {
        if let Some(anonymous) = &mut self.anonymous {
            anonymous.push(frame)?;
        }
        match decode(frame) {
            Decoded::Packet(packet) => {
                source.packets += 1;
                self.analyser.push(&packet);
                self.take_ended()?;
            }
            Decoded::Fragment => source.fragments += 1,
            Decoded::Other => source.others += 1,
            Decoded::Damaged => source.damaged += 1,
        }
        Ok(())
    }

    fn take_ended(&mut self) -> Result<(), CommandError> {
        while let Some(connection) = self.analyser.next_ended() {
            if lets_pass(&self.filters, &connection) {
                self.take(&connection)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, connection: &Connection) -> Result<(), CommandError> {
        let verdicts = self.tally.add(connection);
        match &self.lines {
            Some(lines) => lines.write(&ConnectionReport::new(connection, verdicts, false)),
            None => Ok(()),
        }
    }
}

/// Opens a file and reads its beginning, to see early that it is a capture.
pub(super) fn open(file: &Path) -> Result<(), CommandError> {
    Reader::new(Input::open(file)?).map_err(|error| wrong(file, &error))?;
    Ok(())
}

fn wrong(file: &Path, error: &FileError) -> CommandError {
    CommandError(format!("{}: {error}", file.display()))
}

fn ending(ending: Ending) -> Option<String> {
    match ending {
        Ending::Complete => None,
        Ending::Truncated(at) => Some(format!("it is cut off within the packet or block at byte {at}")),
        Ending::Damaged(at) => Some(format!("it is damaged at byte {at}, and what follows was not read")),
    }
}

/// The bytes that were read, of how many if that is known. It is shown on a terminal only.
fn progress(file: &Path, total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{elapsed_precise} [{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}: {wide_msg}",
        None => "{elapsed_precise} {bytes}, {bytes_per_sec}: {wide_msg}",
    };
    let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
    let style = ProgressStyle::with_template(template);
    let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.with_message(linger_probe::shown::shown(&file.display().to_string()))
}

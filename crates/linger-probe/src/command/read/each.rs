//! `--each`: a line for each connection.

use std::io::{self, BufWriter, Stdout, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use linger_probe::read::model::ConnectionReport;
use linger_probe::report::connection_line;
use linger_probe::shown::escaped_json;
use serde::Serialize;

use crate::command::CommandError;

/// How connections are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Each {
    /// A line of text.
    Text,
    /// A line of JSON.
    Json,
}

/// Writes connections to stdout. Lines are held back until there are many of them or the input makes its reader
/// wait, so that a million of them is no million system calls.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    each: Each,
    output: Arc<Mutex<BufWriter<Stdout>>>,
}

impl Lines {
    pub(super) fn new(each: Each) -> Self {
        let output = BufWriter::with_capacity(64 << 10, io::stdout());
        Self { each, output: Arc::new(Mutex::new(output)) }
    }

    pub(super) fn write(&self, connection: &ConnectionReport) -> Result<(), CommandError> {
        let line = match self.each {
            Each::Text => connection_line(connection),
            Each::Json => line(connection)?,
        };
        writeln!(self.output(), "{line}").map_err(failed)
    }

    pub(super) fn flush(&self) -> Result<(), CommandError> {
        self.output().flush().map_err(failed)
    }

    fn output(&self) -> MutexGuard<'_, BufWriter<Stdout>> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: io::Error) -> CommandError {
    CommandError(format!("cannot write the result: {error}"))
}

/// Prints this value as JSON on one line.
pub(super) fn json(value: &impl Serialize) -> Result<(), CommandError> {
    let line = line(value)?;
    crate::command::print(format_args!("{line}\n"))
}

fn line(value: &impl Serialize) -> Result<String, CommandError> {
    Ok(escaped_json(&serde_json::to_string(value)?))
}

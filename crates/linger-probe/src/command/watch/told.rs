//! What `watch` says: a line each second, and the result.

use std::fmt::Write as _;
use std::io;

use linger_probe::read::Severity;
use linger_probe::read::model::{KernelCount, Reading};

use crate::command::output::OutputArgs;
use crate::command::{CommandError, print};
use crate::watch::save::Saved;
use crate::watch::{Second, Watched};

/// Writes the line of a second, if stdout is for people.
pub(super) fn to_stdout(second: &Second) -> io::Result<()> {
    use std::io::Write as _;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{second}").and_then(|()| stdout.flush())
}

/// Writes the line of a second where stdout has the result for a program.
#[allow(clippy::unnecessary_wraps, reason = "it stands for the other one")]
pub(super) fn to_stderr(second: &Second) -> io::Result<()> {
    eprintln!("{second}");
    Ok(())
}

/// Writes the result. Returns whether no connection lost something.
pub(super) fn tell(watched: Watched, output: &OutputArgs) -> Result<bool, CommandError> {
    let mut reading = watched.tally.finish(vec![watched.source]);
    let (before, after) = &watched.kernel;
    let grown = after.since(before).filter(|(_, growth)| *growth > 0);
    let count = |(counter, growth): (crate::watch::kernel::Counter, u64)| KernelCount {
        name: counter.name,
        growth,
        meaning: counter.meaning,
    };
    reading.kernel = grown.map(count).collect();
    output.tell_reading(&reading)?;
    if output.is_text() {
        print(format_args!("\n{}", kernel(&reading)))?;
    }
    if let Some(saved) = watched.saved {
        eprintln!("{}", saved_words(saved));
    }
    Ok(reading.at_least(Severity::LosesResponses) == 0)
}

/// The kernel's counters, a line each.
fn kernel(reading: &Reading) -> String {
    if reading.kernel.is_empty() {
        return "No counter of the kernel for ends of connections has grown.\n".to_owned();
    }
    let mut text =
        "Counters of the kernel, which count all ports of this network namespace, grew by:\n".to_owned();
    for count in &reading.kernel {
        // Writing to a string cannot fail.
        _ = writeln!(text, "{:>10} {:19} {}", count.growth, count.name, count.meaning);
    }
    text
}

fn saved_words(saved: Saved) -> String {
    let connections = if saved.files == 1 { "1 connection" } else { &format!("{} connections", saved.files) };
    match saved.missed() {
        none if none.is_empty() => format!("saved {connections}"),
        missed => format!("saved {connections}; not saved: {}", missed.join(", ")),
    }
}

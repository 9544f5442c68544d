//! The trace of one seed: what turmoil and the crate tell `tracing`, with the simulation's time.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{MakeWriter, layer};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

thread_local! {
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static IS_ON: Cell<bool> = const { Cell::new(false) };
}

/// Prints it from now on.
pub(crate) fn print() {
    IS_ON.set(true);
    let of_interest =
        filter_fn(|event| ["turmoil", "tower_linger"].iter().any(|name| event.target().starts_with(name)));
    let lines = layer().with_timer(Simulated).with_ansi(false).with_target(false).with_writer(Short);
    tracing_subscriber::registry().with(lines.with_filter(of_interest)).init();
}

/// The simulation's time is this.
pub(crate) fn at(now: Duration) {
    NOW.set(now);
}

/// A line of our own.
pub(crate) fn note(what: fmt::Arguments<'_>) {
    if IS_ON.get() {
        println!("{:?} {what}", NOW.get());
    }
}

struct Simulated;

impl FormatTime for Simulated {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        write!(w, "{:?}", NOW.get())
    }
}

/// Standard output, without most of the bytes of each segment.
struct Short;

const LONGEST_LINE: usize = 180;

impl<'a> MakeWriter<'a> for Short {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl Write for Short {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        println!("{}", text.trim_end().chars().take(LONGEST_LINE).collect::<String>());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

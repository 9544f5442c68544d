//! The commands, and what they share: how values are read and how results are printed.

use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

use clap::Subcommand;
use linger_probe::battery;
use linger_probe::model::Report;

pub(crate) mod check;
#[cfg(unix)]
pub(crate) mod compare;
pub(crate) mod demo;
mod descriptors;
pub(crate) mod load;
mod options;
mod output;
pub(crate) mod read;
#[cfg(unix)]
pub(crate) mod restart;
pub(crate) mod serve;
pub(crate) mod shell;
#[cfg(target_os = "linux")]
pub(crate) mod watch;

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the battery of scenarios against one or more servers, and reports how each server did.
    ///
    /// Exit status: 0 if no failure counts (see --fail-on and --baseline), 1 if one does, 2 if a server could
    /// not be judged completely. The results so far are written in any case, even after Ctrl-C.
    Check(Box<check::CheckArgs>),
    /// Loads servers with many clients at once, one server after the other, and compares them.
    ///
    /// Exit status: 0 if every response arrived whole, 1 if one did not, 2 if a server could not be loaded.
    Load(Box<load::LoadArgs>),
    /// Ends a server with a signal or a command while it has clients of each kind, and reports what each kind
    /// lost.
    ///
    /// Exit status: 0 if no request was lost, 1 if one was, 2 if the test could not be run or was stopped.
    #[cfg(unix)]
    Restart(Box<restart::RestartArgs>),
    /// Reads capture files, and says of each connection how it ended, by whom, and what it cost.
    ///
    /// Exit status: 0 if no connection lost a response (see --fail-on), 1 if one did, 2 if a file is damaged or
    /// could not be read to its end (one that is cut off in its last packet has been read). The results so far
    /// are written in any case, even after Ctrl-C.
    Read(Box<read::ReadArgs>),
    /// Watches how the connections of this host end, live: it only listens, and sends no request. Needs root
    /// or `CAP_NET_RAW`.
    ///
    /// Exit status: 0 if no connection lost something, 1 if one did, 2 if packets could not be captured.
    #[cfg(target_os = "linux")]
    Watch(Box<watch::WatchArgs>),
    /// Shows the same axum app without and with tower-linger: uploads, downloads and a rejected client
    /// certificate, plain and over TLS.
    ///
    /// Exit status: 0 if nothing was lost with the layer, 1 if something was.
    Demo(demo::DemoArgs),
    /// Starts those of nginx, Apache, HAProxy, lighttpd and Go that are installed, and the Rust servers
    /// without and with tower-linger, then checks and loads them side by side. The report names those that
    /// are not installed.
    #[cfg(unix)]
    #[command(alias = "peers")]
    Compare(Box<compare::CompareArgs>),
    /// Runs one of the Rust servers that `compare` starts. `/` answers GET and refuses PUT without reading
    /// it, `/large` has 8 MiB, `/slow` takes 0.7 s, `/upload` reads a PUT, and `/websocket` accepts a
    /// WebSocket.
    Serve(serve::ServeArgs),
    /// Lists the scenarios by the names that `--only` and `--skip` take.
    Scenarios,
    /// Prints a shell script that completes this program's command line.
    Completions(shell::CompletionsArgs),
    /// Prints a manual page. To read it: `linger-probe man check | man -l -`.
    Man(shell::ManArgs),
}

/// Why a command could not run, in one line.
#[derive(Debug)]
pub(crate) struct CommandError(pub(crate) String);

/// Waits for Ctrl-C or SIGTERM.
#[cfg(unix)]
pub(crate) async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
pub(crate) async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

/// Why the report is incomplete, one line per reason.
pub(crate) fn troubles(report: &Report) -> Vec<String> {
    if let Some(why) = &report.interrupted {
        return vec![why.clone()];
    }
    let gaps = report.gaps.iter().map(|gap| gap.why.clone());
    let lost =
        report.targets.iter().filter_map(|target| Some(format!("{}: {}", target.url, target.lost.as_ref()?)));
    gaps.chain(lost).collect()
}

impl<E: std::error::Error> From<E> for CommandError {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

pub(crate) fn scenarios() -> Result<bool, CommandError> {
    for scenario in battery::ALL {
        print(format_args!("{:24} {} ({})\n", scenario.name, scenario.title, scenario.clause))?;
    }
    Ok(true)
}

/// Prints to stdout. `println!` would panic if stdout is full or closed.
pub(crate) fn print(what: impl Display) -> Result<(), CommandError> {
    let mut stdout = std::io::stdout().lock();
    write!(stdout, "{what}")
        .and_then(|()| stdout.flush())
        .map_err(|error| CommandError(format!("cannot write the result: {error}")))
}

/// Reads seconds such as `2.5`: more than 0, at most an hour.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 3600.0 => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("seconds, more than 0 and at most 3600".to_owned()),
    }
}

/// Reads a size such as `32MiB`, `100k` or `5000`: from one byte to 1 TiB. All units are powers of 1024.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => 64,
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1u64.checked_shl(shift)?));
    match bytes {
        Some(bytes) if (1..=1 << 40).contains(&bytes) => Ok(bytes),
        _ => Err("a size such as 500000, 64KiB or 32MiB, at most 1024GiB".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read_or_refused() {
        let sizes =
            [("1", 1), ("32MiB", 32 << 20), ("32m", 32 << 20), ("100k", 100 << 10), ("1 GB", 1 << 30)];
        for (text, bytes) in sizes {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "-1", "1.5M", "M", "1MM", "12x", "99999999999999999999", "2000G"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(seconds("0.2"), Ok(Duration::from_millis(200)));
        for text in ["", "0", "-1", "nan", "inf", "1e9", "5s"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}

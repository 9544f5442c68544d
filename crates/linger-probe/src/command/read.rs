//! `linger-probe read`: says of each connection in a capture file how it ended.

use std::fmt::Display;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use linger_probe::model::Severity;
use linger_probe::read::filter::Filter;
use linger_wire::secrets::Secrets;
use linger_wire::trace::Settings;

use super::CommandError;
use super::check::FailOn;
use super::output::OutputArgs;

mod anonymous;
mod each;
mod pipe;
mod pipeline;

use self::anonymous::Anonymous;
use self::each::Each;
use self::pipeline::{Pipeline, open};

/// How many events of a connection's ladder are kept.
pub(crate) const LADDER_EVENTS: usize = 64;

#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// Capture files: pcap or pcapng, also packed by gzip or zstd. `-` is standard input, as in `tcpdump -w - |
    /// linger-probe read -`. Several files are read in this order as one trace, so that connections go on
    /// from one to the next.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A port of servers. It tells which side is the server where the trace has no handshake of a connection.
    /// Separate several by commas, or repeat the option.
    #[arg(
        long,
        value_name = "PORT",
        value_delimiter = ',',
        value_parser = clap::value_parser!(u16).range(1..),
        help_heading = "Trace"
    )]
    server_port: Vec<u16>,
    /// Counts only connections for which this holds: `address=192.0.2.1`, `client=10.0.0.0/8`,
    /// `server=2001:db8::1`, `port=443` (the server's), `client_port=50000`, `kind=server_reset` or `number=17`.
    /// Several values of a key are separated by commas, and one of them must hold. If the option is repeated,
    /// each key must hold. The kinds are `normal`, `half_closed`, `server_reset_while_receiving`,
    /// `client_reset_while_receiving`, `server_reset`, `client_reset`, `refused`, `no_answer`, `icmp`,
    /// `timeout`, `middlebox` and `open`.
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Trace")]
    filter: Vec<Filter>,
    /// A key log of TLS sessions, as browsers and curl write it to SSLKEYLOGFILE. It names encrypted alerts.
    #[arg(long, value_name = "FILE", help_heading = "Trace")]
    secrets: Option<PathBuf>,
    /// Also writes a copy that can be given away: pcapng, with addresses mapped to others, and payload zeroed but
    /// for what says how connections end. It has every TCP packet and ICMP error, whatever --filter says.
    #[arg(long, value_name = "OUT.pcapng", help_heading = "Output")]
    anonymise: Option<PathBuf>,
    /// Also prints each connection when its end is known: a line, or with --format json an object on a line.
    /// The summary comes last; in JSON, it is the object that has a `schema_version`.
    #[arg(long, help_heading = "Output")]
    each: bool,
    /// The exit status is 1 if a connection has a verdict of at least this severity.
    #[arg(
        long,
        value_enum,
        value_name = "SEVERITY",
        default_value_t = FailOn::LosesResponses,
        help_heading = "Output"
    )]
    fail_on: FailOn,
    #[command(flatten)]
    output: OutputArgs,
}

/// Returns whether no connection has a verdict that counts. After Ctrl-C the results so far are written.
pub(crate) async fn main(args: &ReadArgs) -> Result<bool, CommandError> {
    args.look()?;
    args.output.prepare()?;
    let settings = Settings {
        server_ports: args.server_port.clone(),
        ladder_events: LADDER_EVENTS,
        secrets: args.secrets.as_deref().map(secrets).transpose()?.map(Arc::new),
        ..Settings::default()
    };
    let each = args.each.then(|| if args.output.is_json() { Each::Json } else { Each::Text });
    let anonymous = args.anonymise.as_deref().map(|path| Anonymous::create(path, &args.files)).transpose()?;
    let pipeline = Pipeline::new(settings, args.filter.clone(), each, anonymous);
    let mut interrupted = pin!(super::interrupted());
    // Polled once, so that no signal is missed from here on.
    tokio::select! {
        biased;
        () = &mut interrupted => return Err(CommandError("interrupted before it began".to_owned())),
        () = std::future::ready(()) => {}
    }
    let stop = Arc::new(AtomicBool::new(false));
    let (files, stopped) = (args.files.clone(), Arc::clone(&stop));
    let mut reading = tokio::task::spawn_blocking(move || pipeline.read(&files, &stopped));
    let result = tokio::select! {
        result = &mut reading => result,
        () = interrupted => {
            stop.store(true, Ordering::Relaxed);
            reading.await
        }
    };
    let (mut reading, trouble) = result??;
    if stop.load(Ordering::Relaxed) {
        reading.interrupted = Some("Interrupted: these are the results so far.".to_owned());
    }
    let fail_on = Severity::from(args.fail_on).into();
    reading.fail_on = Some(fail_on);
    reading.filters = args.filter.iter().map(Filter::to_string).collect();
    if args.each && args.output.is_json() {
        args.output.write_page_of(&reading)?;
        each::json(&reading)?;
    } else {
        args.output.tell_reading(&reading)?;
    }
    match trouble {
        Some(why) => Err(CommandError(why)),
        None => Ok(reading.at_least(fail_on) == 0),
    }
}

fn secrets(path: &Path) -> Result<Secrets, CommandError> {
    let wrong = |why: &dyn Display| CommandError(format!("--secrets {}: {why}", path.display()));
    let file = File::open(path).map_err(|error| wrong(&error))?;
    Secrets::read(BufReader::new(file)).map_err(|error| wrong(&error))
}

impl ReadArgs {
    /// Finds what cannot work before anything is read.
    fn look(&self) -> Result<(), CommandError> {
        if self.each && self.output.is_junit() {
            return Err(CommandError("--each has no JUnit: use --format text or json".to_owned()));
        }
        let is_stdin = |file: &&PathBuf| file.as_path() == Path::new("-");
        if self.files.iter().filter(is_stdin).count() > 1 {
            return Err(CommandError("- is standard input, which can be read only once".to_owned()));
        }
        // Not pipes: what is read of them is gone.
        for file in self.files.iter().filter(|file| file.is_file()) {
            open(file)?;
        }
        Ok(())
    }
}

//! The same axum app twice, bare and with tower-linger, under clients that behave as real ones do. One table says what
//! arrived.
//!
//! ```text
//! cargo run --release --example demo
//! ```

mod cases;
mod server;
mod table;

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use tower_linger::LingerLayer;
use tower_linger_examples::{Result, exit};
use tower_linger_tests::certs::Certs;

use crate::cases::{Case, Tally};
use crate::server::Servers;

/// Uploads, downloads and a rejected client certificate, against a bare axum server and the same app with tower-linger.
#[derive(Parser)]
struct Args {
    /// How often each client tries each server.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Size of the upload, MiB.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1024))]
    upload_mib: u32,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(run(&Args::parse()).await)
}

async fn run(args: &Args) -> Result<()> {
    let certs = Arc::new(Certs::make());
    let linger = LingerLayer::default();
    let bare = Servers::bare(&certs).await?;
    let layered = Servers::layered(&certs, &linger).await?;

    let cases = Case::all(args.upload_mib as usize);
    let progress = progress(cases.len() as u64 * 2 * u64::from(args.runs));
    let mut rows = Vec::new();
    for case in cases {
        let mut tallies = [Tally::default(), Tally::default()];
        for (servers, tally) in [&bare, &layered].into_iter().zip(&mut tallies) {
            progress.set_message(format!("{}: {case}", servers.name));
            for _ in 0..args.runs {
                tally.add(&case, &case.run(servers, &certs).await);
                progress.inc(1);
            }
        }
        rows.push((case, tallies));
    }
    progress.finish_and_clear();
    linger.tracker().shutdown(Duration::from_secs(10)).await;

    print(table::render(&rows, args.runs))?;
    let missing: u32 = rows.iter().map(|(_, [_, layered])| args.runs - layered.complete).sum();
    let lost: u32 = rows.iter().map(|(_, [bare, _])| args.runs - bare.complete).sum();
    if missing > 0 {
        return Err(format!("{missing} answers are missing in the layered column: it must not lose any"));
    }
    let tried: u32 = rows.iter().map(|_| args.runs).sum();
    print(format_args!(
        "Every answer arrived with the layer; without it {lost} of the same {tried} were lost."
    ))
}

/// One line, or a table, on stdout: `println!` would panic where that is full or closed.
fn print(what: impl Display) -> Result<()> {
    writeln!(std::io::stdout(), "{what}").map_err(|error| format!("cannot write the result: {error}"))
}

fn progress(length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {pos}/{len} {wide_msg}");
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

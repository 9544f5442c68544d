//! `linger-probe demo`: runs the same axum app without and with tower-linger, under clients that behave as
//! real ones do.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
#[cfg(target_os = "linux")]
use std::path::PathBuf;

use clap::Args;
use linger_probe::battery;
use linger_probe::check::check;
use linger_probe::discover::discover;
use linger_probe::find::find;
use linger_probe::model::{Report, Row, TargetReport};
use linger_probe::scenario::Scenario;
use linger_probe::target::{Options, Target};
use linger_probe::trust::Trust;

use super::options::progress;
use super::output::OutputArgs;
use super::{CommandError, size};
use crate::servers::Stack;
use crate::servers::certs::{self, Certs};

mod library;
#[cfg(target_os = "linux")]
mod wire;

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How often each client tries each server.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// The size of the uploads.
    #[arg(long, default_value = "32MiB", value_parser = size)]
    upload_size: u64,
    /// Writes what is on the wire to this folder, a file for each server: `linger-probe read` tells how the
    /// connections ended. Needs Linux, and root or `CAP_NET_RAW`.
    #[cfg(target_os = "linux")]
    #[arg(long, value_name = "DIR")]
    wire: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// The scenarios of the demo: what users lose today.
const SCENARIOS: [&str; 4] =
    ["early.stops_at_error", "early.reads_while_writing", "large.unread_upload", "flood.alert_certificate"];

/// Returns whether nothing was lost with the layer.
pub(crate) async fn main(args: &DemoArgs) -> Result<bool, CommandError> {
    args.output.prepare()?;
    #[cfg(target_os = "linux")]
    args.wire.as_deref().map_or(Ok(()), wire::prepare)?;
    let options = Options {
        upload_bytes: args.upload_size,
        large_path: Some("/large".to_owned()),
        repetitions: args.runs,
        ..Options::default()
    };
    let folder = tempfile::tempdir()?;
    let certs = Certs::make(folder.path())?;
    let trust = Trust {
        authorities: Some(certs.authority.clone()),
        identity: Some(certs.client.clone()),
        ..Trust::default()
    };
    let scenarios: Vec<&Scenario> =
        battery::ALL.iter().filter(|scenario| SCENARIOS.contains(&scenario.name)).collect();
    let mut targets = Vec::new();
    for (scheme, is_tls) in [("http", false), ("https", true)] {
        for (name, layered) in [("bare", false), ("layered", true)] {
            let address = start(&certs, is_tls, layered)?;
            let name = if is_tls { format!("{name}, TLS") } else { name.to_owned() };
            let target = find(&format!("{name}={scheme}://{address}/"), &trust, &options, false).await?;
            targets.push((target, layered));
        }
    }

    // The row of reqwest is one more.
    let progress = progress((targets.len() * (scenarios.len() + 1)) as u64);
    let mut report = Report::default();
    let (mut tried, mut lost, mut missing) = (0, 0, 0);
    for (target, layered) in &mut targets {
        #[cfg(target_os = "linux")]
        let recording = args.wire.as_deref().map(|folder| wire::start(folder, target)).transpose()?;
        let found = compare(target, &options, &scenarios, &trust, |row| {
            progress.set_message(row.title);
            progress.inc(1);
        });
        let found = found.await?;
        #[cfg(target_os = "linux")]
        recording.map_or(Ok(()), wire::finish)?;
        let attempts = || found.rows.iter().flat_map(|row| &row.attempts);
        let failed = attempts().filter(|attempt| !attempt.passed).count();
        if *layered {
            missing += failed;
        } else {
            tried += attempts().count();
            lost += failed;
        }
        report.targets.push(found);
    }
    progress.finish_and_clear();

    args.output.tell(&report)?;
    eprintln!(
        "Without the layer {lost} of {tried} answers were lost, with it {missing} of the same {tried}."
    );
    #[cfg(target_os = "linux")]
    if let Some(folder) = &args.wire {
        eprintln!("Their packets are in {}: see `linger-probe read`.", folder.display());
    }
    Ok(missing == 0)
}

/// Runs the scenarios, and a real client crate.
async fn compare(
    target: &mut Target,
    options: &Options,
    scenarios: &[&'static Scenario],
    trust: &Trust,
    mut progress: impl FnMut(&Row),
) -> Result<TargetReport, CommandError> {
    let abilities = discover(target, options).await?;
    let mut found = check(target, options, &abilities, scenarios.iter().copied(), &mut progress).await;
    if let Some(why) = found.lost {
        return Err(CommandError(format!("{}: {why}", target.url)));
    }
    let row = library::row(target, options, trust).await?;
    progress(&row);
    // The row stands after the other uploads.
    found.rows.insert(2.min(found.rows.len()), row);
    Ok(found)
}

/// Starts a server that runs as long as the process. Over TLS it asks for a client certificate.
fn start(certs: &Certs, is_tls: bool, layered: bool) -> Result<SocketAddr, CommandError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let (chain, key) = &certs.server;
    let config = is_tls.then(|| certs::config(chain, key, Some(&certs.authority))).transpose();
    let served = Stack::Axum.serve(listener, config.map_err(CommandError)?, layered);
    tokio::spawn(async move {
        if let Err(error) = served.await {
            eprintln!("{address} has ended: {error}");
        }
    });
    Ok(address)
}

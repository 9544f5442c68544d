//! `linger-probe check`: the battery against one or more servers.

use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::HumanBytes;
use linger_probe::battery;
use linger_probe::check::{check, cost};
use linger_probe::discover::{LOOK_CONNECTIONS, discover};
use linger_probe::model::{Report, Verdict};
use linger_probe::scenario::{Opening, Scenario};
use linger_probe::target::{Options, Target};

use super::options::{OutputArgs, TargetArgs, names, path, progress};
use super::{CommandError, seconds, size};

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    battery: BatteryArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What is tried.
#[derive(Debug, Args)]
pub(crate) struct BatteryArgs {
    /// Size of the large uploads: more than sockets buffer.
    #[arg(long, default_value = "32MiB", value_parser = size, help_heading = "Battery")]
    upload_size: u64,
    /// A path that accepts a WebSocket.
    #[arg(long, value_parser = path, help_heading = "Battery")]
    websocket_path: Option<String>,
    /// How often each scenario is tried.
    #[arg(short = 'n', long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000), help_heading = "Battery")]
    repetitions: u32,
    /// Only these scenarios, or groups of them: `early`, `close.idle`. Repeatable, or with commas.
    #[arg(long, value_delimiter = ',', help_heading = "Battery")]
    only: Vec<String>,
    /// Without these scenarios, or groups of them.
    #[arg(long, value_delimiter = ',', help_heading = "Battery")]
    skip: Vec<String>,
    /// Scenarios of this version of HTTP only. HTTP/2 is tried where it is spoken.
    #[arg(long, value_enum, help_heading = "Battery")]
    http: Option<Http>,
    /// For the whole check of each server, in seconds. What has been found by then is told.
    #[arg(long, default_value = "120", value_parser = seconds, help_heading = "Battery")]
    deadline: Duration,
    /// How long to wait for the server to end an idle connection, in seconds.
    #[arg(long, default_value = "5", value_parser = seconds, help_heading = "Battery")]
    idle_timeout: Duration,
    /// How long a server may keep its socket for a client that has everything and does not close, in seconds.
    #[arg(long, default_value = "35", value_parser = seconds, help_heading = "Battery")]
    release_timeout: Duration,
    /// Takes the ladders from packets instead of socket events: needs root or `CAP_NET_RAW`, on Linux.
    #[cfg(target_os = "linux")]
    #[arg(long, help_heading = "Battery")]
    wire: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Http {
    #[value(name = "1.1")]
    One,
    #[value(name = "2")]
    Two,
}

/// Whether every scenario passed.
pub(crate) async fn main(args: &CheckArgs) -> Result<bool, CommandError> {
    let scenarios = args.battery.scenarios()?;
    let options = args.battery.options(args.target.options());
    args.battery.prepare()?;
    args.output.prepare()?;
    let found = args.target.find(&options).await?;
    announce(&found, &scenarios, &options);
    let mut targets = Vec::new();
    for mut target in found {
        let abilities = discover(&mut target, &options).await?;
        targets.push((target, abilities));
    }

    let progress = progress((targets.len() * scenarios.len()) as u64);
    let mut report = Report::default();
    for (target, abilities) in &targets {
        progress.set_message(target.name.clone());
        let each = scenarios.iter().copied();
        let checked = check(target, &options, abilities, each, |row| {
            progress.set_message(format!("{}: {}", target.name, row.title));
            progress.inc(1);
        });
        report.targets.push(checked.await);
    }
    progress.finish_and_clear();

    // What was found is told, even where a server got lost on the way.
    args.output.tell(&report)?;
    match report.targets.iter().find_map(|target| Some((&target.url, target.lost.as_ref()?))) {
        Some((url, why)) => Err(CommandError(format!("{url}: {why}"))),
        None => Ok(report.targets.iter().all(|target| target.count(Verdict::Fail) == 0)),
    }
}

impl BatteryArgs {
    pub(crate) fn scenarios(&self) -> Result<Vec<&'static Scenario>, CommandError> {
        let names = |wanted: &String, scenario: &Scenario| {
            let group = scenario.name.strip_prefix(wanted.as_str());
            group.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        for wanted in self.only.iter().chain(&self.skip) {
            if !battery::ALL.iter().any(|scenario| names(wanted, scenario)) {
                let line = format!("there is no scenario or group {wanted:?}: see `linger-probe scenarios`");
                return Err(CommandError(line));
            }
        }
        let is_wanted = |scenario: &&Scenario| {
            (self.only.is_empty() || self.only.iter().any(|wanted| names(wanted, scenario)))
                && !self.skip.iter().any(|unwanted| names(unwanted, scenario))
                && self.http.is_none_or(|http| (http == Http::Two) == (scenario.opening == Opening::Http2))
        };
        match battery::ALL.iter().filter(is_wanted).collect::<Vec<_>>() {
            none if none.is_empty() => {
                Err(CommandError("no scenario is left by --only, --skip and --http".to_owned()))
            }
            wanted => Ok(wanted),
        }
    }

    /// Whether what it needs is there.
    pub(crate) fn prepare(&self) -> Result<(), CommandError> {
        #[cfg(target_os = "linux")]
        if self.wire {
            linger_probe::wire::allowed().map_err(|error| {
                CommandError(format!("--wire needs root or CAP_NET_RAW to see packets: {error}"))
            })?;
        }
        Ok(())
    }

    pub(crate) fn options(&self, options: Options) -> Options {
        Options {
            upload_bytes: self.upload_size,
            websocket_path: self.websocket_path.clone(),
            repetitions: self.repetitions,
            deadline: self.deadline,
            idle_timeout: self.idle_timeout,
            release_timeout: self.release_timeout,
            #[cfg(target_os = "linux")]
            wire: self.wire,
            ..options
        }
    }
}

/// Says what will be done to whom, before it is.
fn announce(targets: &[Target], scenarios: &[&'static Scenario], options: &Options) {
    let cost = cost(scenarios.iter().copied(), options);
    eprintln!(
        "{}: {} scenarios, at most {} connections, {} and {} s to each server",
        names(targets),
        scenarios.len(),
        cost.connections + LOOK_CONNECTIONS,
        HumanBytes(cost.bytes),
        options.deadline.as_secs_f64(),
    );
}

//! `linger-probe check`: runs the battery against one or more servers.

use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::HumanBytes;
use linger_probe::battery;
use linger_probe::check::cost;
use linger_probe::discover::LOOK_CONNECTIONS;
use linger_probe::model::Report;
use linger_probe::remedy::Server;
use linger_probe::scenario::{Opening, Scenario, is_in};
use linger_probe::target::{Options, Target};

pub(crate) use self::gate::FailOn;
use self::gate::GateArgs;
use self::judging::Judging;
use self::pictures::PictureArgs;
use super::descriptors;
use super::options::{Found, TargetArgs, names, path, progress};
use super::output::OutputArgs;
use super::{CommandError, seconds, size};

mod gate;
mod judging;
mod pictures;

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    battery: BatteryArgs,
    #[command(flatten)]
    gate: GateArgs,
    /// Says what to change in this kind of server to fix failing rows, where that is known. By default, the
    /// `Server` header tells the kind.
    #[arg(long = "for", value_name = "SERVER", value_parser = gate::server(), help_heading = "Output")]
    server: Option<Server>,
    #[command(flatten)]
    pictures: PictureArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What is tried, and how often.
#[derive(Debug, Args)]
pub(crate) struct BatteryArgs {
    /// Tries each row once, with small uploads, and leaves out the rows that wait for a timeout of the
    /// server. This takes less than 5 seconds per server.
    #[arg(long, help_heading = "Battery")]
    quick: bool,
    /// The size of large uploads, which must be more than what sockets buffer [default: 32MiB; with --quick
    /// 8MiB]
    #[arg(long, value_parser = size, help_heading = "Battery")]
    upload_size: Option<u64>,
    /// A path that accepts a WebSocket.
    #[arg(long, value_parser = path, help_heading = "Battery")]
    websocket_path: Option<String>,
    /// How often each scenario is tried [default: 5; with --quick 1]
    #[arg(
        short = 'n',
        long,
        value_parser = clap::value_parser!(u32).range(1..=1000),
        help_heading = "Battery"
    )]
    repetitions: Option<u32>,
    /// How long the whole check of a server may take, in seconds [default: 120; with --quick 5]
    #[arg(long, value_parser = seconds, help_heading = "Battery")]
    deadline: Option<Duration>,
    /// Runs only these scenarios or groups, such as `close.idle` or `early`. Separate several by commas, or
    /// repeat the option.
    #[arg(long, value_delimiter = ',', help_heading = "Battery")]
    only: Vec<String>,
    /// Leaves out these scenarios or groups.
    #[arg(long, value_delimiter = ',', help_heading = "Battery")]
    skip: Vec<String>,
    /// Runs only the scenarios of this HTTP version. HTTP/2 is tried only if the server speaks it.
    #[arg(long, value_enum, help_heading = "Battery")]
    http: Option<Http>,
    /// How long to wait for the server to end an idle connection, in seconds.
    #[arg(long, default_value = "8", value_parser = seconds, help_heading = "Battery")]
    idle_timeout: Duration,
    /// How long the server may keep its socket for a client that has received everything and does not close,
    /// in seconds.
    #[arg(long, default_value = "35", value_parser = seconds, help_heading = "Battery")]
    release_timeout: Duration,
    /// Makes the ladders from packets instead of socket events. Needs Linux, and root or `CAP_NET_RAW`.
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

/// Returns whether no failure counts. The results are written however the run ends.
pub(crate) async fn main(args: &CheckArgs) -> Result<bool, CommandError> {
    let scenarios = args.battery.scenarios()?;
    let options = args.battery.options(args.target.options());
    let baseline = args.gate.baseline()?;
    args.battery.prepare()?;
    args.output.prepare()?;
    args.pictures.prepare()?;
    // The scenarios that mostly wait run at the same time.
    let waiting = scenarios.iter().filter(|scenario| scenario.mostly_waits()).count();
    descriptors::ensure(options.repetitions, u32::try_from(waiting).unwrap_or(u32::MAX), "--repetitions")?;
    let Found { targets: found, gaps } = args.target.find(&options).await?;
    announce(&found, &scenarios, &options);

    let bar = progress((found.len() * scenarios.len()) as u64);
    let report = Report { options: Some((&options).into()), gaps, ..Report::default() };
    let mut judging = Judging { report, current: None, advise_for: args.server };
    let is_interrupted = tokio::select! {
        () = judging.judge(found.clone(), &scenarios, &options, &bar) => false,
        () = super::interrupted() => true,
    };
    bar.finish_and_clear();
    if is_interrupted {
        judging.interrupt(&found, &scenarios);
    }
    let Judging { mut report, .. } = judging;
    let gate = args.gate.gate(baseline, &report.targets);
    let passed = gate.lets_pass(&report.targets);
    report.gate = Some(gate);
    args.pictures.draw(&report)?;
    args.output.tell(&report)?;
    match super::troubles(&report) {
        none if none.is_empty() => Ok(passed),
        lines => Err(CommandError(lines.join("\nerror: "))),
    }
}

impl BatteryArgs {
    pub(crate) fn scenarios(&self) -> Result<Vec<&'static Scenario>, CommandError> {
        let names = |wanted: &String, scenario: &Scenario| is_in(scenario.name, wanted);
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
                && !(self.quick && scenario.mostly_waits())
        };
        match battery::ALL.iter().filter(is_wanted).collect::<Vec<_>>() {
            none if none.is_empty() => {
                Err(CommandError("no scenario is left by --only, --skip, --http and --quick".to_owned()))
            }
            wanted => Ok(wanted),
        }
    }

    /// Checks that what the options need is available.
    pub(crate) fn prepare(&self) -> Result<(), CommandError> {
        #[cfg(target_os = "linux")]
        if self.wire {
            linger_wire::check_permission().map_err(|error| {
                CommandError(format!("--wire needs root or CAP_NET_RAW to see packets: {error}"))
            })?;
        }
        Ok(())
    }

    pub(crate) fn options(&self, options: Options) -> Options {
        let (usual, quick) = (Options::default(), self.quick);
        Options {
            upload_bytes: self.upload_size.unwrap_or(if quick { QUICK_UPLOAD } else { usual.upload_bytes }),
            websocket_path: self.websocket_path.clone(),
            repetitions: self.repetitions.unwrap_or(if quick { 1 } else { usual.repetitions }),
            timeout: if quick { options.timeout.min(QUICK_TIMEOUT) } else { options.timeout },
            deadline: self.deadline.unwrap_or(if quick { QUICK_DEADLINE } else { usual.deadline }),
            idle_timeout: self.idle_timeout,
            release_timeout: self.release_timeout,
            #[cfg(target_os = "linux")]
            wire: self.wire,
            ..options
        }
    }
}

/// More than what sockets buffer by default.
const QUICK_UPLOAD: u64 = 8 << 20;
const QUICK_TIMEOUT: Duration = Duration::from_secs(2);
const QUICK_DEADLINE: Duration = Duration::from_secs(5);

/// Says what will be done to which servers, before it is done.
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

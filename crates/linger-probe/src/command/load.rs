//! `linger-probe load`: many clients at once, against one server after the other.

use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use linger_probe::discover::{LOOK_CONNECTIONS, discover};
use linger_probe::load::{Kind, Live, Mix, Plan, load};
use linger_probe::model::Report;
use linger_probe::model::load::LoadReport;
use linger_probe::target::{Options, Target};

use super::options::{OutputArgs, TargetArgs, names};
use super::{CommandError, seconds, size};

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    load: PlanArgs,
    /// Size of the uploads.
    #[arg(long, default_value = "1MiB", value_parser = size, help_heading = "Load")]
    upload_size: u64,
    #[command(flatten)]
    output: OutputArgs,
}

/// How servers are loaded.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Which requests, with their weights. `get`: the URL's path. `early413`: an upload that the server refuses before it has read
    /// it. `large`: --large-path.
    #[arg(long, default_value = "get=90,early413=10", help_heading = "Load")]
    mix: Mix,
    /// At most so many connections at once.
    #[arg(short, long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=20_000), help_heading = "Load")]
    connections: u32,
    /// How long, in seconds.
    #[arg(short, long, default_value = "10", value_parser = seconds, help_heading = "Load")]
    duration: Duration,
    /// Open loop: requests are due at so many a second, whether the server keeps up or not. Without it the loop is closed: each
    /// connection asks again when it has its answer.
    #[arg(short, long, value_parser = rate, help_heading = "Load")]
    rate: Option<f64>,
    /// Many requests on a connection, instead of one on each.
    #[arg(long, help_heading = "Load")]
    keep_alive: bool,
    /// Resumes TLS sessions, instead of a full handshake for each connection.
    #[arg(long, help_heading = "Load")]
    resume: bool,
}

/// Whether every response arrived whole.
pub(crate) async fn main(args: &LoadArgs) -> Result<bool, CommandError> {
    let plan = args.load.plan();
    let options = Options { upload_bytes: args.upload_size, ..args.target.options() };
    if plan.mix.has(Kind::Large) && options.large_path.is_none() {
        return Err(CommandError("--mix has large: give it a --large-path".to_owned()));
    }
    args.output.prepare()?;
    let mut targets = args.target.find(&options).await?;
    eprintln!(
        "{}: {}, for {} s each, after a look of {LOOK_CONNECTIONS} connections",
        names(&targets),
        plan.words(),
        plan.duration.as_secs_f64()
    );
    for target in &mut targets {
        discover(target, &options).await?;
    }
    let mut report = Report::default();
    for target in &targets {
        report.load.push(run(target, &options, &plan).await);
    }
    args.output.tell(&report)?;
    Ok(report.load.iter().all(LoadReport::passed))
}

/// One load, with its progress on stderr.
pub(crate) async fn run(target: &Target, options: &Options, plan: &Plan) -> LoadReport {
    let bar = progress(plan.duration);
    bar.set_prefix(target.name.clone());
    let report = load(target, options, plan, |live: Live| {
        let elapsed = bar.elapsed();
        bar.set_position(u64::try_from(elapsed.min(plan.duration).as_millis()).unwrap_or(u64::MAX));
        bar.set_message(format!("{} whole, {} lost", live.complete, live.lost));
    });
    let report = report.await;
    bar.finish_and_clear();
    report
}

fn progress(duration: Duration) -> ProgressBar {
    let style = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {prefix}: {wide_msg}");
    let length = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

impl PlanArgs {
    pub(crate) fn plan(&self) -> Plan {
        Plan {
            mix: self.mix.clone(),
            connections: self.connections,
            duration: self.duration,
            rate: self.rate,
            keep_alive: self.keep_alive,
            resume: self.resume,
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1e6 => Ok(rate),
        _ => Err("requests a second, more than 0 and at most 1000000".to_owned()),
    }
}

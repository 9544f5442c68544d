//! `linger-probe load`: loads one server after the other with many clients at once.

use std::time::Duration;

use clap::Args;
use clap::builder::TypedValueParser;
use indicatif::{ProgressBar, ProgressStyle};
use linger_probe::discover::{LOOK_CONNECTIONS, discover};
use linger_probe::load::{Kind, Live, Mix, Plan, Statuses, load};
use linger_probe::model::load::LoadReport;
use linger_probe::model::{Gap, Report};
use linger_probe::target::{Options, Target};
use tokio::sync::watch;

use super::options::{TargetArgs, names};
use super::output::OutputArgs;
use super::{CommandError, descriptors, seconds, size};

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    load: PlanArgs,
    /// The size of the uploads.
    #[arg(long, default_value = "1MiB", value_parser = size, help_heading = "Load")]
    upload_size: u64,
    #[command(flatten)]
    output: OutputArgs,
}

/// How servers are loaded.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The kinds of requests, with their weights. `get` asks for the URL's path, and `large` for the
    /// --large-path. `early413` is an upload that the server refuses before it has read it.
    #[arg(long, default_value = "get=90,early413=10", help_heading = "Load")]
    mix: Mix,
    /// The maximum number of connections at once.
    #[arg(short, long, default_value_t = 50, value_parser = connections(), help_heading = "Load")]
    connections: u32,
    /// How long new requests are sent, in seconds. Requests under way at the end have one more second, or
    /// --timeout if that is shorter.
    #[arg(short, long, default_value = "10", value_parser = seconds, help_heading = "Load")]
    duration: Duration,
    /// Opens the connections evenly spread over this time, in seconds, instead of all at once. It is part of
    /// --duration.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Load")]
    ramp_up: Option<Duration>,
    /// Makes the loop open: this many requests are due per second, whether the server keeps up or not.
    /// Without it the loop is closed: each connection sends its next request once it has its response.
    #[arg(short, long, value_parser = rate, help_heading = "Load")]
    rate: Option<f64>,
    /// Sends many requests on a connection, instead of one on each.
    #[arg(long, help_heading = "Load")]
    keep_alive: bool,
    /// Resumes TLS sessions, instead of making a full handshake for each connection.
    #[arg(long, help_heading = "Load")]
    resume: bool,
    /// Lets more statuses pass, such as 404 or 500,502-504 or 5xx. By default, `get` and `large` expect a 2xx
    /// or 3xx, and `early413` a 4xx, and a whole response with another status fails the run.
    #[arg(long, value_name = "STATUSES", help_heading = "Load")]
    allow_status: Option<Statuses>,
}

/// Returns whether every response arrived whole, with an expected status.
pub(crate) async fn main(args: &LoadArgs) -> Result<bool, CommandError> {
    let plan = args.load.plan()?;
    let options = Options { upload_bytes: args.upload_size, ..args.target.options() };
    if plan.mix.has(Kind::Large) && options.large_path.is_none() {
        return Err(CommandError("--mix has large: give it a --large-path".to_owned()));
    }
    descriptors::ensure(plan.connections, 1, "--connections")?;
    args.output.prepare()?;
    let found = args.target.find(&options).await?;
    let mut report = Report { gaps: found.gaps, ..Report::default() };
    eprintln!(
        "{}: {}, for {} s each, after a look of {LOOK_CONNECTIONS} connections",
        names(&found.targets),
        plan.words(),
        plan.duration.as_secs_f64()
    );
    let mut targets = Vec::new();
    for mut target in found.targets {
        match discover(&mut target, &options).await {
            Ok(_) => targets.push(target),
            Err(error) => report.gaps.push(Gap { name: target.name, why: error.to_string() }),
        }
    }
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        super::interrupted().await;
        stop.send_replace(true);
    });
    for target in &targets {
        if *stopped.borrow() {
            let why = "the run was interrupted before its turn".to_owned();
            report.gaps.push(Gap { name: target.name.clone(), why });
            continue;
        }
        let mut stopped = stopped.clone();
        let stop = async move { _ = stopped.wait_for(|stopped| *stopped).await };
        report.load.push(run(target, &options, &plan, stop).await);
    }
    if *stopped.borrow() {
        report.interrupted = Some("interrupted: these are the results so far".to_owned());
    }
    args.output.tell(&report)?;
    match super::troubles(&report) {
        none if none.is_empty() => Ok(report.load.iter().all(LoadReport::passed)),
        lines => Err(CommandError(lines.join("\nerror: "))),
    }
}

/// Runs one load, with its progress on stderr.
pub(crate) async fn run(
    target: &Target,
    options: &Options,
    plan: &Plan,
    stop: impl Future<Output = ()>,
) -> LoadReport {
    let bar = progress(plan.duration);
    bar.set_prefix(target.name.clone());
    let report = load(target, options, plan, stop, |live: Live| {
        let elapsed = bar.elapsed();
        bar.set_position(u64::try_from(elapsed.min(plan.duration).as_millis()).unwrap_or(u64::MAX));
        let Live { complete, unexpected, lost } = live;
        let unexpected = match unexpected {
            0 => String::new(),
            _ => format!(" ({unexpected} with an unexpected status)"),
        };
        bar.set_message(format!("{complete} whole{unexpected}, {lost} lost"));
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
    pub(crate) fn plan(&self) -> Result<Plan, CommandError> {
        let ramp_up = self.ramp_up.unwrap_or_default();
        if ramp_up >= self.duration {
            return Err(CommandError(format!(
                "--ramp-up {} is part of --duration {}: make it shorter, or the run longer",
                ramp_up.as_secs_f64(),
                self.duration.as_secs_f64()
            )));
        }
        Ok(Plan {
            mix: self.mix.clone(),
            connections: self.connections,
            duration: self.duration,
            ramp_up,
            rate: self.rate,
            keep_alive: self.keep_alive,
            resume: self.resume,
            allowed: self.allow_status.clone().unwrap_or_default(),
        })
    }
}

fn connections() -> impl TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(1..=20_000)
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1e6 => Ok(rate),
        _ => Err("requests a second, more than 0 and at most 1000000".to_owned()),
    }
}

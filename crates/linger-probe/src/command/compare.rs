//! `linger-probe compare`: checks and loads the servers that are installed side by side.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use linger_probe::check::check;
use linger_probe::discover::discover;
use linger_probe::find::find;
use linger_probe::model::{Gap, Report, TargetReport};
use linger_probe::remedy::advise;
use linger_probe::scenario::Scenario;
use linger_probe::target::{Options, Target};
use linger_probe::trust::Trust;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::check::BatteryArgs;
use super::load::{self, PlanArgs};
use super::options::progress;
use super::output::OutputArgs;
use super::{CommandError, descriptors};
use crate::compare::{ALL, Ground, Running, Server};

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Compares only the servers whose names begin like this, such as nginx, apache or hyper. By default, all
    /// are compared.
    names: Vec<String>,
    /// Uses only plain HTTP, or only HTTPS.
    #[arg(long, value_enum)]
    scheme: Option<Scheme>,
    /// Only checks the servers, or only loads them.
    #[arg(long, value_enum)]
    just: Option<Half>,
    #[command(flatten)]
    battery: BatteryArgs,
    #[command(flatten)]
    load: PlanArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scheme {
    Http,
    Https,
}

/// Half of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Half {
    Check,
    Load,
}

/// Compares the servers and stops them all, even if the run is interrupted. Returns true however the servers
/// did, because the comparison has no expectations.
pub(crate) async fn main(args: &CompareArgs) -> Result<bool, CommandError> {
    let servers = args.servers()?;
    let scenarios = args.battery.scenarios()?;
    args.battery.prepare()?;
    args.output.prepare()?;
    if args.just != Some(Half::Check) {
        // The servers inherit this limit.
        descriptors::ensure(args.load.plan()?.connections, 1, "--connections")?;
    }
    let (mut running, mut report) = (Vec::new(), Report::default());
    let compared = tokio::select! {
        compared = compare(args, &servers, scenarios, &mut running, &mut report) => compared,
        () = super::interrupted() => Err(CommandError("interrupted: the servers are stopped".to_owned())),
    };
    let mut stops = JoinSet::new();
    for server in running {
        stops.spawn(server.stop());
    }
    stops.join_all().await;
    if let Err(CommandError(why)) = &compared {
        report.interrupted = Some(why.clone());
    }
    // The results so far are written, however the run ended.
    if compared.is_ok() || !(report.targets.is_empty() && report.load.is_empty()) {
        args.output.tell_summary(&report)?;
    }
    compared.map(|()| true)
}

/// A server with one of its two schemes.
struct Found {
    target: Target,
    options: Options,
    /// The server's index among those that are running.
    server: usize,
}

async fn compare(
    args: &CompareArgs,
    servers: &[&'static Server],
    scenarios: Vec<&'static Scenario>,
    running: &mut Vec<Running>,
    report: &mut Report,
) -> Result<(), CommandError> {
    // The servers need these files until they have been compared.
    let ground = Ground::make()?;
    let found = start(args, servers, &ground, running, &mut report.gaps).await?;
    let names = || found.iter().map(|found| found.target.name.as_str()).collect::<Vec<_>>().join("; ");
    if args.just != Some(Half::Load) {
        eprintln!("checking {}", names());
        report.targets = checked(&found, scenarios, &mut report.gaps).await?;
    }
    if args.just != Some(Half::Check) {
        let plan = args.load.plan()?;
        eprintln!("loading {}: {}", names(), plan.words());
        for Found { target, options, server } in &found {
            let options = Options { upload_bytes: LOAD_UPLOAD_BYTES, ..options.clone() };
            let before = running[*server].cpu();
            let mut load = load::run(target, &options, &plan, std::future::pending()).await;
            let spent =
                running[*server].cpu().zip(before).map(|(after, before)| after.saturating_sub(before));
            let requests = u32::try_from(load.requests()).unwrap_or(u32::MAX);
            load.server_cpu = spent.and_then(|spent| spent.checked_div(requests));
            report.load.push(load);
        }
    }
    Ok(())
}

async fn start(
    args: &CompareArgs,
    servers: &[&'static Server],
    ground: &Ground,
    running: &mut Vec<Running>,
    gaps: &mut Vec<Gap>,
) -> Result<Vec<Found>, CommandError> {
    let trust = Trust { authorities: Some(ground.certs.authority.clone()), ..Trust::default() };
    let mut found = Vec::new();
    let bar = progress(servers.len() as u64);
    for server in servers {
        bar.set_message(format!("starting {}", server.name));
        match server.start(ground).await {
            Ok(started) => {
                let options = Options {
                    large_path: server.has_large.then(|| "/large".to_owned()),
                    ..args.battery.options(Options::default())
                };
                let urls = [
                    (Scheme::Http, format!("{}=http://127.0.0.1:{}/", server.name, started.http)),
                    (Scheme::Https, format!("{}, TLS=https://127.0.0.1:{}/", server.name, started.https)),
                ];
                for (_, url) in
                    urls.iter().filter(|(scheme, _)| args.scheme.is_none_or(|only| only == *scheme))
                {
                    let target = find(url, &trust, &options, false).await?;
                    found.push(Found { target, options: options.clone(), server: running.len() });
                }
                running.push(started);
            }
            Err(why) => gaps.push(Gap { name: server.name.to_owned(), why }),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(found)
}

/// Checks a few servers at a time, because a check mostly waits.
async fn checked(
    found: &[Found],
    scenarios: Vec<&'static Scenario>,
    gaps: &mut Vec<Gap>,
) -> Result<Vec<TargetReport>, CommandError> {
    let bar = progress((found.len() * scenarios.len()) as u64);
    let (scenarios, turns) = (Arc::new(scenarios), Arc::new(Semaphore::new(AT_ONCE)));
    let mut checks = JoinSet::new();
    for (index, Found { target, options, .. }) in found.iter().enumerate() {
        let (mut target, options, bar) = (target.clone(), options.clone(), bar.clone());
        let (scenarios, turns) = (scenarios.clone(), turns.clone());
        checks.spawn(async move {
            // The semaphore is never closed, so this cannot fail.
            let _turn = turns.acquire_owned().await;
            let abilities = match discover(&mut target, &options).await {
                Ok(abilities) => abilities,
                Err(error) => return (index, Err(Gap { name: target.name, why: error.to_string() })),
            };
            let each = scenarios.iter().copied();
            let checked = check(&target, &options, &abilities, each, |row| {
                bar.set_message(format!("{}: {}", target.name, row.title));
                bar.inc(1);
            });
            let mut report = checked.await;
            advise(&mut report, None);
            (index, Ok(report))
        });
    }
    let mut reports = BTreeMap::new();
    while let Some(checked) = checks.join_next().await {
        match checked? {
            (index, Ok(report)) => _ = reports.insert(index, report),
            (_, Err(gap)) => gaps.push(gap),
        }
    }
    bar.finish_and_clear();
    Ok(reports.into_values().collect())
}

impl CompareArgs {
    fn servers(&self) -> Result<Vec<&'static Server>, CommandError> {
        let begins = |server: &Server, name: &String| {
            server.name.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name))
        };
        if let Some(name) = self.names.iter().find(|name| !ALL.iter().any(|server| begins(server, name))) {
            let all: Vec<_> = ALL.iter().map(|server| server.name).collect();
            return Err(CommandError(format!("there is no server {name:?}: {}", all.join(", "))));
        }
        let wanted =
            |server: &&Server| self.names.is_empty() || self.names.iter().any(|name| begins(server, name));
        Ok(ALL.iter().filter(wanted).collect())
    }
}

/// The number of checks at the same time.
const AT_ONCE: usize = 6;
/// The size of a refused upload under load.
const LOAD_UPLOAD_BYTES: u64 = 1 << 20;

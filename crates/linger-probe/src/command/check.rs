//! `linger-probe check`: the battery against one or more servers.

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use linger_probe::battery;
use linger_probe::check::{Abilities, check, cost};
use linger_probe::discover::{discover, find};
use linger_probe::model::{Ladders, Report, TargetReport, Verdict};
use linger_probe::report::{self, html, render};
use linger_probe::scenario::{Opening, Scenario};
use linger_probe::target::{Options, Target};
use linger_probe::trust::Trust;

use super::{CommandError, print, seconds, size};

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// What to probe: http://… or https://…; several are compared.
    #[arg(required = true)]
    urls: Vec<String>,
    /// Needed for a server that is not on this machine.
    #[arg(long)]
    i_may_test_this_host: bool,

    /// Method of the uploads.
    #[arg(long, default_value = "PUT", value_parser = token, help_heading = "Requests")]
    method: String,
    /// Path of each request, instead of the URL's.
    #[arg(long, value_parser = path, help_heading = "Requests")]
    path: Option<String>,
    /// A header field for each request, as `Name: value`. Repeatable.
    #[arg(short = 'H', long = "header", value_parser = header, help_heading = "Requests")]
    headers: Vec<String>,
    /// Size of the large uploads: more than sockets buffer.
    #[arg(long, default_value = "32MiB", value_parser = size, help_heading = "Requests")]
    upload_size: u64,
    /// A path whose response is larger than sockets buffer, some MiB.
    #[arg(long, value_parser = path, help_heading = "Requests")]
    large_path: Option<String>,
    /// A path that accepts a WebSocket.
    #[arg(long, value_parser = path, help_heading = "Requests")]
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
    /// For connecting, for a response and for the end after it, each, in seconds.
    #[arg(long, default_value = "10", value_parser = seconds, help_heading = "Battery")]
    timeout: Duration,
    /// How long to wait for the server to end an idle connection, in seconds.
    #[arg(long, default_value = "5", value_parser = seconds, help_heading = "Battery")]
    idle_timeout: Duration,
    /// How long a server may keep its socket for a client that has everything and does not close, in seconds.
    #[arg(long, default_value = "35", value_parser = seconds, help_heading = "Battery")]
    release_timeout: Duration,

    /// Trusts any certificate.
    #[arg(long, conflicts_with = "ca", help_heading = "TLS")]
    insecure: bool,
    /// Authorities to trust instead of the system's, PEM.
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    ca: Option<PathBuf>,
    /// The client's certificate chain, PEM.
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "TLS")]
    cert: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "TLS")]
    key: Option<PathBuf>,

    /// How the result is written to stdout.
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Output")]
    format: Format,
    /// Writes a page for a browser, too: verdicts, and who sent what when. It needs no network.
    #[arg(long, value_name = "FILE.html", help_heading = "Output")]
    report: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Junit,
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
    let scenarios = args.scenarios()?;
    let options = args.options();
    if let Some(path) = &args.report {
        // Before the servers are bothered.
        let opened = OpenOptions::new().append(true).create(true).open(path);
        opened.map_err(|error| unwritable(path, &error))?;
    }
    let mut found = Vec::new();
    for url in &args.urls {
        found.push(args.find(url, &options).await?);
    }
    announce(&found, &scenarios, &options);

    let progress = progress(found.len() * scenarios.len());
    let (mut targets, mut failed) = (Vec::new(), None);
    for (target, abilities) in &found {
        progress.set_message(target.name.clone());
        let each = scenarios.iter().copied();
        let checked = check(target, &options, *abilities, each, |row| {
            progress.set_message(format!("{}: {}", target.name, row.title));
            progress.inc(1);
        });
        match checked.await {
            Ok(report) => targets.push(report),
            Err(error) => failed = Some(CommandError(format!("{}: {error}", target.url))),
        }
    }
    progress.finish_and_clear();
    args.tell(targets, failed)
}

impl CheckArgs {
    fn scenarios(&self) -> Result<Vec<&'static Scenario>, CommandError> {
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

    fn options(&self) -> Options {
        Options {
            method: self.method.clone(),
            headers: self.headers.clone(),
            upload_bytes: self.upload_size,
            large_path: self.large_path.clone(),
            websocket_path: self.websocket_path.clone(),
            repetitions: self.repetitions,
            timeout: self.timeout,
            idle_timeout: self.idle_timeout,
            release_timeout: self.release_timeout,
        }
    }

    async fn find(&self, url: &str, options: &Options) -> Result<(Target, Abilities), CommandError> {
        let trust = Trust {
            insecure: self.insecure,
            authorities: self.ca.clone(),
            identity: self.cert.clone().zip(self.key.clone()),
        };
        let mut target = find(url, &trust, options, self.i_may_test_this_host).await?;
        if let Some(path) = &self.path {
            target.path.clone_from(path);
        }
        let abilities = discover(&target, options).await?;
        Ok((target, abilities))
    }

    /// What was found is told, even where a server got lost on the way.
    fn tell(&self, targets: Vec<TargetReport>, failed: Option<CommandError>) -> Result<bool, CommandError> {
        let report = Report { version: env!("CARGO_PKG_VERSION"), ladders: Ladders::SocketEvents, targets };
        let colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let format = match self.format {
            Format::Text => report::Format::Text,
            Format::Json => report::Format::Json,
            Format::Junit => report::Format::Junit,
        };
        // The page first: a closed stdout does not take it away.
        if let Some(path) = &self.report {
            fs::write(path, html::page(&report)).map_err(|error| unwritable(path, &error))?;
        }
        print(render(&report, format, colours))?;
        match failed {
            Some(failed) => Err(failed),
            None => Ok(report.targets.iter().all(|target| target.count(Verdict::Fail) == 0)),
        }
    }
}

/// Says what will be done to whom, before it is.
fn announce(found: &[(Target, Abilities)], scenarios: &[&'static Scenario], options: &Options) {
    let cost = cost(scenarios.iter().copied(), options);
    let names: Vec<_> = found.iter().map(|(target, _)| target.name.as_str()).collect();
    eprintln!(
        "{}: {} scenarios, at most {} connections and {} to each server",
        names.join(", "),
        scenarios.len(),
        cost.connections,
        HumanBytes(cost.bytes),
    );
}

fn progress(length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {pos}/{len} {wide_msg}");
    let bar =
        ProgressBar::new(length as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

fn unwritable(path: &Path, error: &io::Error) -> CommandError {
    CommandError(format!("--report {}: {error}", path.display()))
}

/// RFC 9110 §5.6.2.
fn token(text: &str) -> Result<String, String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_token) {
        Ok(text.to_owned())
    } else {
        Err("not a token".into())
    }
}

fn header(text: &str) -> Result<String, String> {
    match text.split_once(':') {
        Some((name, value)) if token(name).is_ok() && !value.contains(['\r', '\n', '\0']) => {
            Ok(text.to_owned())
        }
        _ => Err("not a header field: `Name: value`".into()),
    }
}

fn path(text: &str) -> Result<String, String> {
    let is_visible = |byte: u8| byte.is_ascii_graphic();
    if text.starts_with('/') && text.bytes().all(is_visible) {
        Ok(text.to_owned())
    } else {
        Err("a path begins with / and has no blanks: encode them as %20".into())
    }
}

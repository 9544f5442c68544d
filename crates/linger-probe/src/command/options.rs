//! The options that the commands share: whom to probe, whom to trust, and how a result is written.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use linger_probe::error::Error;
use linger_probe::find::find;
use linger_probe::guess::guess;
use linger_probe::model::{Gap, Report};
use linger_probe::proxy_protocol::ProxyProtocol;
use linger_probe::report::{self, html, render_wide};
use linger_probe::route::{Resolve, Route};
use linger_probe::target::{Options, Target};
use linger_probe::trust::Trust;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{CommandError, print, seconds};

/// Which servers, and how to talk to them.
#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// What to probe: http://…, https://… or HOST:PORT, or name=http://…; several are compared. A user and a
    /// password in it are sent as Basic authorization.
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
    /// A path whose response is larger than sockets buffer, some MiB.
    #[arg(long, value_parser = path, help_heading = "Requests")]
    large_path: Option<String>,
    /// For connecting, for a response and for the end after it, each, in seconds.
    #[arg(long, default_value = "10", value_parser = seconds, help_heading = "Requests")]
    timeout: Duration,

    /// The address of a host and port, instead of the resolver's, as HOST:PORT:ADDRESS. Repeatable.
    #[arg(long, value_name = "HOST:PORT:ADDRESS", help_heading = "Connections")]
    resolve: Vec<Resolve>,
    /// Connects to this Unix socket. The server is still told the URL's host.
    #[cfg(unix)]
    #[arg(long, value_name = "PATH", conflicts_with = "resolve", help_heading = "Connections")]
    unix_socket: Option<PathBuf>,
    /// Begins each connection with the PROXY protocol's header, for a server that expects a proxy.
    #[arg(long, value_enum, value_name = "VERSION", help_heading = "Connections")]
    proxy_protocol: Option<ProxyVersion>,

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
    /// The name to ask for (SNI) and to find in the server's certificate, instead of the URL's host.
    #[arg(long, value_name = "NAME", value_parser = server_name, help_heading = "TLS")]
    sni: Option<ServerName<'static>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProxyVersion {
    V1,
    V2,
}

impl From<ProxyVersion> for ProxyProtocol {
    fn from(version: ProxyVersion) -> Self {
        match version {
            ProxyVersion::V1 => Self::V1,
            ProxyVersion::V2 => Self::V2,
        }
    }
}

impl TargetArgs {
    /// What of the options these say.
    pub(crate) fn options(&self) -> Options {
        Options {
            method: self.method.clone(),
            headers: self.headers.clone(),
            large_path: self.large_path.clone(),
            timeout: self.timeout,
            route: Route {
                resolve: self.resolve.clone(),
                #[cfg(unix)]
                unix_socket: self.unix_socket.clone(),
                #[cfg(not(unix))]
                unix_socket: None,
                proxy_protocol: self.proxy_protocol.map(ProxyProtocol::from),
            },
            ..Options::default()
        }
    }

    /// The servers, before anything is asked of them, but for those without a scheme: which one they speak.
    ///
    /// # Errors
    /// A URL makes no sense, or no server is left.
    pub(crate) async fn find(&self, options: &Options) -> Result<Found, CommandError> {
        let trust = Trust {
            insecure: self.insecure,
            authorities: self.ca.clone(),
            identity: self.cert.clone().zip(self.key.clone()),
            server_name: self.sni.clone(),
        };
        let anywhere = self.i_may_test_this_host;
        let (mut targets, mut gaps) = (Vec::new(), Vec::new());
        for url in &self.urls {
            let guessed = match guess(url, &trust, options, anywhere).await {
                // It is away, and the others are not.
                Err(error @ (Error::Name { .. } | Error::Unreachable { .. })) if self.urls.len() > 1 => {
                    gaps.push(Gap { name: url.clone(), why: error.to_string() });
                    continue;
                }
                guessed => guessed?,
            };
            if let Some(guess) = &guessed {
                eprintln!("{}", guess.hint);
            }
            let url = guessed.as_ref().map_or(url, |guess| &guess.url);
            let mut target = match find(url, &trust, options, anywhere).await {
                Err(error @ Error::Name { .. }) if self.urls.len() > 1 => {
                    gaps.push(Gap { name: url.clone(), why: error.to_string() });
                    continue;
                }
                target => target?,
            };
            if let Some(path) = &self.path {
                target.path.clone_from(path);
            }
            targets.push(target);
        }
        if self.sni.is_some() && targets.iter().all(|target| target.tls.is_none()) {
            return Err(CommandError("--sni is for TLS: no URL is https://".to_owned()));
        }
        Ok(Found { targets, gaps })
    }
}

/// The servers that were named.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) targets: Vec<Target>,
    /// Those that have no address.
    pub(crate) gaps: Vec<Gap>,
}

/// `a, b`.
pub(crate) fn names(targets: &[Target]) -> String {
    targets.iter().map(|target| target.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// How a result is written.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// How the result is written to stdout.
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Output")]
    format: Format,
    /// Writes a page for a browser, too. It needs no network.
    #[arg(long, value_name = "FILE.html", help_heading = "Output")]
    report: Option<PathBuf>,
    /// When text has colours: by itself on a terminal, if `NO_COLOR` is not set.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Color::Auto, help_heading = "Output")]
    color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    /// `no_color`: the variable of that name, which counts if it is not empty (<https://no-color.org>).
    fn is_wanted(self, is_terminal: bool, no_color: Option<&OsStr>) -> bool {
        match self {
            Self::Auto => is_terminal && no_color.is_none_or(OsStr::is_empty),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Junit,
}

impl OutputArgs {
    /// Whether the page can be written, before a server is bothered.
    pub(crate) fn prepare(&self) -> Result<(), CommandError> {
        if let Some(path) = &self.report {
            let opened = OpenOptions::new().append(true).create(true).open(path);
            opened.map_err(|error| unwritable(path, &error))?;
        }
        Ok(())
    }

    /// Writes it.
    pub(crate) fn tell(&self, report: &Report) -> Result<(), CommandError> {
        self.write(report, report::Format::Text)
    }

    /// Writes it, as text with one line for each server.
    pub(crate) fn tell_summary(&self, report: &Report) -> Result<(), CommandError> {
        self.write(report, report::Format::Summary)
    }

    /// The page first: a closed stdout does not take it away.
    fn write(&self, report: &Report, text: report::Format) -> Result<(), CommandError> {
        let format = match self.format {
            Format::Text => text,
            Format::Json => report::Format::Json,
            Format::Junit => report::Format::Junit,
        };
        if let Some(path) = &self.report {
            fs::write(path, html::page(report)).map_err(|error| unwritable(path, &error))?;
        }
        // The error tells why, and there is nothing else to say.
        let is_empty = report.targets.is_empty() && report.load.is_empty() && report.restarts.is_empty();
        if self.format == Format::Text && is_empty {
            return Ok(());
        }
        let no_color = std::env::var_os("NO_COLOR");
        let colours = self.color.is_wanted(io::stdout().is_terminal(), no_color.as_deref());
        // A terminal's own, where stdout is one.
        let width = comfy_table::Table::new().width().unwrap_or(report::WIDTH);
        print(render_wide(report, format, colours, width))
    }
}

/// A bar on stderr, where that is a terminal.
pub(crate) fn progress(length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {pos}/{len} {wide_msg}");
    let bar = ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
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

fn server_name(text: &str) -> Result<ServerName<'static>, String> {
    text.to_owned().try_into().map_err(|_| "not a host's name".to_owned())
}

fn header(text: &str) -> Result<String, String> {
    match text.split_once(':') {
        Some((name, value)) if token(name).is_ok() && !value.contains(['\r', '\n', '\0']) => {
            Ok(text.to_owned())
        }
        _ => Err("not a header field: `Name: value`".into()),
    }
}

pub(crate) fn path(text: &str) -> Result<String, String> {
    let is_visible = |byte: u8| byte.is_ascii_graphic();
    if text.starts_with('/') && text.bytes().all(is_visible) {
        Ok(text.to_owned())
    } else {
        Err("a path begins with / and has no blanks: encode them as %20".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_counts_if_it_is_set_and_not_empty() {
        let cases = [
            (Color::Auto, true, None, true),
            (Color::Auto, true, Some(""), true),
            (Color::Auto, true, Some("1"), false),
            (Color::Auto, true, Some("0"), false),
            (Color::Auto, false, None, false),
            (Color::Always, false, Some("1"), true),
            (Color::Never, true, None, false),
        ];
        for (color, is_terminal, no_color, wanted) in cases {
            let found = color.is_wanted(is_terminal, no_color.map(OsStr::new));
            assert_eq!(found, wanted, "{color:?} {is_terminal} {no_color:?}");
        }
    }
}

//! The options that the commands share: which servers to probe, how to reach them, and which certificates to
//! trust.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use linger_probe::error::Error;
use linger_probe::find::find;
use linger_probe::guess::guess;
use linger_probe::model::Gap;
use linger_probe::proxy_protocol::ProxyProtocol;
use linger_probe::route::{Resolve, Route};
use linger_probe::target::{Options, Target};
use linger_probe::trust::Trust;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{CommandError, seconds};

/// Which servers to probe, and how to talk to them.
#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// Servers to probe: http://…, https://… or HOST:PORT, each optionally with a name, as in
    /// name=http://….
    /// Several servers are compared. A user and a password in the URL are sent as Basic authorization.
    #[arg(required = true)]
    urls: Vec<String>,
    /// Confirms that you may test a server that is not on this machine.
    #[arg(long)]
    i_may_test_this_host: bool,

    /// The method of uploads.
    #[arg(long, default_value = "PUT", value_parser = token, help_heading = "Requests")]
    method: String,
    /// The path of each request, instead of the URL's.
    #[arg(long, value_parser = path, help_heading = "Requests")]
    path: Option<String>,
    /// Adds a header field to each request, as `Name: value`. Repeatable.
    #[arg(short = 'H', long = "header", value_parser = header, help_heading = "Requests")]
    headers: Vec<String>,
    /// A path whose response is larger than what sockets buffer, such as some MiB.
    #[arg(long, value_parser = path, help_heading = "Requests")]
    large_path: Option<String>,
    /// How long to wait for a connection, for a response, and for the end after it, in seconds each.
    #[arg(long, default_value = "10", value_parser = seconds, help_heading = "Requests")]
    timeout: Duration,

    /// Connects to ADDRESS for this host and port, instead of asking the resolver. Repeatable.
    #[arg(long, value_name = "HOST:PORT:ADDRESS", help_heading = "Connections")]
    resolve: Vec<Resolve>,
    /// Connects to this Unix socket. Requests still name the URL's host.
    #[cfg(unix)]
    #[arg(long, value_name = "PATH", conflicts_with = "resolve", help_heading = "Connections")]
    unix_socket: Option<PathBuf>,
    /// Begins each connection with a PROXY protocol header, for a server that expects a proxy.
    #[arg(long, value_enum, value_name = "VERSION", help_heading = "Connections")]
    proxy_protocol: Option<ProxyVersion>,

    /// Trusts any certificate.
    #[arg(long, conflicts_with = "ca", help_heading = "TLS")]
    insecure: bool,
    /// A PEM file of the authorities to trust, instead of the system's.
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    ca: Option<PathBuf>,
    /// A PEM file of the client's certificate chain.
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "TLS")]
    cert: Option<PathBuf>,
    /// A PEM file of the client's key.
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "TLS")]
    key: Option<PathBuf>,
    /// The name to send (SNI) and to expect in the server's certificate, instead of the URL's host.
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
    /// The probe's options, as far as these arguments set them.
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

    /// Finds the servers' addresses. No server gets a request, but a connection is made to each server
    /// without a scheme in its URL, to find out which one it speaks.
    ///
    /// # Errors
    /// A URL is not valid, or no server is left.
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
                // This server cannot be reached, but there are others.
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
    /// The servers that have no address or cannot be reached.
    pub(crate) gaps: Vec<Gap>,
}

/// The servers' names, joined by commas.
pub(crate) fn names(targets: &[Target]) -> String {
    targets.iter().map(|target| target.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// A progress bar on stderr. It is hidden if stderr is not a terminal.
pub(crate) fn progress(length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {pos}/{len} {wide_msg}");
    let bar = ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// Reads a token (RFC 9110 §5.6.2).
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

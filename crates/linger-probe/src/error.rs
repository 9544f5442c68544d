//! Why a server could not be judged.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::shown::shown;

/// Why the probe cannot judge a server. It prints as one line that says what to do. Text from the server is
/// escaped by [`shown`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The URL cannot be probed.
    Url {
        /// The URL as given, without user and password.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// A certificate or key cannot be used.
    File {
        /// The option that names the file.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The host's name has no address.
    Name {
        /// The name.
        host: String,
        /// The resolver's error.
        why: io::Error,
    },
    /// The server is on another machine, and the user has not said that it may be probed.
    NotAllowed {
        /// The server's address.
        address: SocketAddr,
    },
    /// No server accepts the connection.
    Unreachable {
        /// The address, or the path of the Unix socket.
        place: String,
        /// The system's error.
        why: io::Error,
    },
    /// It accepts a connection, but sends nothing.
    Silent {
        /// The server.
        url: String,
        /// How long the probe waited.
        bound: Duration,
    },
    /// It ends the connection without a response.
    NoResponse {
        /// The server.
        url: String,
    },
    /// It answers, but without a complete response head.
    Unfinished {
        /// The server.
        url: String,
        /// What it sends instead of a response.
        what: String,
    },
    /// It does not speak HTTP.
    NotHttp {
        /// The server.
        url: String,
    },
    /// It speaks TLS, but the URL is `http`.
    NotPlain {
        /// The server.
        url: String,
    },
    /// It does not speak TLS, but the URL is `https`.
    NotTls {
        /// The server.
        url: String,
    },
    /// Its certificate is not trusted.
    Certificate {
        /// The server.
        url: String,
        /// What is wrong with it, in a clause.
        why: String,
        /// What helps.
        fix: &'static str,
    },
    /// It refuses the TLS handshake.
    Refused {
        /// The server.
        url: String,
        /// The name of its alert.
        alert: String,
    },
    /// It redirects to another URL.
    Redirect {
        /// The server.
        url: String,
        /// The URL that it redirects to.
        location: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { url, why } => write!(f, "{}: {}", shown(url), shown(why)),
            Self::File { option, path, why } => {
                write!(f, "{option} {}: {}", shown(&path.display().to_string()), shown(why))
            }
            Self::Name { host, why } => write!(f, "{} has no address: {why}", shown(host)),
            Self::NotAllowed { address } => {
                write!(f, "{address} is on another machine: --i-may-test-this-host if you may test it")
            }
            Self::Unreachable { place, why } => write!(f, "{} cannot be reached: {why}", shown(place)),
            Self::Silent { url, bound } => {
                let seconds = bound.as_secs_f64();
                write!(f, "{} says nothing for {seconds} s: is it up? --timeout waits longer", shown(url))
            }
            Self::NoResponse { url } => write!(f, "{} ends the connection without a response", shown(url)),
            Self::Unfinished { url, what } => write!(f, "{} answers, but with {}", shown(url), shown(what)),
            Self::NotHttp { url } => write!(f, "{} does not speak HTTP/1.1", shown(url)),
            Self::NotPlain { url } => write!(f, "{} speaks TLS: use https://", shown(url)),
            Self::NotTls { url } => write!(f, "{} does not speak TLS: use http://", shown(url)),
            Self::Certificate { url, why, fix } => {
                let (url, why) = (shown(url), shown(why));
                write!(f, "{url} has a certificate that is not trusted, because {why}: {fix}")
            }
            Self::Refused { url, alert } if alert.contains("certificate") => {
                let (url, alert) = (shown(url), shown(alert));
                write!(f, "{url} refuses the handshake ({alert}): give it a --cert and its --key")
            }
            Self::Refused { url, alert } => {
                write!(f, "{} refuses the handshake: {}", shown(url), shown(alert))
            }
            Self::Redirect { url, location } => {
                let (url, location) = (shown(url), shown(location));
                write!(f, "{url} redirects to {location}: probe that, or another --path")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Name { why, .. } | Self::Unreachable { why, .. } => Some(why),
            Self::Url { .. }
            | Self::File { .. }
            | Self::NotAllowed { .. }
            | Self::Silent { .. }
            | Self::NoResponse { .. }
            | Self::Unfinished { .. }
            | Self::NotHttp { .. }
            | Self::NotPlain { .. }
            | Self::NotTls { .. }
            | Self::Certificate { .. }
            | Self::Refused { .. }
            | Self::Redirect { .. } => None,
        }
    }
}

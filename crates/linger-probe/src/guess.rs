//! Guesses the scheme of a URL that has none.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::authorization::without_user;
use crate::dial::dial;
use crate::error::Error;
use crate::find::{find, split_name};
use crate::judge::{ALERT_RECORD, HANDSHAKE_RECORD};
use crate::run::OLD_HELLO;
use crate::shown::shown;
use crate::target::{Options, Target};
use crate::trust::Trust;

/// The scheme that was guessed for a URL without one.
#[derive(Clone, PartialEq, Eq)]
pub struct Guess {
    /// The URL with its scheme, and with the name and user that were given.
    pub url: String,
    /// A sentence that says why this scheme was chosen.
    pub hint: String,
}

/// Without the URL, which may contain a password.
impl std::fmt::Debug for Guess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guess").field("hint", &self.hint).finish_non_exhaustive()
    }
}

/// Guesses the scheme of `host:port` or `name=host:port`: `https` if the server answers a TLS hello in TLS,
/// `http` otherwise. Returns `None` for a URL that has a scheme, and for anything else.
///
/// Opens one connection to each address until one accepts it. Takes at most the options' timeout for each,
/// and for the name.
///
/// # Errors
/// Those of [`find`], and that no server accepts the connection.
pub async fn guess(
    text: &str,
    trust: &Trust,
    options: &Options,
    anywhere: bool,
) -> Result<Option<Guess>, Error> {
    let (name, rest) = split_name(text);
    if !is_host_and_port(rest) {
        return Ok(None);
    }
    let with = |scheme: &str| match name {
        Some(name) => format!("{name}={scheme}://{rest}"),
        None => format!("{scheme}://{rest}"),
    };
    let mut target = find(&with("http"), trust, options, anywhere).await?;
    let is_tls = loop {
        match timeout(options.timeout, speaks_tls(&target)).await {
            Ok(Ok(is_tls)) => break is_tls,
            // A server that does not answer does not speak TLS.
            Err(_) => break false,
            Ok(Err(why)) if target.others.is_empty() => {
                return Err(Error::Unreachable { place: target.place(), why });
            }
            Ok(Err(_)) => target.address = target.others.remove(0),
        }
    };
    let (scheme, does) = if is_tls { ("https", "speaks") } else { ("http", "does not speak") };
    let shown = shown(&without_user(rest));
    let hint = format!("{shown} has no scheme: it {does} TLS, so {scheme}:// is used");
    Ok(Some(Guess { url: with(scheme), hint }))
}

/// Whether the server answers a TLS hello in TLS, by a handshake or an alert. Two line ends follow the hello,
/// so that a plain HTTP server answers at once, too.
pub(crate) async fn speaks_tls(target: &Target) -> std::io::Result<bool> {
    let mut connection = dial(target, None).await?;
    let mut first = [0];
    // If the server ends the connection at once, that is an answer, too.
    let answered = async {
        connection.write_all(&[OLD_HELLO, b"\r\n\r\n"].concat()).await?;
        connection.read(&mut first).await
    };
    let answered = answered.await;
    Ok(matches!(answered, Ok(1)) && [ALERT_RECORD, HANDSHAKE_RECORD].contains(&first[0]))
}

/// Whether this is `host:port`, perhaps with a path and a user, but without a scheme.
fn is_host_and_port(text: &str) -> bool {
    let authority = text.split(['/', '?', '#']).next().unwrap_or_default();
    let host_and_port = authority.rsplit('@').next().unwrap_or_default();
    !text.contains("://")
        && host_and_port
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::is_host_and_port;

    #[test]
    fn a_host_and_a_port_are_told_from_a_url() {
        for text in ["localhost:3000", "[::1]:80", "a.b:80/path?q=x:y", "user:pass@host:80"] {
            assert!(is_host_and_port(text), "{text}");
        }
        for text in [
            "",
            "host",
            "http://host:80",
            "ftp://host:80/",
            "mailto:x",
            "host:",
            "host:99999",
            ":80",
            "a/b:80",
        ] {
            assert!(!is_host_and_port(text), "{text}");
        }
    }
}

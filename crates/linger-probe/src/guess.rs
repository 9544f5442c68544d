//! A URL without a scheme: which one does the server speak?

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

/// What was found out of a URL without a scheme.
#[derive(Clone, PartialEq, Eq)]
pub struct Guess {
    /// The URL, with its scheme, and with the name and the user that it was given.
    pub url: String,
    /// A sentence that says why this scheme.
    pub hint: String,
}

/// As its sentence: the URL may have a password.
impl std::fmt::Debug for Guess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guess").field("hint", &self.hint).finish_non_exhaustive()
    }
}

/// The scheme of `host:port` or `name=host:port`: https where a TLS hello has an answer in TLS, http
/// otherwise. Takes one connection, and no longer than the options' timeout for each of its steps. `None` for
/// a URL that has a scheme, and for what is no URL.
///
/// # Errors
/// Those of [`find`], and nobody takes the connection.
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
            // Silence is not TLS, either.
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

/// Whether a TLS hello has an answer in TLS: a handshake or an alert. Two line ends follow it, which make a
/// plain server answer at once.
pub(crate) async fn speaks_tls(target: &Target) -> std::io::Result<bool> {
    let mut connection = dial(target, None).await?;
    let mut first = [0];
    // A server that ends the connection at once has answered, too.
    let answered = async {
        connection.write_all(&[OLD_HELLO, b"\r\n\r\n"].concat()).await?;
        connection.read(&mut first).await
    };
    let answered = answered.await;
    Ok(matches!(answered, Ok(1)) && [ALERT_RECORD, HANDSHAKE_RECORD].contains(&first[0]))
}

/// `host:port`, and perhaps a path and a user, without a scheme.
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

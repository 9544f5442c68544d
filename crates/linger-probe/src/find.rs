//! From a URL to a target: names are resolved, files are read, nothing is asked of the server.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::lookup_host;
use tokio::time::timeout;
use url::Url;

use crate::error::Error;
use crate::shown::shown;
use crate::target::{Options, Target, Tls};
use crate::trust::Trust;

/// Finds the server of a URL, `http://…`, `https://…` or `name=http://…`: its addresses, and for `https` its TLS
/// configuration. It does not connect. A server that is not on this machine is taken where it may be `anywhere` only.
///
/// # Errors
/// The URL is not one of HTTP, its name has no address, or a file of `trust` cannot be used. Takes at most the options'
/// timeout.
pub async fn find(url: &str, trust: &Trust, options: &Options, anywhere: bool) -> Result<Target, Error> {
    let (name, url) = match url.split_once('=') {
        Some((name, url)) if !name.is_empty() && !name.contains("://") => (Some(name), url),
        _ => (None, url),
    };
    let bad = |why: &str| Error::Url { url: url.to_owned(), why: why.to_owned() };
    let parsed =
        Url::parse(url).map_err(|error| bad(&format!("not a URL ({error}): http://… or https://…")))?;
    let is_tls = match parsed.scheme() {
        "http" => false,
        "https" => true,
        _ => return Err(bad("only http:// and https:// can be probed")),
    };
    let (Some(host), Some(port)) = (parsed.host_str(), parsed.port_or_known_default()) else {
        return Err(bad("it names no host"));
    };
    // An IPv6 address is in brackets in a URL, and nowhere else.
    let bare_host = host.trim_start_matches('[').trim_end_matches(']');
    let server = || bare_host.to_owned().try_into().map_err(|_| bad("its host cannot have a certificate"));
    let tls = if is_tls { Some(Tls { name: server()?, config: Arc::new(trust.client()?) }) } else { None };
    let mut addresses = resolve(bare_host, port, options).await?;
    if let Some(&address) = addresses.iter().find(|address| !anywhere && !address.ip().is_loopback()) {
        return Err(Error::NotAllowed { address });
    }
    let authority = parsed.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let path =
        parsed.query().map_or_else(|| parsed.path().to_owned(), |query| format!("{}?{query}", parsed.path()));
    Ok(Target {
        name: shown(name.unwrap_or(&authority)),
        url: parsed.into(),
        address: addresses.remove(0),
        others: addresses,
        authority,
        path,
        tls,
    })
}

/// A host's addresses, at least one.
async fn resolve(host: &str, port: u16, options: &Options) -> Result<Vec<SocketAddr>, Error> {
    let no_address = |why| Error::Name { host: host.to_owned(), why };
    let found = timeout(options.timeout, lookup_host((host, port))).await;
    let addresses = found.map_err(|late| no_address(late.into()))?.map_err(no_address)?;
    match addresses.collect::<Vec<_>>() {
        none if none.is_empty() => Err(no_address(std::io::ErrorKind::NotFound.into())),
        addresses => Ok(addresses),
    }
}

//! Makes a target of a URL: resolves names and reads certificate files, but does not connect.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::lookup_host;
use tokio::time::timeout;
use url::Url;

use crate::authorization::{Authorization, without_user};
use crate::error::Error;
use crate::here::is_here;
use crate::route::Via;
use crate::shown::shown;
use crate::target::{Options, Target, Tls};
use crate::trust::Trust;

/// Finds the server of a URL (`http://…`, `https://…` or `name=http://…`): its addresses, and for
/// `https` its TLS configuration. Does not connect, and takes at most the options' timeout.
///
/// # Errors
/// The URL is not `http` or `https`, its host has no address, a file of `trust` cannot be used, or the server
/// is on another machine and `anywhere` is false.
pub async fn find(url: &str, trust: &Trust, options: &Options, anywhere: bool) -> Result<Target, Error> {
    let (name, url) = split_name(url);
    let bad = |why: &str| Error::Url { url: without_user(url), why: why.to_owned() };
    let mut parsed = Url::parse(url)
        .map_err(|error| bad(&format!("not a URL ({error}): use http://…, https://… or HOST:PORT")))?;
    let is_tls = match parsed.scheme() {
        "http" => false,
        "https" => true,
        _ => return Err(bad("only http:// and https:// can be probed")),
    };
    let authorization = Authorization::take(&mut parsed).map_err(bad)?;
    let (Some(host), Some(port)) = (parsed.host_str(), parsed.port_or_known_default()) else {
        return Err(bad("it names no host"));
    };
    // Only URLs have brackets around IPv6 addresses.
    let bare_host = host.trim_start_matches('[').trim_end_matches(']');
    let server = || match &trust.server_name {
        Some(name) => Ok(name.clone()),
        None => bare_host.to_owned().try_into().map_err(|_| bad("its host cannot have a certificate")),
    };
    let tls = if is_tls { Some(Tls { name: server()?, config: Arc::new(trust.client()?) }) } else { None };
    let (via, mut addresses) = match &options.route.unix_socket {
        Some(path) => (Via::Unix(path.clone()), vec![(Ipv4Addr::UNSPECIFIED, 0).into()]),
        None => (Via::Tcp, resolve(bare_host, port, options).await?),
    };
    if let Some(&address) = addresses.iter().find(|address| !anywhere && !is_here(address.ip())) {
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
        authorization,
        via,
        proxy_protocol: options.route.proxy_protocol,
    })
}

/// `name=URL`, or a URL alone, with or without a scheme.
pub(crate) fn split_name(text: &str) -> (Option<&str>, &str) {
    match text.split_once('=') {
        // With a colon, an @ or a ? before it, the = is part of the URL: of its password or its query.
        Some((name, url)) if !name.is_empty() && !name.contains([':', '@', '?']) => (Some(name), url),
        _ => (None, text),
    }
}

/// A host's addresses, at least one.
async fn resolve(host: &str, port: u16, options: &Options) -> Result<Vec<SocketAddr>, Error> {
    if let Some(found) = options.route.resolve.iter().find_map(|resolve| resolve.addresses(host, port)) {
        return Ok(found);
    }
    let no_address = |why| Error::Name { host: host.to_owned(), why };
    let found = timeout(options.timeout, lookup_host((host, port))).await;
    let addresses = found.map_err(|late| no_address(late.into()))?.map_err(no_address)?;
    match addresses.collect::<Vec<_>>() {
        none if none.is_empty() => Err(no_address(std::io::ErrorKind::NotFound.into())),
        addresses => Ok(addresses),
    }
}

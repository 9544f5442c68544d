//! A real HTTP client: reqwest, called as its users call it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Client;
use tokio_rustls::rustls::ClientConfig;

use crate::peer::{End, Seen};

/// Uploads this body by PUT, in one request on a connection of its own.
pub async fn upload(server: SocketAddr, path: &str, body: Bytes, tls: Option<ClientConfig>) -> Seen {
    let scheme = if tls.is_some() { "https" } else { "http" };
    match try_upload(format!("{scheme}://{server}{path}"), body, tls).await {
        Ok(seen) => seen,
        Err(error) => {
            let end = if is_reset(&error) { End::Reset } else { End::Failed(format!("{error:?}")) };
            Seen { status: None, body: 0, complete: false, end }
        }
    }
}

async fn try_upload(url: String, body: Bytes, tls: Option<ClientConfig>) -> reqwest::Result<Seen> {
    // reqwest looks for a default provider, although its configuration has one. Only the first call installs
    // it.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder().timeout(Duration::from_secs(60)).pool_max_idle_per_host(0).no_proxy();
    if let Some(config) = tls {
        builder = builder.tls_backend_preconfigured(config);
    }
    let response = builder.build()?.put(url).body(body).send().await?;
    let (status, length) = (response.status().as_u16(), response.content_length());
    let body = response.bytes().await?.len();
    // reqwest does not tell how the connection ended.
    Ok(Seen { status: Some(status), body, complete: length == Some(body as u64), end: End::Fin })
}

/// Whether one of the error's causes is a reset.
fn is_reset(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|error| End::of(error) == End::Reset) {
            return true;
        }
        cause = error.source();
    }
    false
}

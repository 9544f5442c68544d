//! salvo. Its listeners wrap one another, so the adapter goes around the one that accepts.

use std::error::Error;
use std::sync::Arc;

use salvo::conn::rustls::{Keycert, RustlsConfig};
use salvo::prelude::*;
use salvo::size_limiter::max_size;
use tokio_rustls::TlsAcceptor;
use tower_linger::salvo::{LingerListener, TlsLingerListener};
use tower_linger::{LingerLayer, RequestLayer};

use crate::place::Place;

#[handler]
async fn upload() -> &'static str {
    "thanks"
}

fn app() -> Router {
    Router::new().hoop(max_size(1 << 20)).post(upload)
}

#[tokio::main]
pub async fn bare(at: Place) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::new(at.address);
    let Some(certificate) = at.certificate else {
        Server::new(listener.bind().await).serve(app()).await;
        return Ok(());
    };
    let pair = Keycert::new().cert_from_path(&certificate.chain)?.key_from_path(&certificate.key)?;
    Server::new(listener.rustls(RustlsConfig::new(pair)).bind().await).serve(app()).await;
    Ok(())
}

#[tokio::main]
pub async fn hooked(at: Place) -> Result<(), Box<dyn Error>> {
    let (listener, linger) = (TcpListener::new(at.address), LingerLayer::default());
    let service = Service::new(app()).hoop(RequestLayer);
    match at.certificate {
        None => {
            let listener = LingerListener::new(listener, linger.clone());
            Server::new(listener.bind().await).serve(service).await;
        }
        Some(certificate) => {
            let tls = linger.clone().tls(TlsAcceptor::from(Arc::new(certificate.server()?)));
            Server::new(TlsLingerListener::new(listener, tls).bind().await).serve(service).await;
        }
    }
    linger.tracker().wait().await;
    Ok(())
}

//! poem. Its listeners wrap one another, so the adapter goes around the one that accepts.

use std::error::Error;
use std::sync::Arc;

use poem::listener::{Listener as _, RustlsCertificate, RustlsConfig, TcpListener};
use poem::middleware::{SizeLimit, SizeLimitEndpoint};
use poem::{EndpointExt as _, Route, Server, handler, post};
use tokio_rustls::TlsAcceptor;
use tower_linger::poem::{LingerListener, TlsLingerListener};
use tower_linger::{LingerLayer, RequestLayer};

use crate::place::Place;

#[handler]
fn upload(_body: Vec<u8>) -> &'static str {
    "thanks"
}

fn app() -> SizeLimitEndpoint<Route> {
    Route::new().at("/", post(upload)).with(SizeLimit::new(1 << 20))
}

#[tokio::main]
pub async fn bare(at: Place) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(at.address);
    let Some(certificate) = at.certificate else {
        return Ok(Server::new(listener).run(app()).await?);
    };
    let (chain, key) = (std::fs::read(&certificate.chain)?, std::fs::read(&certificate.key)?);
    let tls = RustlsConfig::new().fallback(RustlsCertificate::new().cert(chain).key(key));
    Ok(Server::new(listener.rustls(tls)).run(app()).await?)
}

#[tokio::main]
pub async fn hooked(at: Place) -> Result<(), Box<dyn Error>> {
    let (listener, linger) = (TcpListener::bind(at.address), LingerLayer::default());
    let app = app().with(RequestLayer);
    match at.certificate {
        None => Server::new(LingerListener::new(listener, linger.clone())).run(app).await?,
        Some(certificate) => {
            let tls = linger.clone().tls(TlsAcceptor::from(Arc::new(certificate.server()?)));
            Server::new(TlsLingerListener::new(listener, tls)).run(app).await?;
        }
    }
    linger.tracker().wait().await;
    Ok(())
}

//! actix-web. Its HTTP service takes any stream, so a service in front of it lends the connection out.

use std::error::Error;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_server::Server;
use actix_service::{ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::{App, HttpServer, web};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tower_linger::LingerLayer;

use crate::place::Place;

fn routes(app: &mut web::ServiceConfig) {
    app.route("/", web::post().to(async |_: web::Bytes| "thanks"));
}

#[actix_web::main]
pub async fn bare(at: Place) -> Result<(), Box<dyn Error>> {
    let server = HttpServer::new(|| App::new().configure(routes));
    let server = match at.certificate {
        None => server.bind(at.address)?,
        Some(certificate) => server.bind_rustls_0_23(at.address, certificate.server()?)?,
    };
    Ok(server.run().await?)
}

#[actix_web::main]
pub async fn hooked(at: Place) -> Result<(), Box<dyn Error>> {
    let linger = LingerLayer::default();
    let Some(certificate) = at.certificate else {
        let server = Server::build().bind("http", at.address, move || {
            let linger = linger.clone();
            let lend = fn_service(move |tcp: TcpStream| {
                let peer = tcp.peer_addr().ok();
                ready(Ok((linger.wrap(tcp), Protocol::Http1, peer)))
            });
            let app = map_config(App::new().configure(routes), |()| AppConfig::default());
            lend.and_then(HttpService::build().finish(app))
        })?;
        return Ok(server.run().await?);
    };
    tls(at.address, TlsAcceptor::from(Arc::new(certificate.server()?)), linger).await
}

async fn tls(address: SocketAddr, acceptor: TlsAcceptor, linger: LingerLayer) -> Result<(), Box<dyn Error>> {
    let server = Server::build().bind("https", address, move || {
        let (linger, acceptor) = (linger.clone(), acceptor.clone());
        let lend = fn_service(move |tcp: TcpStream| {
            let (linger, peer) = (linger.clone(), tcp.peer_addr().ok());
            let handshake = acceptor.accept(tcp).into_fallible();
            async move {
                match handshake.await {
                    Ok(tls) => Ok((linger.wrap(tls), Protocol::Http1, peer)),
                    // The alert is the last message, so this connection lingers, too: in a task of its own.
                    Err((error, tcp)) => {
                        drop(linger.close(tcp));
                        Err(DispatchError::Io(error))
                    }
                }
            }
        });
        let app = map_config(App::new().configure(routes), |()| AppConfig::default());
        lend.and_then(HttpService::build().finish(app))
    })?;
    Ok(server.run().await?)
}

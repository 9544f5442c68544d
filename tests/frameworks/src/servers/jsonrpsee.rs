//! jsonrpsee. Its server is a tower service of requests as well, so `tower_linger::serve` can serve it.

use std::error::Error;
use std::sync::Arc;

use jsonrpsee::RpcModule;
use jsonrpsee::server::{Server, stop_channel};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::place::Place;

fn methods() -> Result<RpcModule<()>, Box<dyn Error>> {
    let mut module = RpcModule::new(());
    module.register_method("hello", |_, (), _| "hello")?;
    Ok(module)
}

#[tokio::main]
pub async fn bare(at: Place) -> Result<(), Box<dyn Error>> {
    let Some(certificate) = at.certificate else {
        Server::builder().build(at.address).await?.start(methods()?).stopped().await;
        return Ok(());
    };
    // It has no TLS of its own, but it serves any stream.
    let (listener, acceptor) =
        (TcpListener::bind(at.address).await?, TlsAcceptor::from(Arc::new(certificate.server()?)));
    let (stop, _handle) = stop_channel();
    let service = Server::builder().to_service_builder().build(methods()?, stop);
    loop {
        let (accepted, service) = (acceptor.accept(listener.accept().await?.0), service.clone());
        tokio::spawn(async move { jsonrpsee::server::serve(accepted.await?, service).await });
    }
}

#[tokio::main]
pub async fn hooked(at: Place) -> Result<(), Box<dyn Error>> {
    let (stop, _handle) = stop_channel();
    let service = Server::builder().to_service_builder().build(methods()?, stop);
    let mut server = tower_linger::serve(TcpListener::bind(at.address).await?, service);
    if let Some(certificate) = at.certificate {
        server = server.tls(certificate.server()?);
    }
    server.await;
    Ok(())
}

//! warp. Its filters are tower services, so `tower_linger::serve` takes the place of `warp::serve`.

use std::error::Error;

use tokio::net::TcpListener;
use warp::{Filter, Rejection, Reply};

use crate::place::Place;

fn upload() -> impl Filter<Extract = (impl Reply,), Error = Rejection> + Clone {
    warp::post().and(warp::body::content_length_limit(1 << 20)).and(warp::body::bytes()).map(|_| "thanks")
}

#[tokio::main]
pub async fn bare(Place { address, .. }: Place) -> Result<(), Box<dyn Error>> {
    warp::serve(upload()).run(address).await;
    Ok(())
}

#[tokio::main]
pub async fn hooked(at: Place) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(at.address).await?;
    let mut server = tower_linger::serve(listener, warp::service(upload()));
    if let Some(certificate) = at.certificate {
        server = server.tls(certificate.server()?);
    }
    server.await;
    Ok(())
}

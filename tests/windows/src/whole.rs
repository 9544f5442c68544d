//! The scenes of a whole server by `serve`: how it is asked to end, and what becomes of its connections.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::rustls::ServerConfig;
use tower::service_fn;
use tower_linger::{ClosePolicy, RequestBody, Shutdown, Tracker, serve};

use crate::BoxError;
use crate::scenes::{answer, linger};

/// Serves until it is asked to end, prints the summary, and returns. `/slow` is answered when the server is
/// asked to end, and `/never` is not answered.
pub(crate) async fn run(
    scene: &str,
    listener: TcpListener,
    tls: ServerConfig,
    asked: Arc<Notify>,
    introduction: &str,
) -> Result<(), BoxError> {
    // More than a client waits for, so that only a second request can cut anything; or next to nothing.
    let limit = if scene == "whole_short" { Duration::from_millis(300) } else { Duration::from_secs(600) };
    let shutdown = Shutdown::new(Tracker::new(), limit).on_signals()?;
    let handle = shutdown.handle();
    let app = service_fn({
        let handle = handle.clone();
        move |request: Request<RequestBody<Incoming>>| {
            let noticed = handle.noticed();
            async move {
                let path = request.uri().path();
                if path != "/" {
                    println!("handling {path}");
                }
                match path {
                    "/slow" => noticed.await,
                    "/never" => pending().await,
                    _ => (),
                }
                Ok::<_, Infallible>(answer(&request))
            }
        }
    });
    tokio::spawn(async move {
        loop {
            asked.notified().await;
            handle.request();
        }
    });
    let server = serve(listener, app).linger(linger(ClosePolicy::builder())).graceful(shutdown);
    // Only now, so that an event cannot come before its handler.
    println!("{introduction}");
    let summary = if scene == "whole_tls" { server.tls(tls).await } else { server.await };
    println!("{summary}");
    Ok(())
}

//! A salvo server over TLS: `close_notify` before the FIN, and alerts of failed handshakes that arrive.
//!
//! ```text
//! cargo run --example salvo
//! head -c 32M /dev/zero | curl -sSk --http1.1 -H Expect: -T - https://127.0.0.1:3446/upload
//! # → too large, said the handler
//! openssl s_client -connect 127.0.0.1:3446 -alpn h3 </dev/null
//! # → alert no application protocol
//! ```

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use salvo_core::http::StatusCode;
use salvo_core::prelude::{Response, Router, Server, Service, handler};
use tower_linger::salvo::TlsLingerAcceptor;
use tower_linger::{LingerLayer, RequestLayer, Shutdown};
use tower_linger_examples::{Result, TlsFiles, end_at_interrupt, exit, listen};

/// A salvo server over TLS that ends its connections properly.
#[derive(Parser)]
struct Args {
    /// Address to listen on.
    #[arg(default_value = "127.0.0.1:3446")]
    listen: SocketAddr,
    #[command(flatten)]
    tls: TlsFiles,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(run(&Args::parse()).await)
}

async fn run(args: &Args) -> Result<()> {
    let linger = LingerLayer::default().on_close(|report| println!("{}", report.line()));
    let shutdown = Shutdown::new(linger.tracker().clone(), Duration::from_secs(10));
    end_at_interrupt(&shutdown);
    let listener = listen(args.listen).await?;
    let acceptor = TlsLingerAcceptor::new(listener, linger.tls(args.tls.acceptor()?))
        .map_err(|error| error.to_string())?;

    let router = Router::new().get(hello).push(Router::with_path("upload").put(too_large));
    let salvo = Server::new(acceptor);
    let (handle, requested) = (salvo.handle(), shutdown.requested());
    tokio::spawn(async move {
        requested.await;
        handle.stop_graceful(Duration::from_secs(5));
    });
    // `RequestLayer` is the first hoop, so that it is outermost.
    let serve = salvo.try_serve(Service::new(router).hoop(RequestLayer));
    let (served, summary) = shutdown.finish(serve).await;
    println!("{summary}");
    served.unwrap_or(Ok(())).map_err(|error| error.to_string())
}

#[handler]
async fn hello() -> &'static str {
    "hello\n"
}

#[handler]
async fn too_large(res: &mut Response) {
    res.status_code(StatusCode::PAYLOAD_TOO_LARGE).render("too large, said the handler\n");
}

//! A tonic server whose connections are closed properly: the health service, on an incoming stream of your
//! own.
//!
//! ```text
//! cargo run --example tonic
//! grpcurl -plaintext 127.0.0.1:3005 grpc.health.v1.Health/Check
//! ```

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tower_linger::{LingerLayer, Shutdown};
use tower_linger_examples::{Result, end_at_interrupt, exit, listen};

/// A gRPC server that ends its connections properly.
#[derive(Parser)]
struct Args {
    /// Address to listen on.
    #[arg(default_value = "127.0.0.1:3005")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(run(&Args::parse()).await)
}

async fn run(args: &Args) -> Result<()> {
    let linger = LingerLayer::default().on_close(|report| println!("{}", report.line()));
    let shutdown = Shutdown::new(linger.tracker().clone(), Duration::from_secs(10));
    end_at_interrupt(&shutdown);

    let incoming = TcpListenerStream::new(listen(args.listen).await?)
        .map(move |accepted| accepted.map(|stream| linger.wrap(stream)));
    let (_reporter, health) = tonic_health::server::health_reporter();
    let serve =
        Server::builder().add_service(health).serve_with_incoming_shutdown(incoming, shutdown.requested());
    let (served, summary) = shutdown.finish(serve).await;
    println!("{summary}");
    served.unwrap_or(Ok(())).map_err(|error| error.to_string())
}

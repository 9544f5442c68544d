//! `axum::serve` over TLS by OpenSSL: the same ends as with rustls, and `SSL_shutdown` where it belongs.
//!
//! ```text
//! cargo run --features openssl --example axum_openssl -- --cert cert.pem --key key.pem
//! head -c 32M /dev/zero | curl -sSk --http1.1 -H Expect: -T - https://127.0.0.1:3443/upload
//! # → too large, said the handler
//! openssl s_client -connect 127.0.0.1:3443 -alpn h3 </dev/null
//! # → alert no application protocol
//! ```

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::put;
use axum::{Router, serve};
use clap::Parser;
use openssl::error::ErrorStack;
use openssl::ssl::{AlpnError, SslAcceptor, SslFiletype, SslMethod, select_next_proto};
use tower_linger::axum::TlsLingerListener;
use tower_linger::{LingerLayer, RequestLayer, Shutdown};
use tower_linger_examples::{Result, end_at_interrupt, exit, listen};

/// An axum server over OpenSSL that ends its connections properly.
#[derive(Parser)]
struct Args {
    /// Address to listen on.
    #[arg(default_value = "127.0.0.1:3443")]
    listen: SocketAddr,
    /// Certificate chain, PEM.
    #[arg(long, env = "SERVER_CERT")]
    cert: PathBuf,
    /// Private key, PEM.
    #[arg(long, env = "SERVER_KEY")]
    key: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(run(&Args::parse()).await)
}

async fn run(args: &Args) -> Result<()> {
    let linger = LingerLayer::default().on_close(|report| println!("{}", report.line()));
    let shutdown = Shutdown::new(linger.tracker().clone(), Duration::from_secs(10));
    end_at_interrupt(&shutdown);
    let acceptor = acceptor(&args.cert, &args.key)
        .map_err(|error| format!("cannot use {} and {}: {error}", args.cert.display(), args.key.display()))?;
    let listener = TlsLingerListener::new(listen(args.listen).await?, linger.tls(acceptor));

    let app = Router::new().route("/upload", put(too_large)).layer(RequestLayer);
    let serve = serve(listener, app).with_graceful_shutdown(shutdown.requested());
    let (served, summary) = shutdown.finish(serve).await;
    println!("{summary}");
    served.unwrap_or(Ok(())).map_err(|error| error.to_string())
}

async fn too_large() -> (StatusCode, &'static str) {
    (StatusCode::PAYLOAD_TOO_LARGE, "too large, said the handler\n")
}

fn acceptor(chain: &Path, key: &Path) -> std::result::Result<SslAcceptor, ErrorStack> {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    builder.set_certificate_chain_file(chain)?;
    builder.set_private_key_file(key, SslFiletype::PEM)?;
    builder.check_private_key()?;
    builder.set_alpn_select_callback(|_, offered| {
        select_next_proto(b"\x02h2\x08http/1.1", offered).ok_or(AlpnError::ALERT_FATAL)
    });
    Ok(builder.build())
}

//! `linger-probe serve`: runs one of the Rust servers that `demo` and `compare` start.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use clap::Args;

#[cfg(unix)]
use super::interrupted;
use super::{CommandError, print};
use crate::servers::{Life, Stack, certs};

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The library that owns the accept loop.
    stack: Stack,
    /// Serves with tower-linger. By default, the server is bare, except for `serve`.
    #[arg(long)]
    layered: bool,
    /// Shuts down gracefully on SIGTERM or Ctrl-C: requests under way have up to 5 s to finish. By default,
    /// such a signal just ends the process.
    #[cfg(unix)]
    #[arg(long)]
    graceful: bool,
    /// The port of plain HTTP on 127.0.0.1. 0 is a free port.
    #[arg(long, default_value_t = 0)]
    http: u16,
    /// The port of HTTPS on 127.0.0.1, which needs --cert and --key. 0 is a free port.
    #[arg(long, default_value_t = 0)]
    https: u16,
    /// A PEM file of the server's certificate chain.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// A PEM file of the server's key.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Asks for a client certificate from the authority in this PEM file.
    #[arg(long, value_name = "FILE", requires = "cert")]
    client_ca: Option<PathBuf>,
}

/// Serves until the process is asked to end.
pub(crate) async fn main(args: &ServeArgs) -> Result<bool, CommandError> {
    let tls = match args.cert.as_ref().zip(args.key.as_ref()) {
        Some((cert, key)) => {
            let config = certs::config(cert, key, args.client_ca.as_deref());
            Some((listen("https", args.https)?, config.map_err(CommandError)?))
        }
        None => None,
    };
    let (life, shutdown) = Life::new(args.layered);
    #[cfg(unix)]
    if args.graceful {
        match args.stack {
            Stack::Axum => {}
            Stack::Hyper | Stack::AxumServer | Stack::Serve => {
                let why = "--graceful is for axum only: leave it out, or serve axum";
                return Err(CommandError(why.to_owned()));
            }
        }
        let handle = shutdown.handle();
        drop(tokio::spawn(async move {
            interrupted().await;
            handle.request();
        }));
    }
    let plain = args.stack.serve_until(listen("http", args.http)?, None, &life);
    let serve = async {
        match tls {
            Some((listener, config)) => {
                let tls = args.stack.serve_until(listener, Some(config), &life);
                tokio::try_join!(plain, tls).map(drop)
            }
            None => plain.await,
        }
    };
    // If the deadline passes, the rest is dropped. That is a success, too, because the end was requested.
    shutdown.finish(serve).await.0.unwrap_or(Ok(()))?;
    Ok(true)
}

/// Binds a port, and prints its URL.
fn listen(scheme: &str, port: u16) -> Result<TcpListener, CommandError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address)
        .map_err(|error| CommandError(format!("cannot listen on {address}: {error}")))?;
    print(format_args!("{scheme}://{}/\n", listener.local_addr()?))?;
    Ok(listener)
}

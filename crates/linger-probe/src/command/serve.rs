//! `linger-probe serve`: the servers in Rust that `demo` and `compare` start.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use clap::Args;

#[cfg(unix)]
use super::interrupted;
use super::{CommandError, print};
use crate::servers::{Life, Stack, certs};

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Who owns the accept loop.
    stack: Stack,
    /// With tower-linger; bare without it.
    #[arg(long)]
    layered: bool,
    /// Ends as it should at SIGTERM or Ctrl-C, and lets what is under way finish, for at most 5 s. Without
    /// it, such a signal just ends the process.
    #[cfg(unix)]
    #[arg(long)]
    graceful: bool,
    /// Port of plain HTTP on 127.0.0.1; 0 for one that is free.
    #[arg(long, default_value_t = 0)]
    http: u16,
    /// Port of HTTPS on 127.0.0.1, with --cert and --key.
    #[arg(long, default_value_t = 0)]
    https: u16,
    /// Certificate chain, PEM.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Asks for a client certificate from this authority, PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    client_ca: Option<PathBuf>,
}

/// Serves until the process ends, or its end is requested.
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
        if !matches!(args.stack, Stack::Axum) {
            return Err(CommandError("--graceful is for axum only: leave it out, or serve axum".to_owned()));
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
    // Nothing of it is left at the deadline, and that is the end that was asked for.
    shutdown.finish(serve).await.0.unwrap_or(Ok(()))?;
    Ok(true)
}

/// Says where.
fn listen(scheme: &str, port: u16) -> Result<TcpListener, CommandError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address)
        .map_err(|error| CommandError(format!("cannot listen on {address}: {error}")))?;
    print(format_args!("{scheme}://{}/\n", listener.local_addr()?))?;
    Ok(listener)
}

//! `linger-probe serve`: the servers in Rust that `demo` and `peers` compare.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use clap::Args;

use super::{CommandError, print};
use crate::servers::{Stack, certs};

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Who owns the accept loop.
    stack: Stack,
    /// With tower-linger; bare without it.
    #[arg(long)]
    layered: bool,
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

/// Serves until the process ends.
pub(crate) async fn main(args: &ServeArgs) -> Result<bool, CommandError> {
    let tls = match args.cert.as_ref().zip(args.key.as_ref()) {
        Some((cert, key)) => {
            let config = certs::config(cert, key, args.client_ca.as_deref());
            Some((listen("https", args.https)?, config.map_err(CommandError)?))
        }
        None => None,
    };
    let plain = args.stack.serve(listen("http", args.http)?, None, args.layered);
    match tls {
        Some((listener, config)) => {
            let tls = args.stack.serve(listener, Some(config), args.layered);
            tokio::try_join!(plain, tls)?;
        }
        None => plain.await?,
    }
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

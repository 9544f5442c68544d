//! What all example servers share: an address, a certificate, a signal.

use std::fmt::Display;
use std::net::SocketAddr;
use std::process::ExitCode;

use tokio::net::TcpListener;
use tower_linger::Shutdown;

#[cfg(doctest)]
mod guide;
#[cfg(doctest)]
#[doc = include_str!("../../docs/stacks.md")]
mod stacks {}
mod recorder;
mod tls;

pub use recorder::Recorder;
pub use tls::{TlsFiles, config as tls_config};

/// An error that is one clear line.
pub type Result<T> = std::result::Result<T, String>;

/// Ends `main`: one line and a non-zero status for an error, no backtrace.
#[must_use]
pub fn exit(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Binds the address, and prints where the server listens.
///
/// # Errors
///
/// A line that names the address: it is in use, or not ours.
pub async fn listen(address: SocketAddr) -> Result<TcpListener> {
    let listener =
        TcpListener::bind(address).await.map_err(because(format!("cannot listen on {address}")))?;
    let address = listener.local_addr().map_err(because("cannot tell the address".into()))?;
    println!("listening on {address}");
    Ok(listener)
}

/// Asks the server to end at Ctrl-C, and cuts it short at the second.
pub fn end_at_interrupt(shutdown: &Shutdown) {
    let shutdown = shutdown.handle();
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            shutdown.request();
        }
    });
}

pub(crate) fn because<E: Display>(what: String) -> impl FnOnce(E) -> String {
    move |error| format!("{what}: {error}")
}

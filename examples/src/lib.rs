//! What all example servers share: an address, a certificate, a signal.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tower_linger::Shutdown;

#[cfg(doctest)]
mod guide;

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

/// The files of a certificate and its key.
#[derive(Debug, Clone, clap::Args)]
pub struct TlsFiles {
    /// Certificate chain, PEM. Without it a certificate for localhost is made.
    #[arg(long, requires = "key")]
    cert: Option<PathBuf>,
    /// Private key, PEM.
    #[arg(long, requires = "cert")]
    key: Option<PathBuf>,
}

impl TlsFiles {
    /// Reads the files, or makes a self-signed certificate for localhost.
    ///
    /// # Errors
    ///
    /// A line that names the file that cannot be read, or what is wrong with the pair.
    pub fn acceptor(&self) -> Result<TlsAcceptor> {
        let (chain, key) = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => (read_chain(cert)?, read_key(key)?),
            _ => self_signed()?,
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(because("cannot configure TLS".into()))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(because("the certificate and the key do not go together".into()))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

type Chain = Vec<CertificateDer<'static>>;

fn read_chain(path: &PathBuf) -> Result<Chain> {
    let named = || format!("cannot read the certificate {}", path.display());
    let file = File::open(path).map_err(because(named()))?;
    let chain: Chain = CertificateDer::pem_reader_iter(BufReader::new(file))
        .collect::<std::result::Result<_, _>>()
        .map_err(because(named()))?;
    if chain.is_empty() { Err(format!("{}: there is no PEM certificate in it", named())) } else { Ok(chain) }
}

fn read_key(path: &PathBuf) -> Result<PrivateKeyDer<'static>> {
    let named = || format!("cannot read the private key {}", path.display());
    let file = File::open(path).map_err(because(named()))?;
    PrivateKeyDer::from_pem_reader(BufReader::new(file)).map_err(because(named()))
}

fn self_signed() -> Result<(Chain, PrivateKeyDer<'static>)> {
    let made = rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()])
        .map_err(because("cannot make a certificate".into()))?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())
        .map_err(|error| because("cannot make a key".into())(io::Error::other(error)))?;
    Ok((vec![made.cert.der().clone()], key))
}

fn because<E: Display>(what: String) -> impl FnOnce(E) -> String {
    move |error| format!("{what}: {error}")
}

//! A certificate for an example server: from files, or made for localhost.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::ResolvesServerCert;
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::{Result, because};

/// The files of a certificate and its key.
#[derive(Debug, Clone, clap::Args)]
pub struct TlsFiles {
    /// Certificate chain, PEM. Without it a certificate for localhost is made.
    #[arg(long, env = "SERVER_CERT", requires = "key")]
    cert: Option<PathBuf>,
    /// Private key, PEM.
    #[arg(long, env = "SERVER_KEY", requires = "cert")]
    key: Option<PathBuf>,
}

impl TlsFiles {
    /// Reads the files, or makes a self-signed certificate for localhost.
    ///
    /// # Errors
    ///
    /// A line that names the file that cannot be read, or what is wrong with the pair.
    pub fn acceptor(&self) -> Result<TlsAcceptor> {
        let config = config(Arc::new(SingleCertAndKey::from(self.certified_key()?)))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Reads the files, or makes a self-signed certificate for localhost.
    ///
    /// # Errors
    ///
    /// A line that names the file that cannot be read, or what is wrong with the pair.
    pub fn certified_key(&self) -> Result<CertifiedKey> {
        let (chain, key) = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => (read_chain(cert)?, read_key(key)?),
            _ => self_signed()?,
        };
        CertifiedKey::from_der(chain, key, &default_provider())
            .map_err(because("the certificate and the key do not go together".into()))
    }
}

/// TLS with the certificates of this resolver, for HTTP/2 and HTTP/1.1.
///
/// # Errors
///
/// A line that says why there is no such configuration.
pub fn config(certificates: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(because("cannot configure TLS".into()))?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
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

//! A certificate for this run, in files, as servers read it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::CertifiedKey;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

/// A certificate for 127.0.0.1 and its key, PEM.
pub struct Certificate {
    pub chain: PathBuf,
    pub key: PathBuf,
}

impl Certificate {
    /// The one in this directory.
    pub fn within(directory: &Path) -> Self {
        Self { chain: directory.join("cert.pem"), key: directory.join("key.pem") }
    }

    /// Makes one.
    pub fn make(directory: &Path) -> Result<Self, Box<dyn Error>> {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        let made = Self::within(directory);
        std::fs::write(&made.chain, cert.pem())?;
        std::fs::write(&made.key, signing_key.serialize_pem())?;
        Ok(made)
    }

    /// A server that has it.
    pub fn server(&self) -> Result<ServerConfig, Box<dyn Error>> {
        let chain = CertificateDer::pem_file_iter(&self.chain)?.collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&self.key)?;
        Ok(ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?)
    }

    /// A client that trusts it.
    pub fn client(&self) -> Result<Arc<ClientConfig>, Box<dyn Error>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.chain)?)?;
        Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
    }
}

//! Certificates for one run: of an authority, of a server on this machine, and of a client.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// Paths of the PEM files: of the authority's certificate, and of certificates with their keys.
#[derive(Debug, Clone)]
pub(crate) struct Certs {
    pub(crate) authority: PathBuf,
    pub(crate) server: (PathBuf, PathBuf),
    pub(crate) client: (PathBuf, PathBuf),
}

impl Certs {
    /// Makes them in this folder. `server-both.pem` has the server's certificate and key in one file, which
    /// some servers need.
    pub(crate) fn make(folder: &Path) -> io::Result<Self> {
        let write = |name: &str, contents: &str| {
            let path = folder.join(name);
            std::fs::write(&path, contents).map(|()| path)
        };
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = write("ca.pem", &params.self_signed(&key).map_err(io::Error::other)?.pem())?;
        let issuer = Issuer::new(params, key);
        let issue = |name: &str| {
            let key = KeyPair::generate().map_err(io::Error::other)?;
            let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
            let signed = CertificateParams::new(names).and_then(|params| params.signed_by(&key, &issuer));
            let chain = signed.map_err(io::Error::other)?.pem();
            write(&format!("{name}-both.pem"), &format!("{chain}{}", key.serialize_pem()))?;
            let key = write(&format!("{name}-key.pem"), &key.serialize_pem())?;
            Ok::<_, io::Error>((write(&format!("{name}.pem"), &chain)?, key))
        };
        Ok(Self { server: issue("server")?, client: issue("client")?, authority })
    }
}

/// A server's configuration for HTTP/2 and HTTP/1.1. With a `client_authority`, clients need a certificate
/// that it issued.
pub(crate) fn config(
    chain: &Path,
    key: &Path,
    client_authority: Option<&Path>,
) -> Result<Arc<ServerConfig>, String> {
    fn bad<E: ToString>(path: &Path) -> impl FnOnce(E) -> String {
        move |error| format!("{}: {}", path.display(), error.to_string())
    }
    let read = |path: &Path| {
        let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
        found.map_err(bad(path))
    };
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match client_authority {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in read(path)? {
                roots.add(certificate).map_err(bad(path))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(bad(path))?)
        }
    };
    let private = PrivateKeyDer::from_pem_file(key).map_err(bad(key))?;
    let mut config = builder.with_single_cert(read(chain)?, private).map_err(bad(chain))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

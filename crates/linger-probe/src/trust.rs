//! Which servers a TLS client trusts, and how it identifies itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};

use crate::error::Error;
use crate::tls_words;

/// Which servers a client trusts. By default, those that the system's authorities certify.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Trusts every certificate.
    pub insecure: bool,
    /// A PEM file of authorities to trust instead of the system's.
    pub authorities: Option<PathBuf>,
    /// PEM files of the client's certificate chain and key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name to ask for and to verify in the server's certificate, instead of the URL's host.
    pub server_name: Option<ServerName<'static>>,
}

impl Trust {
    /// Makes a client configuration for TLS 1.2 and 1.3, without ALPN.
    ///
    /// # Errors
    /// [`Error::File`] if a file cannot be read or contains nothing usable.
    pub fn client(&self) -> Result<ClientConfig, Error> {
        let provider = Arc::new(default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            // The ring provider supports both versions.
            .unwrap_or_else(|error| unreachable!("{error}"));
        let builder = if self.insecure {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        let Some((chain_path, key_path)) = &self.identity else { return Ok(builder.with_no_client_auth()) };
        let chain = certificates("--cert", chain_path)?;
        let key = PrivateKeyDer::from_pem_file(key_path).map_err(bad("--key", key_path))?;
        let bad_key = |error| bad("--key", key_path)(tls_words::failure(&error));
        builder.with_client_auth_cert(chain, key).map_err(bad_key)
    }

    fn roots(&self) -> Result<RootCertStore, Error> {
        let mut roots = RootCertStore::empty();
        match &self.authorities {
            Some(path) => {
                for certificate in certificates("--ca", path)? {
                    roots.add(certificate).map_err(|error| bad("--ca", path)(tls_words::failure(&error)))?;
                }
            }
            // Errors are ignored: an authority that cannot be read is not trusted, and the handshake reports
            // that.
            None => _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
        }
        Ok(roots)
    }
}

fn certificates(option: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found.map_err(bad(option, path))? {
        none if none.is_empty() => Err(bad(option, path)("there is no PEM certificate in it")),
        found => Ok(found),
    }
}

fn bad<E: ToString>(option: &'static str, path: &Path) -> impl FnOnce(E) -> Error {
    move |why| Error::File { option, path: path.to_owned(), why: why.to_string() }
}

/// Trusts every server that has the key of the certificate it shows.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

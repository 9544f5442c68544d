//! Certificates made at run time, and the TLS configurations of both sides.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::client::WantsClientCert;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, ServerConfig, SupportedProtocolVersion, version,
};

/// One version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl Version {
    /// Both versions.
    pub const ALL: [Self; 2] = [Self::Tls12, Self::Tls13];

    fn supported(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::Tls12 => &version::TLS12,
            Self::Tls13 => &version::TLS13,
        }
    }
}

/// Whether a server asks its clients for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// It does not.
    None,
    /// It rejects a client that has none.
    Required,
}

/// An authority made for this run, with a certificate for localhost and one for a client.
#[derive(Debug)]
pub struct Certs {
    authority: CertificateDer<'static>,
    authority_pem: String,
    server: Identity,
    client: Identity,
}

#[derive(Debug)]
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    chain_pem: String,
    key_pem: String,
}

impl Certs {
    /// Makes them.
    ///
    /// # Panics
    ///
    /// If the system provides no randomness.
    #[must_use]
    pub fn make() -> Self {
        let key = KeyPair::generate().expect("randomness");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority for one run");
        let authority = params.self_signed(&key).expect("a certificate of our own making");
        let issuer = Issuer::new(params, key);
        let (authority, authority_pem) = (authority.der().clone(), authority.pem());
        Self {
            authority,
            authority_pem,
            server: Identity::issued(&issuer),
            client: Identity::issued(&issuer),
        }
    }

    /// The authority, PEM, for clients that read files.
    #[must_use]
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    /// The server's certificate and key, PEM, for servers that read files.
    #[must_use]
    pub fn server_pem(&self) -> (&str, &str) {
        (&self.server.chain_pem, &self.server.key_pem)
    }

    /// The client's certificate and key, PEM, for clients that read files.
    #[must_use]
    pub fn client_pem(&self) -> (&str, &str) {
        (&self.client.chain_pem, &self.client.key_pem)
    }

    /// A server of these versions. It sends no session tickets, so that a transcript shows only the exchange.
    ///
    /// # Panics
    ///
    /// Never: the certificates are our own.
    #[must_use]
    pub fn server(&self, versions: &[Version], client_auth: ClientAuth) -> ServerConfig {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&supported(versions))
            .expect("the provider has both versions");
        let builder = match client_auth {
            ClientAuth::None => builder.with_no_client_auth(),
            ClientAuth::Required => {
                let roots = Arc::new(self.roots());
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
                builder.with_client_cert_verifier(verifier.expect("there is a root"))
            }
        };
        let Identity { chain, key, .. } = &self.server;
        let mut config = builder.with_single_cert(chain.clone(), key.clone_key()).expect("they go together");
        config.send_tls13_tickets = 0;
        config
    }

    /// A client of these versions that trusts the authority and has no certificate.
    #[must_use]
    pub fn client(&self, versions: &[Version]) -> ClientConfig {
        self.client_builder(versions).with_no_client_auth()
    }

    /// A client of these versions that trusts the authority and has its own certificate.
    ///
    /// # Panics
    ///
    /// Never: the certificates are our own.
    #[must_use]
    pub fn client_with_certificate(&self, versions: &[Version]) -> ClientConfig {
        let Identity { chain, key, .. } = &self.client;
        let builder = self.client_builder(versions);
        builder.with_client_auth_cert(chain.clone(), key.clone_key()).expect("they go together")
    }

    fn client_builder(&self, versions: &[Version]) -> ConfigBuilder<ClientConfig, WantsClientCert> {
        ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&supported(versions))
            .expect("the provider has both versions")
            .with_root_certificates(self.roots())
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).expect("a certificate of our own making");
        roots
    }
}

impl Identity {
    fn issued(issuer: &Issuer<'_, KeyPair>) -> Self {
        let key = KeyPair::generate().expect("randomness");
        let params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("names");
        let certificate = params.signed_by(&key, issuer).expect("a certificate of our own making");
        let (chain_pem, key_pem) = (certificate.pem(), key.serialize_pem());
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key of our own making");
        Self { chain: vec![certificate.der().clone()], key, chain_pem, key_pem }
    }
}

fn supported(versions: &[Version]) -> Vec<&'static SupportedProtocolVersion> {
    versions.iter().map(|version| version.supported()).collect()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

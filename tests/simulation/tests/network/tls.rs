//! A certificate made at run time, and what both sides make of it.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) client: Arc<ClientConfig>,
}

impl Tls {
    pub(crate) fn new() -> Self {
        let made =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a name is all it needs");
        let certificate = made.cert.der().clone();
        let key = made.signing_key.serialize_der().try_into().expect("it is PKCS #8");
        let provider = Arc::new(ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("the key is the certificate's");
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("it was just made");
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { acceptor: TlsAcceptor::from(Arc::new(server)), client: Arc::new(client) }
    }
}

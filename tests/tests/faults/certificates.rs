//! Two certificates of different authorities, of which the server shows one.

use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tower_linger_tests::certs::{Certs, ClientAuth, Version};

use super::books::ON_PURPOSE;

/// A client that asks for this server makes the choice of the certificate panic.
pub(crate) const PANICS: &str = "panics.test";

pub(crate) struct Certificates {
    pub(crate) config: ServerConfig,
    pairs: [Certs; 2],
    shown: Arc<Shown>,
}

#[derive(Debug)]
struct Shown(RwLock<Arc<dyn ResolvesServerCert>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        assert!(hello.server_name() != Some(PANICS), "a resolver, {ON_PURPOSE}");
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone().resolve(hello)
    }
}

impl Certificates {
    pub(crate) fn make() -> Self {
        let pairs = [Certs::make(), Certs::make()];
        let mut config = pairs[0].server(&Version::ALL, ClientAuth::None);
        let shown = Arc::new(Shown(RwLock::new(config.cert_resolver)));
        config.cert_resolver = shown.clone();
        Self { config, pairs, shown }
    }

    /// Shows the second one from now on.
    pub(crate) fn reload(&self) {
        let second = self.pairs[1].server(&Version::ALL, ClientAuth::None).cert_resolver;
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = second;
    }

    /// Their authorities, PEM.
    pub(crate) fn authorities(&self) -> [&str; 2] {
        [self.pairs[0].authority_pem(), self.pairs[1].authority_pem()]
    }
}

//! The acceptors of all libraries, configured alike.

use std::sync::Arc;

use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::X509;
use s2n_tls::config::Config;
use s2n_tls::enums::ClientAuthType;
use s2n_tls::security::Policy;
use tokio_native_tls::native_tls::{Identity, Protocol};
use tower_linger::AcceptTls;
use tower_linger_tests::certs::{Certs, ClientAuth, Version};

/// A library, by its acceptor.
pub(super) trait Library: AcceptTls {
    const NAME: &str;

    /// An acceptor of one version; none if the library's acceptor lacks the version, or cannot ask for a
    /// certificate.
    fn acceptor(certs: &Certs, version: Version, client_auth: ClientAuth) -> Option<Self>;
}

impl Library for tokio_rustls::TlsAcceptor {
    const NAME: &str = "rustls (tokio-rustls)";

    fn acceptor(certs: &Certs, version: Version, client_auth: ClientAuth) -> Option<Self> {
        Some(Arc::new(certs.server(&[version], client_auth)).into())
    }
}

impl Library for SslAcceptor {
    const NAME: &str = "OpenSSL (tokio-openssl)";

    fn acceptor(certs: &Certs, version: Version, client_auth: ClientAuth) -> Option<Self> {
        let (chain, key) = certs.server_pem();
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).expect("OpenSSL");
        let key = PKey::private_key_from_pem(key.as_bytes()).expect("a key of our own making");
        builder.set_private_key(&key).expect("a key");
        builder.set_certificate(&x509(chain)).expect("a certificate");
        let version = match version {
            Version::Tls12 => SslVersion::TLS1_2,
            Version::Tls13 => SslVersion::TLS1_3,
        };
        builder.set_min_proto_version(Some(version)).expect("a version");
        builder.set_max_proto_version(Some(version)).expect("a version");
        builder.set_num_tickets(0).expect("a number");
        if client_auth == ClientAuth::Required {
            builder.cert_store_mut().add_cert(x509(certs.authority_pem())).expect("a certificate");
            builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        }
        Some(builder.build())
    }
}

fn x509(pem: &str) -> X509 {
    X509::from_pem(pem.as_bytes()).expect("a certificate of our own making")
}

impl Library for tokio_native_tls::TlsAcceptor {
    const NAME: &str = "OpenSSL (tokio-native-tls)";

    fn acceptor(certs: &Certs, version: Version, client_auth: ClientAuth) -> Option<Self> {
        // Where native-tls uses OpenSSL, its acceptors have no TLS 1.3.
        if client_auth == ClientAuth::Required || version == Version::Tls13 {
            return None;
        }
        let (chain, key) = certs.server_pem();
        let identity = Identity::from_pkcs8(chain.as_bytes(), key.as_bytes()).expect("of our own making");
        let mut builder = tokio_native_tls::native_tls::TlsAcceptor::builder(identity);
        builder.min_protocol_version(Some(Protocol::Tlsv12));
        Some(builder.build().expect("makes sense").into())
    }
}

impl Library for s2n_tls_tokio::TlsAcceptor {
    const NAME: &str = "s2n-tls (s2n-tls-tokio)";

    fn acceptor(certs: &Certs, version: Version, client_auth: ClientAuth) -> Option<Self> {
        let (chain, key) = certs.server_pem();
        // Policies of s2n-tls that have only this version.
        let policy = match version {
            Version::Tls12 => "20240417",
            Version::Tls13 => "AWS-CRT-SDK-TLSv1.3",
        };
        let policy = Policy::from_version(policy).expect("a name");
        let mut builder = Config::builder();
        builder.load_pem(chain.as_bytes(), key.as_bytes()).expect("of our own making");
        builder.set_security_policy(&policy).expect("s2n-tls has it");
        builder.set_max_blinding_delay(1).expect("a number");
        if client_auth == ClientAuth::Required {
            builder.trust_pem(certs.authority_pem().as_bytes()).expect("of our own making");
            builder.set_client_auth_type(ClientAuthType::Required).expect("s2n-tls can do it");
        }
        Some(Self::new(builder.build().expect("makes sense")))
    }
}

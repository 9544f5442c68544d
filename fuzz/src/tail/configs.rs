//! The sessions of both sides.

use std::sync::{Arc, OnceLock};

use arbitrary::Arbitrary;
use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod, SslVersion};
use openssl::x509::X509;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme, SupportedProtocolVersion,
    version,
};

/// One version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
pub enum Version {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl Version {
    fn supported(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::Tls12 => &version::TLS12,
            Self::Tls13 => &version::TLS13,
        }
    }
}

/// A library whose acceptor this can make.
pub trait Library {
    /// The acceptor of one version. It is made once.
    fn acceptor(version: Version) -> Self;
}

fn certified() -> &'static CertifiedKey<rcgen::KeyPair> {
    static MADE: OnceLock<CertifiedKey<rcgen::KeyPair>> = OnceLock::new();
    MADE.get_or_init(|| generate_simple_self_signed(["localhost".to_owned()]).expect("randomness"))
}

impl Library for TlsAcceptor {
    fn acceptor(version: Version) -> Self {
        static MADE: OnceLock<[TlsAcceptor; 2]> = OnceLock::new();
        let make = |version: Version| {
            let CertifiedKey { cert, signing_key } = certified();
            let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
            let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_protocol_versions(&[version.supported()])
                .expect("ring has it")
                .with_no_client_auth()
                .with_single_cert(vec![cert.der().clone()], key)
                .expect("they fit");
            Self::from(Arc::new(config))
        };
        MADE.get_or_init(|| [make(Version::Tls12), make(Version::Tls13)])[version as usize].clone()
    }
}

impl Library for SslAcceptor {
    fn acceptor(version: Version) -> Self {
        static MADE: OnceLock<[SslAcceptor; 2]> = OnceLock::new();
        let make = |version| {
            let CertifiedKey { cert, signing_key } = certified();
            let mut builder = Self::mozilla_intermediate_v5(SslMethod::tls_server()).expect("OpenSSL");
            let key = PKey::private_key_from_der(&signing_key.serialize_der()).expect("a key");
            builder.set_private_key(&key).expect("a key");
            builder.set_certificate(&X509::from_der(cert.der()).expect("a certificate")).expect("they fit");
            builder.set_min_proto_version(Some(version)).expect("a version");
            builder.set_max_proto_version(Some(version)).expect("a version");
            builder.build()
        };
        MADE.get_or_init(|| [make(SslVersion::TLS1_2), make(SslVersion::TLS1_3)])[version as usize].clone()
    }
}

/// The client's configuration. It trusts everybody, which saves a signature.
pub(super) fn client(version: Version) -> Arc<ClientConfig> {
    static MADE: OnceLock<[Arc<ClientConfig>; 2]> = OnceLock::new();
    let make = |version: Version| {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version.supported()])
            .expect("ring has it")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody));
        let mut config = builder.with_no_client_auth();
        config.resumption = tokio_rustls::rustls::client::Resumption::disabled();
        Arc::new(config)
    };
    MADE.get_or_init(|| [make(Version::Tls12), make(Version::Tls13)])[version as usize].clone()
}

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
